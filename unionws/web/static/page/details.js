/** One transfer in full, in a dialog. */

import { make, momentOf } from "./format.js";
import { outcome, paidIn } from "./feed.js";

export class Details {
  #dialog;
  #facts;
  #onWallet;

  /** `onWallet` is called with an address whose transfers somebody wants to see. */
  constructor(dialog, facts, { onWallet }) {
    this.#dialog = dialog;
    this.#facts = facts;
    this.#onWallet = onWallet;
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  open(transfer) {
    const sent = Date.parse(transfer.transfer_send_timestamp);
    const route = `${transfer.sourceDisplayName} → ${transfer.destinationDisplayName}`;
    this.#facts.replaceChildren();
    this.#fact("Route", `${route}${transfer.isTestnetTransfer ? " (testnet)" : ""}`);
    this.#fact("Amount", paidIn(transfer).exact);
    this.#fact("Sent", sent ? `${momentOf(sent)} (${transfer.transfer_send_timestamp})` : undefined);
    this.#fact("Outcome", outcome(transfer).words);
    this.#address("Sender", transfer.senderDisplay ?? transfer.sender_canonical);
    this.#address("Receiver", transfer.receiverDisplay ?? transfer.receiver_canonical);
    this.#code("Packet", transfer.packet_hash);
    this.#code("Transaction", transfer.transfer_send_transaction_hash);
    this.#code("Position in the history", transfer.sort_order);
    this.#dialog.showModal();
  }

  #fact(name, text, className = "") {
    if (!text) return null;
    const fact = make("div", {}, make("dt", { textContent: name }), make("dd", { className, textContent: text }));
    this.#facts.append(fact);
    return fact;
  }

  #code(name, text, ...more) {
    const buttons = [...more, ...(navigator.clipboard ? [copy(text)] : [])];
    this.#fact(name, text, "code")?.append(make("dd", { className: "actions" }, ...buttons));
  }

  #address(name, text) {
    const only = make("button", { type: "button", textContent: "Only this wallet" });
    only.onclick = () => {
      this.#dialog.close();
      this.#onWallet(text);
    };
    this.#code(name, text, only);
  }
}

function copy(text) {
  const button = make("button", { type: "button", textContent: "Copy" });
  button.onclick = async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  return button;
}

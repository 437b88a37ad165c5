/** The live list: rows that are used again, painted a few times a second however many transfers come. */

import { amount, ends, hue, lasting, make, momentOf, timeOf } from "./format.js";

/** Rows where the list is as long as it likes; elsewhere as many as fit. */
const ROWS = 15;
const MOST_ROWS = 60;
const ROW_PIXELS = 54;
/** Between two paints: reading along is not possible any faster. */
const PAINT_MS = 250;
/** More than that in one paint, and new rows are not marked: it would only flicker. */
const MARKED = 4;

export class Feed {
  #list;
  #empty;
  #waiting = [];
  #painted = 0;
  #scheduled = false;
  #paused = false;
  #hovered = false;
  #most = ROWS;
  #onPause;
  #onOpen;
  #transfers = new WeakMap();

  /** `onPause` is called with how many wait, or null when nothing is held back. */
  constructor(list, empty, { onPause, onOpen }) {
    this.#list = list;
    this.#empty = empty;
    this.#onPause = onPause;
    this.#onOpen = onOpen;
    list.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && this.#hover(true));
    list.addEventListener("pointerleave", () => this.#hover(false));
    new ResizeObserver(() => this.#measure()).observe(list);
    list.addEventListener("focusin", () => this.#schedule());
    list.addEventListener("focusout", () => this.#schedule());
    list.addEventListener("click", (event) => this.#open(event.target.closest("li")));
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  get paused() {
    return this.#paused;
  }

  set paused(paused) {
    this.#paused = paused;
    this.#schedule();
  }

  add(transfer, mark) {
    this.#push({ transfer, mark });
  }

  /** What became of transfers, as the server found out; of those in the list it is shown. */
  update(found) {
    const news = new Map(found.map((facts) => [facts.sort_order, facts]));
    for (const { transfer } of this.#waiting) if (news.has(transfer?.sort_order)) Object.assign(transfer, news.get(transfer.sort_order));
    for (const row of this.#list.children) {
      const transfer = this.#transfers.get(row);
      if (!news.has(transfer?.sort_order)) continue;
      Object.assign(transfer, news.get(transfer.sort_order));
      showOutcome(row.firstElementChild.lastElementChild.firstElementChild, transfer);
    }
  }

  tellGap(words) {
    this.#push({ words });
  }

  clear(words) {
    this.#waiting = [];
    this.#list.replaceChildren();
    this.say(words);
  }

  /** What the empty list says. */
  say(words) {
    this.#empty.textContent = words;
    this.#empty.hidden = this.#list.children.length > 0;
  }

  get #held() {
    return this.#paused || this.#hovered || this.#list.matches(":has(:focus-visible)");
  }

  #measure() {
    const bounded = getComputedStyle(this.#list).overflowY === "hidden";
    const fitting = Math.floor(this.#list.clientHeight / ROW_PIXELS);
    this.#most = bounded ? Math.min(MOST_ROWS, Math.max(1, fitting)) : ROWS;
    this.#trim();
  }

  #trim() {
    while (this.#list.children.length > this.#most) this.#list.lastElementChild.remove();
  }

  #push(entry) {
    this.#waiting.push(entry);
    // Held back or in a hidden tab, only what could still be shown is kept.
    if (this.#waiting.length > 2 * MOST_ROWS) this.#waiting.splice(0, this.#waiting.length - MOST_ROWS);
    this.#schedule();
  }

  #hover(hovered) {
    this.#hovered = hovered;
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const wait = Math.max(0, this.#painted + PAINT_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.#paint()), wait);
  }

  #paint() {
    this.#scheduled = false;
    this.#painted = performance.now();
    if (this.#held) {
      this.#onPause(this.#waiting.length);
      return;
    }
    this.#onPause(null);
    const entries = this.#waiting.splice(0).slice(-this.#most);
    const rows = entries.map((entry) => this.#row(entry, entries.length <= MARKED)).reverse();
    this.#list.prepend(...rows);
    this.#trim();
    this.#stop();
    if (rows.length) this.#empty.hidden = true;
  }

  /** The Tab key stops at the first row only. */
  #stop() {
    for (const button of this.#list.querySelectorAll('[tabindex="0"]')) button.tabIndex = -1;
    const first = this.#list.querySelector("button");
    if (first) first.tabIndex = 0;
  }

  /** A row, one that falls off the end where the list is full. */
  #row({ transfer, mark, words }, marked) {
    if (words !== undefined) return make("li", { className: "gap", textContent: words });
    const full = this.#list.children.length >= this.#most;
    const last = full ? this.#list.lastElementChild : null;
    const row = last && last.className !== "gap" ? last : newRow();
    row.remove();
    fill(row.firstElementChild, transfer, mark);
    row.className = marked ? "fresh" : "";
    this.#transfers.set(row, transfer);
    return row;
  }

  #open(row) {
    const transfer = row && this.#transfers.get(row);
    if (transfer) this.#onOpen(transfer);
  }

  /** Up and down go from row to row: the list is one stop of the Tab key. */
  #move(event) {
    const row = event.target.closest("li");
    const to = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    to?.firstElementChild?.focus();
  }
}

function newRow() {
  const party = () => make("span");
  return make("li", {}, make("button", { className: "row", type: "button", tabIndex: -1 },
    make("span", { className: "route" }, chain(), make("span", { className: "arrow", textContent: "→" }), chain()),
    make("span", { className: "amount" }, "", make("span")),
    make("span", { className: "parties" }, party(), make("span", { className: "arrow", textContent: "→" }), party()),
    make("span", { className: "time" }, make("span"), ""),
  ));
}

const chain = () => make("span", { className: "chain" });

function fill(button, transfer, mark) {
  const [route, paid, parties, time] = button.children;
  name(route.children[0], transfer.sourceDisplayName, transfer.source_chain.universal_chain_id);
  name(route.children[2], transfer.destinationDisplayName, transfer.destination_chain.universal_chain_id);
  const { figure, symbol, exact } = paidIn(transfer);
  paid.firstChild.data = `${figure} `;
  paid.lastChild.textContent = symbol;
  paid.title = exact;
  party(parties.children[0], transfer.senderDisplay ?? transfer.sender_canonical);
  party(parties.children[2], transfer.receiverDisplay ?? transfer.receiver_canonical);
  const sent = Date.parse(transfer.transfer_send_timestamp);
  time.lastChild.data = sent ? timeOf(sent) : "";
  time.title = sent ? momentOf(sent) : "";
  time.dataset.mark = [transfer.isTestnetTransfer ? "testnet" : "", mark].filter(Boolean).join(" · ");
  showOutcome(time.firstChild, transfer);
}

function showOutcome(element, transfer) {
  const { kind, words } = outcome(transfer);
  element.className = `outcome ${kind}`;
  element.textContent = words;
}

/** What became of a transfer; no words while nothing is known. */
export function outcome({ transfer_send_timestamp: sent, transfer_recv_timestamp: received, transfer_timeout_timestamp: timedOut, success }) {
  if (timedOut) return { kind: "bad", words: "timed out" };
  if (success === false) return { kind: "bad", words: "failed" };
  if (!received) return { kind: "", words: "" };
  const took = (Date.parse(received) - Date.parse(sent)) / 1000;
  return { kind: "good", words: took >= 0 ? `arrived in ${lasting(took)}` : "arrived" };
}

function name(element, text, id) {
  element.textContent = text;
  element.title = id;
  element.style.setProperty("--hue", hue(id));
}

function party(element, address = "unknown") {
  element.textContent = ends(address);
  element.title = address;
}

/** What was moved: in display units where these are known, otherwise in base units, and said so. */
export function paidIn(transfer) {
  const symbol = transfer.base_token_symbol || ends(transfer.base_token ?? "");
  const exact = transfer.base_token_amount_display;
  if (exact !== undefined) return { figure: amount(exact), symbol, exact: `${exact} ${symbol}` };
  const base = transfer.base_amount;
  if (base === undefined) return { figure: "?", symbol, exact: "The amount is not known" };
  const words = `${base} base units of ${symbol}; its decimals are not known`;
  return { figure: amount(base), symbol: `base units ${symbol}`, exact: words };
}

import { knowChains } from "./format.js";

/** The filter: its form, the page's address, and the protocol's filter object. */

const FIELDS = { from: "fromChains", to: "toChains", chain: "chains", asset: "assets", wallet: "wallets" };
const SINGLE = { minAmount: "minAmount", network: "network" };
const NAMES = [...Object.keys(FIELDS), ...Object.keys(SINGLE)];

export class Filters {
  #form;
  #box;
  #error;
  #count;
  #chosen = {};
  #chains = new Map();

  /** `onChange` is called with the protocol's filter object; it throws what the server refused. */
  constructor(form, { box, error, count, onChange }) {
    this.#form = form;
    this.#box = box;
    this.#error = error;
    this.#count = count;
    this.onChange = onChange;
    this.#take(Object.fromEntries(new URLSearchParams(location.search)));
    box.open = this.active > 0;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply(this.#read());
    });
    form.addEventListener("change", (event) => event.target.tagName === "SELECT" && form.requestSubmit());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.#apply({});
    });
    addEventListener("popstate", () => {
      this.#take(Object.fromEntries(new URLSearchParams(location.search)));
      this.#apply(this.#chosen, false);
    });
  }

  /** How many fields are set. */
  get active() {
    return Object.keys(this.#chosen).length;
  }

  /** The protocol's filter object. */
  get filter() {
    const filter = {};
    for (const [name, value] of Object.entries(this.#chosen)) {
      if (name in FIELDS) filter[FIELDS[name]] = value.split(",").map((part) => part.trim()).filter(Boolean);
      else filter[SINGLE[name]] = value;
    }
    return filter;
  }

  /** Chosen elsewhere on the page: these fields alone. */
  choose(fields) {
    this.#box.open = true;
    return this.#apply(fields);
  }

  /** Chains to choose from. */
  offer(chains) {
    knowChains(chains.map((chain) => chain.universal_chain_id));
    this.#chains = new Map(chains.map((chain) => [chain.universal_chain_id, chain.display_name || chain.universal_chain_id]));
    const sorted = [...chains].sort((a, b) => a.testnet - b.testnet || a.display_name.localeCompare(b.display_name));
    for (const name of ["from", "to"]) {
      const select = this.#form.elements[name];
      const options = sorted.map((chain) => new Option(this.#chains.get(chain.universal_chain_id), chain.universal_chain_id));
      select.replaceChildren(new Option("Any chain", ""), ...options);
      this.#write(name);
    }
    this.#show();
  }

  #take(given) {
    this.#chosen = {};
    for (const name of NAMES) if (given[name]?.trim()) this.#chosen[name] = given[name].trim();
    for (const name of NAMES) this.#write(name);
    this.#show();
  }

  #read() {
    const fields = Object.fromEntries(new FormData(this.#form));
    // A chain in either direction has no field of its own: it stays until one of the two is set.
    if (this.#chosen.chain && !fields.from && !fields.to) fields.chain = this.#chosen.chain;
    return fields;
  }

  async #apply(fields, remember = true) {
    const before = this.#chosen;
    this.#take(fields);
    this.#error.hidden = true;
    try {
      await this.onChange(this.filter);
    } catch (error) {
      this.#chosen = before;
      this.#show();
      this.tell(error.message);
      return;
    }
    if (remember) history.pushState(null, "", this.#address());
  }

  /** What was wrong with the filter. */
  tell(words) {
    this.#box.open = true;
    this.#error.textContent = words;
    this.#error.hidden = false;
  }

  /** Forget a filter that the server does not take. */
  drop() {
    this.#chosen = {};
    this.#show();
  }

  #address() {
    const url = new URL(location);
    for (const name of NAMES) url.searchParams.delete(name);
    for (const [name, value] of Object.entries(this.#chosen)) url.searchParams.set(name, value);
    return url;
  }

  #write(name) {
    const field = this.#form.elements[name];
    if (!field) return;
    const value = this.#chosen[name] ?? "";
    // A chain nobody has listed can be asked for all the same, by the page's address.
    if (field.tagName === "SELECT" && value && ![...field.options].some((option) => option.value === value)) {
      field.append(new Option(value, value));
    }
    field.value = value;
  }

  #show() {
    const parts = Object.entries(this.#chosen).map(([name, value]) => {
      const words = { from: "from ", to: "to ", chain: "from or to ", minAmount: "at least " }[name] ?? "";
      return words + value.split(",").map((part) => this.#chains.get(part) ?? part).join(" or ");
    });
    this.#count.textContent = parts.length ? `: ${parts.join(", ")}` : "";
  }
}

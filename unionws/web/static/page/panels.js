/** The statistics: windows, routes, chains, assets and wallets, as chartData has them. */

import { chain, fillRow, paint, renew, write } from "./bars.js";
import { change, count, ends, make, short } from "./format.js";

/** Key in chartData's maps, field of the rates, field of the change, words. */
export const WINDOWS = [
  { key: "1m", rate: "txPerMinute", wallets: "LastMin", has: "1m", words: "minute" },
  { key: "5m", rate: "txPer5Minutes", wallets: "Last5m", has: "5m", words: "5 minutes" },
  { key: "1h", rate: "txPerHour", wallets: "LastHour", has: "1h", words: "hour" },
  { key: "1d", rate: "txPerDay", wallets: "LastDay", has: "1d", words: "day" },
  { key: "7d", rate: "txPer7Days", wallets: "Last7d", has: "7d", words: "7 days" },
  { key: "14d", rate: "txPer14Days", wallets: "Last14d", has: "14d", words: "14 days" },
  { key: "30d", rate: "txPer30Days", wallets: "Last30d", has: "30d", words: "30 days" },
];

const element = (id) => document.getElementById(id);

export class Panels {
  #data = null;
  #window;
  #side = "activeSenders";
  #tiles = new Map();
  #scheduled = false;
  #onFilter;

  /** `onFilter` is called with fields for the filter when somebody chooses a route, chain, asset or wallet. */
  constructor(chosen, { onFilter, onWindow }) {
    this.#window = WINDOWS.find(({ key }) => key === chosen) ?? WINDOWS[2];
    this.#onFilter = onFilter;
    for (const window of WINDOWS) element("windows").append(this.#tile(window, onWindow));
    element("side").addEventListener("change", (event) => {
      this.#side = event.target.value;
      this.#schedule();
    });
    this.#schedule();
  }

  show(data) {
    this.#data = data;
    this.#schedule();
  }

  /** The minute's figures are those of five minutes where a server is set so: then five minutes say it all. */
  carry(shortWindow) {
    const [minute, five] = WINDOWS;
    const hidden = shortWindow === five.key;
    this.#tiles.get(minute).hidden = hidden;
    element("windows").style.setProperty("--tiles", WINDOWS.length - hidden);
    if (hidden && this.#window === minute) this.#tiles.get(five).control.click();
  }

  #tile(window, onWindow) {
    const input = make("input", { type: "radio", name: "window", value: window.key, checked: window === this.#window });
    const parts = ["name", "count", "change"].map((className) => make("span", { className }));
    const tile = make("label", {}, input, parts[0], make("span", { className: "figures" }, parts[1], parts[2]));
    parts[0].textContent = window.words;
    parts[1].textContent = "–";
    input.addEventListener("change", () => {
      this.#window = window;
      onWindow(window.key);
      this.#schedule();
    });
    this.#tiles.set(window, tile);
    return tile;
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#paint();
    });
  }

  #paint() {
    const data = this.#data ?? {};
    for (const note of document.querySelectorAll(".window-note")) note.textContent = `last ${this.#window.words}`;
    this.#paintRates(data);
    this.#paintCoverage(data.coverage);
    this.#paintRoutes(this.#scaled(data, "popularRoutes"));
    this.#paintChains(data.chainFlowData?.chainFlowTimeScale?.[this.#window.key] ?? []);
    this.#paintVolumes(data.assetVolumeData?.assetVolumeTimeScale?.[this.#window.key] ?? []);
    this.#paintWallets(this.#scaled(data, this.#side), data.activeWalletRates);
  }

  #scaled(data, name) {
    return data[`${name}TimeScale`]?.[this.#window.key] ?? [];
  }

  #paintRates({ currentRates, coverage }) {
    for (const [window, tile] of this.#tiles) {
      const [figure, compared] = tile.lastElementChild.children;
      const counted = currentRates?.[window.rate];
      const moved = currentRates?.[`${window.rate}Change`];
      const partial = coverage?.complete?.[window.has] === false;
      write(figure, counted === undefined ? "–" : short(counted));
      figure.title = counted === undefined ? "" : count(counted);
      write(compared, moved === undefined || partial ? "" : change(moved));
      compared.title = moved === undefined ? "" : `against the ${window.words} before`;
      tile.classList.toggle("partial", partial && counted !== undefined);
    }
  }

  /** Windows longer than what was counted say so. */
  #paintCoverage(coverage) {
    const note = element("coverage");
    const partial = WINDOWS.filter(({ has }) => coverage?.complete?.[has] === false);
    note.hidden = !partial.length || !coverage?.since;
    if (note.hidden) return;
    const since = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(coverage.since);
    write(note, `Counting since ${since}: windows with a + are not complete yet.`);
  }

  #paintRoutes(routes) {
    paint(element("routes"), routes, "No transfers in this window yet.", (row, route, share) => {
      row.onclick = () => this.#onFilter({ from: route.fromChain, to: route.toChain });
      row.title = `Show only ${route.fromName} → ${route.toName}`;
      fillRow(row, share, route.count, route.countChange, () => [
        chain(route.fromName, route.fromChain), make("span", { className: "arrow", textContent: "→" }), chain(route.toName, route.toChain),
      ]);
    }, (route) => route.count);
  }

  #paintVolumes(assets) {
    paint(element("volumes"), assets, "No assets were moved in this window yet.", (row, asset, share) => {
      const label = asset.assetSymbol || asset.assetName || "unnamed asset";
      row.onclick = () => this.#onFilter({ asset: asset.assetSymbol });
      row.title = `Show only ${label}; the largest was ${short(asset.largestTransfer ?? 0)}`;
      fillRow(row, share, `${short(asset.totalVolume)} ${label}`, undefined, () => [label], `${count(asset.transferCount)}×`);
    }, (asset) => asset.transferCount);
  }

  #paintWallets(wallets, rates) {
    paint(element("wallets"), wallets, "No wallet was active in this window yet.", (row, wallet, share) => {
      const address = wallet.displayAddress || wallet.address;
      row.onclick = () => this.#onFilter({ wallet: address });
      row.title = address;
      fillRow(row, share, wallet.count, undefined, () => [make("span", { className: "address", textContent: ends(address) })]);
    }, (wallet) => wallet.count);
    const active = rates?.[`total${this.#window.wallets}`];
    write(element("wallet-count"), active ? `${count(active)} wallets were active in the last ${this.#window.words}.` : "");
  }

  #paintChains(chains) {
    const largest = Math.max(1, ...chains.map((entry) => Math.max(entry.outgoingCount, entry.incomingCount)));
    paint(element("chains"), chains, "No chain sent or received in this window yet.", (row, entry) => {
      row.onclick = () => this.#onFilter({ chain: entry.universal_chain_id });
      row.title = `Show only ${entry.chainName}; net ${count(entry.netFlow)}`;
      if (row.children.length !== 3) {
        row.replaceChildren(make("span"), make("span", { className: "side out" }), make("span", { className: "side in" }));
      }
      const [label, out, into] = row.children;
      renew(label, entry.universal_chain_id + entry.chainName, () => [chain(entry.chainName, entry.universal_chain_id)]);
      write(out, count(entry.outgoingCount));
      write(into, count(entry.incomingCount));
      out.style.setProperty("--share", entry.outgoingCount / largest);
      into.style.setProperty("--share", entry.incomingCount / largest);
    }, () => 0);
  }
}

/** Puts the page together: one client, and what each of its events means here. */

import { UnionClient } from "../client.js";
import { Details } from "./details.js";
import { Feed } from "./feed.js";
import { Filters } from "./filters.js";
import { count, make } from "./format.js";
import { Network } from "./network.js";
import { Panels } from "./panels.js";
import { Pulse } from "./pulse.js";

const SNAPSHOT = 40;
const CHANNELS = ["chains", "chartData", "status", "transferUpdates"];
const element = (id) => document.getElementById(id);

const chosen = new URLSearchParams(location.search);
const apiKey = chosen.get("key") ?? "";

// Transfers are asked for once the server has greeted: with the filter, and the newest first.
const client = new UnionClient(undefined, { channels: CHANNELS, apiKey });
const details = new Details(element("details"), element("facts"), { onWallet: (wallet) => filters.choose({ wallet }) });
const feed = new Feed(element("feed"), element("feed-empty"), { onPause: showPause, onOpen: (transfer) => details.open(transfer) });
const pulse = new Pulse(element("now"), element("spark"));
const panels = new Panels(chosen.get("window"), {
  onFilter: (fields) => filters.choose(fields),
  onWindow: rememberWindow,
});
const network = new Network({ onFilter: (fields) => filters.choose(fields) });
const filters = new Filters(element("filter"), {
  box: element("filter-box"), error: element("filter-error"), count: element("filter-count"), onChange: follow,
});

// -- transfers ----------------------------------------------------------------------------------

let following = false;

/** Subscribe with a filter; throws what the server refused. */
async function follow(filter) {
  const answer = await client.subscribe("transfers", { filter, snapshot: SNAPSHOT });
  following = true;
  if (answer === null) return;
  feed.clear(emptyWords());
  element("now-unit").textContent = filters.active ? "transfers a second pass the filter" : "transfers a second";
  say(filters.active ? "The filter is on." : "All transfers are shown.");
}

async function begin() {
  try {
    await follow(filters.filter);
  } catch (error) {
    filters.tell(`The filter in this page's address was not taken: ${error.message}`);
    filters.drop();
    await follow({});
  }
}

function emptyWords() {
  return filters.active
    ? "Nothing passes this filter yet. The next transfer that does appears here."
    : "No transfers yet. The next one appears here.";
}

client.on("transfer", ({ transfer, late, replay }) => {
  if (!replay) pulse.arrived();
  feed.add(transfer, late ? "late" : "");
});

client.on("gap", ({ fromSeq, toSeq, reason }) => {
  const missing = fromSeq === null || toSeq === null ? "Some transfers" : plural(toSeq - fromSeq + 1);
  const why = {
    slow_consumer: "this page did not keep up",
    history_expired: "this page was away for too long",
    epoch_changed: "the server has begun a new count",
  }[reason];
  if (toSeq === null || toSeq >= (fromSeq ?? 0)) feed.tellGap(`${missing} may be missing here${why ? `: ${why}` : ""}.`);
});

const plural = (number) => (number === 1 ? "One transfer" : `${count(number)} transfers`);

// -- lasting messages -----------------------------------------------------------------------------

client.on("message", ({ type, data }) => {
  if (type === "chartData") showFigures(data);
  if (type === "chains") filters.offer(data);
  if (type === "serverInfo") panels.carry(data.shortWindow);
  if (type === "status") showStatus(data);
  if (type === "transferUpdates") feed.update(data);
});

function showFigures(data) {
  panels.show(data);
  network.show(data);
  offerAssets(data.assetVolumeData?.assets ?? []);
}

function offerAssets(assets) {
  const symbols = assets.map((asset) => asset.assetSymbol).filter(Boolean);
  const list = element("assets");
  if (list.dataset.symbols === symbols.join()) return;
  list.dataset.symbols = symbols.join();
  list.replaceChildren(...symbols.map((value) => make("option", { value })));
}

function showStatus({ system, upstream, notice }) {
  const trouble = {
    warming: "The service is starting",
    degraded: "The service works with limits",
    draining: "The service is about to restart",
  }[system];
  const source = {
    stale: "the indexer has not answered lately, so transfers may be late",
    down: "the indexer does not answer: nothing new until it does",
  }[upstream];
  const words = [trouble, source, notice].filter(Boolean).join("; ");
  const service = element("service");
  service.textContent = words ? words[0].toUpperCase() + words.slice(1) : "Service and indexer online";
  service.classList.toggle("trouble", Boolean(words));
}

// -- the connection -------------------------------------------------------------------------------

client.on("connected", () => {
  if (!following) begin();
});

client.on("state", ({ state }) => {
  const words = { connecting: "Connecting…", open: "Live", waiting: "Connection lost", closed: "Stopped" };
  const was = document.documentElement.dataset.state;
  if (state === "connecting" && was === "waiting") return; // an attempt of many: the words stay
  document.documentElement.dataset.state = state;
  element("connection").textContent = words[state] ?? "";
  if (state === "open") {
    element("banner").hidden = true;
    if (was === "waiting") say("The connection is back.");
  }
  if (state === "open" && !element("feed").children.length) feed.say(emptyWords());
});

let lost = 0;
let countdown = 0;

client.on("disconnected", ({ retryInMs, established }) => {
  if (established) lost = Date.now();
  const due = Date.now() + retryInMs;
  const tell = () => {
    const seconds = Math.ceil((due - Date.now()) / 1000);
    const again = seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…";
    banner(`${lost ? "The connection is lost: what you see may be old." : "The server cannot be reached."} ${again}`, "Try now");
  };
  tell();
  clearInterval(countdown);
  countdown = setInterval(() => (client.state === "open" || client.state === "closed" ? clearInterval(countdown) : tell()), 1000);
  if (established) say("The connection is lost. It comes back by itself.");
  else lookWhy();
});

/** A refused WebSocket does not say why; the same question by HTTP does. */
async function lookWhy() {
  const url = new URL("../api/transfers?limit=1", import.meta.url);
  if (apiKey) url.searchParams.set("key", apiKey);
  const answer = await fetch(url).catch(() => null);
  if (answer?.status !== 401 || client.state === "open") return;
  client.close();
  clearInterval(countdown);
  const words = apiKey ? "The key in this page's address is not valid." : "This server asks for a key: open this page with ?key=YOUR_KEY.";
  banner(words, "Try again");
  feed.say(words);
}

client.on("error", ({ error }) => {
  banner(`The server has ended the connection: ${error.message}`, "Connect again");
  say("The connection was ended.");
});

function banner(words, button) {
  element("banner").hidden = false;
  element("banner-words").textContent = words;
  element("again").textContent = button;
}

element("again").addEventListener("click", () => (client.state === "closed" ? location.reload() : client.retryNow()));
addEventListener("online", () => client.retryNow());

/** For screen readers, and rarely: the list itself would talk without end. */
function say(words) {
  element("said").textContent = words;
}

// -- pausing and the window -------------------------------------------------------------------------

element("pause").addEventListener("click", () => {
  feed.paused = !feed.paused;
  element("pause").setAttribute("aria-pressed", feed.paused);
  element("pause").textContent = feed.paused ? "Go on" : "Pause";
});

function showPause(waiting) {
  const words = waiting === null ? "" : waiting ? `Held while you read; ${waiting} wait` : "Held while you read";
  if (element("live-note").textContent !== words) element("live-note").textContent = words;
}

function rememberWindow(key) {
  const url = new URL(location);
  url.searchParams.set("window", key);
  history.replaceState(null, "", url);
}

client.start();

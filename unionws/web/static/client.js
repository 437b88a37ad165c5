/**
 * Follows a unionws stream: reconnects, resumes, and says when something is missing.
 *
 *     import { UnionClient } from "https://example.org/client.js";
 *
 *     const client = new UnionClient("wss://example.org/ws", { filter: { assets: ["U"] } });
 *     client.on("gap", ({ fromSeq, toSeq, reason }) => console.warn("may be missing", fromSeq, toSeq, reason));
 *     for await (const transfer of client.transfers()) console.log(transfer.routeKey);
 *
 * One ES module without dependencies, for browsers and for Node (give it a WebSocket class where
 * there is none: `{ WebSocket: (await import("ws")).WebSocket }`). Times are milliseconds.
 *
 * Events (`client.on(name, listener)`, or all of them by `for await (const event of client)`):
 *
 *   connected     { data, resuming }                        the server greeted
 *   transfer      { transfer, seq, late, replay }           each transfer once
 *   message       { type, data, message }                   any other message, unknown types included
 *   gap           { fromSeq, toSeq, reason }                these, both included, may have been missed
 *   disconnected  { code, reason, retryInMs, established }  it tries again by itself
 *   error         { error }                                 it does not: connecting again would end the same
 *   state         { state }                                 idle, connecting, open, waiting, closed
 */

const DEFAULT_CHANNELS = ["transfers", "chartData", "chains", "status"];
const MAX_WINDOW_MS = 600_000;
const CLOSE_WAIT_MS = 50;
/** Attempt whose step (1 s by default) is the shortest for close codes 4100-4199. */
const OVER_CAPACITY_STEP = 2;

/** Filter fields a URL can carry, by their parameter. */
const PARAMETERS = {
  fromChains: "from", toChains: "to", chains: "chain", wallets: "wallet", assets: "asset",
  network: "network", minAmount: "minAmount",
};

/** What went wrong; `code` is the protocol's error code, or `closed`, `disconnected`, `timeout`, `no_websocket`. */
export class UnionError extends Error {
  constructor(code, message, closeCode = null) {
    super(message);
    this.name = "UnionError";
    this.code = code;
    this.closeCode = closeCode;
  }
}

/** Milliseconds that never step back, as a clock that is set does. */
const monotonic = () => performance.now();
const isSeq = (value) => Number.isSafeInteger(value);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value) => typeof value === "string" && value !== "";

function readPosition(fields) {
  return {
    epoch: isText(fields.epoch) ? fields.epoch : null,
    seq: isSeq(fields.seq) ? fields.seq : null,
    cursor: isText(fields.cursor) ? fields.cursor : null,
  };
}

/** Additions carry the position inside `data`, transfer frames at top level: both are read. */
function positionAnywhere(message) {
  const outer = readPosition(message);
  const inner = readPosition(isObject(message.data) ? message.data : {});
  return {
    epoch: outer.epoch ?? inner.epoch, seq: outer.seq ?? inner.seq, cursor: outer.cursor ?? inner.cursor,
  };
}

/** Follows the numbering: a gap is there exactly when `prev > last`; then `last = seq`. */
class Tracker {
  constructor(position) {
    this.position = { epoch: null, seq: null, cursor: null, ...position };
  }

  /** The stream goes on at `to` without a replay; the gap that leaves, if any. */
  jump(to, reason) {
    return this.move(to, this.#epochGap(to) ?? this.#missed(to.seq, reason));
  }

  /** A frame of transfers arrived; the gap before it, if any. */
  frame(at, prev) {
    return this.move(at, this.#epochGap(at) ?? this.#missed(prev, "missed"));
  }

  /** A message without transfers accounts for everything up to `at`. */
  mark(at) {
    return this.move(at, this.#epochGap(at));
  }

  /** The next frame says where the numbering stands: a replay by cursor follows. */
  forgetSeq(epoch) {
    this.position = { epoch, seq: null, cursor: this.position.cursor };
  }

  move(to, gap = null) {
    const known = this.position;
    this.position = {
      epoch: to.epoch ?? known.epoch, seq: to.seq ?? known.seq, cursor: to.cursor ?? known.cursor,
    };
    return gap;
  }

  #epochGap(to) {
    const known = this.position.epoch;
    if (known === null || to.epoch === null || to.epoch === known) return null;
    return { fromSeq: null, toSeq: null, reason: "epoch_changed" };
  }

  #missed(prev, reason) {
    const last = this.position.seq;
    if (last === null || prev === null || prev <= last) return null;
    return { fromSeq: last + 1, toSeq: prev, reason };
  }
}

/** The last `limit` keys. */
class Seen {
  #keys = new Set();
  #limit;

  constructor(limit) {
    this.#limit = limit;
  }

  /** False when the key is remembered already. */
  add(key) {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    if (this.#keys.size > this.#limit) this.#keys.delete(this.#keys.values().next().value);
    return true;
  }
}

/**
 * When to connect again, and when not to.
 *
 *   4000-4099   stop: connecting again unchanged would end the same way
 *   4100-4199   back off, at least half of the step
 *   4200-4299   at once, inside the announced window
 *   otherwise   back off with full jitter: a draw from 0 to base * 2^n, at most cap
 */
export class Reconnect {
  #attempt = 0;
  #opened = null;
  #window = null;

  constructor({ baseMs = 250, capMs = 30_000, stableMs = 10_000, draw = null } = {}) {
    Object.assign(this, { baseMs, capMs, stableMs });
    this.draw = draw ?? ((low, high) => low + Math.random() * (high - low));
  }

  get isOpen() {
    return this.#opened !== null;
  }

  opened(now) {
    this.#opened = now;
    this.#window = null;
  }

  /** Remembers the window of a `serverShutdown`; one that makes no sense is not used. */
  announced(data) {
    const { minMs, maxMs } = (isObject(data) && isObject(data.reconnect) && data.reconnect) || {};
    if (0 <= minMs && minMs <= maxMs && maxMs <= MAX_WINDOW_MS) this.#window = [minMs, maxMs];
  }

  /** Milliseconds until the next attempt, or null when there must be none. */
  delay(code, now) {
    if (code >= 4000 && code <= 4099) return null;
    if (this.#opened !== null && now - this.#opened >= this.stableMs) this.#attempt = 0;
    const wait = this.#drawn(code);
    this.#attempt += 1;
    this.#opened = this.#window = null;
    return wait;
  }

  #step(attempt) {
    return Math.min(this.capMs, this.baseMs * 2 ** Math.min(attempt, 32));
  }

  #drawn(code) {
    if (code >= 4100 && code <= 4199) {
      this.#attempt = Math.max(this.#attempt, OVER_CAPACITY_STEP);
      const longest = this.#step(this.#attempt);
      return longest / 2 + this.draw(0, longest / 2);
    }
    if (this.#window === null) return this.draw(0, this.#step(this.#attempt));
    const wait = this.draw(...this.#window);
    // A server that goes on announcing is not allowed to make a hot loop of its window.
    return this.#attempt ? Math.max(wait, this.draw(0, this.#step(this.#attempt))) : wait;
  }
}

/** What a client decides, without a socket: every text that arrives becomes events. */
class Session {
  #url;
  #key;
  #tracker;
  #seen;
  #canResume;
  #byCursor = false;
  #asked = "";
  #replaying = false;

  constructor(url, { channels = null, filter = null, position = null, apiKey = "", form = "", remember = 10_000 }) {
    this.#url = url;
    this.#key = { form, key: apiKey };
    this.#tracker = new Tracker(position);
    this.#canResume = position !== null;
    this.#seen = new Seen(remember);
    /** What is subscribed to, now and on later connections; `filter` is `checked` once a server took it. */
    this.wanted = { channels: channels && [...channels], filter: filter ?? {}, checked: false };
    /** Messages that are not JSON objects with a `type`, and transfers that are not objects. */
    this.ignored = 0;
    /** The connection is to be replaced at once: this server counts differently. */
    this.reconnectNow = false;
    /** The filter does not go by the URL: `subscribe` with this data once the server has greeted. */
    this.first = null;
  }

  get position() {
    return this.#tracker.position;
  }

  /** URL of the next connection, with the position once a server has offered to resume. */
  nextUrl() {
    const url = new URL(this.#url);
    const { channels, filter, checked } = this.wanted;
    const listed = channels ?? DEFAULT_CHANNELS;
    const inUrl = Object.keys(filter).length === 0 ? {} : checked ? filterParameters(filter) : null;
    const follows = listed.includes("transfers");
    this.reconnectNow = this.#replaying = false;
    this.first = follows && inUrl === null ? { channel: "transfers", filter } : null;
    const position = follows && this.first === null && this.#canResume ? this.#resume() : {};
    this.#asked = Object.keys(position)[0] ?? "";
    const without = listed.filter((channel) => channel !== "transfers");
    const asked = this.first ? without.join() : channels?.join();
    const given = { ...this.#key, channels: asked, ...(follows && inUrl), ...position };
    for (const [name, value] of Object.entries(given)) {
      if (isText(value) || (name === "channels" && value === "")) url.searchParams.set(name, value);
    }
    return url.href;
  }

  #resume() {
    const { epoch, seq, cursor } = this.position;
    if (cursor !== null && (this.#byCursor || epoch === null || seq === null)) return { cursor };
    return epoch !== null && seq !== null ? { resume: `${epoch}:${seq}` } : {};
  }

  /** The events of one message; what is not a message of the protocol is counted, not thrown. */
  received(text) {
    let message = null;
    try {
      message = typeof text === "string" ? JSON.parse(text) : null;
    } catch {
      // counted below
    }
    if (!isObject(message) || typeof message.type !== "string") {
      this.ignored += 1;
      return [];
    }
    if (message.type === "connected") return this.#greeted(message);
    if (message.type === "transfers" || message.type === "transfer") return this.#transfers(message);
    if (message.type === "gap") return this.#toldOfGap(message);
    return this.#other(message);
  }

  #greeted(message) {
    const data = isObject(message.data) ? message.data : {};
    const at = readPosition(data);
    this.#canResume = Array.isArray(data.features) && data.features.includes("resume");
    if (this.first !== null && this.#canResume) this.#askByMessage(at);
    const resuming = this.#asked !== "" && this.#canResume;
    const gap = resuming ? null : this.#tracker.jump(at, "reconnected");
    if (resuming) this.#resumed(at);
    this.#replaying = resuming;
    const events = this.reconnectNow ? [] : [{ kind: "connected", data, resuming }];
    if (gap !== null) events.push({ kind: "gap", ...gap });
    return events;
  }

  /** The position goes into the `subscribe` that is about to be sent: the server's epoch is known here. */
  #askByMessage(at) {
    const { epoch, seq, cursor } = this.position;
    if (seq !== null && epoch !== null && (epoch === at.epoch || cursor === null)) {
      this.first.resume = { epoch, seq };
      this.#asked = "resume";
    } else if (cursor !== null) {
      this.first.resume = { cursor };
      this.#asked = "cursor";
    }
  }

  /** Keeps the own position, which the replay goes on from, unless the server counts differently. */
  #resumed(at) {
    const { epoch, cursor } = this.position;
    if (this.#asked === "cursor") {
      this.#byCursor = false;
      this.#tracker.forgetSeq(at.epoch);
    } else if (at.epoch !== null && at.epoch !== epoch && cursor !== null) {
      this.#byCursor = this.reconnectNow = true;
    }
  }

  #transfers(message) {
    const at = readPosition(message);
    const gap = this.#tracker.frame(at, isSeq(message.prev) ? message.prev : null);
    const events = gap === null ? [] : [{ kind: "gap", ...gap }];
    const late = message.late === true;
    const replay = message.replay === true;
    // A snapshot accounts for nothing new: it was asked for, whatever came before.
    const snapshot = replay && at.seq !== null && message.prev === at.seq;
    if (!replay) this.#replaying = false;
    for (const transfer of Array.isArray(message.data) ? message.data : [message.data]) {
      if (!isObject(transfer)) this.ignored += 1;
      else if (this.#isNew(transfer.sort_order) || snapshot) {
        events.push({ kind: "transfer", transfer, seq: at.seq, late, replay });
      }
    }
    return events;
  }

  #isNew(key) {
    return typeof key !== "string" || this.#seen.add(key);
  }

  #toldOfGap(message) {
    const data = isObject(message.data) ? message.data : {};
    const fromSeq = isSeq(data.fromSeq) ? data.fromSeq : null;
    const toSeq = isSeq(data.toSeq) ? data.toSeq : null;
    const reason = isText(data.reason) ? data.reason : "missed";
    const at = positionAnywhere(message);
    // What was missed of another numbering has no number: that is a gap of its own.
    const epochGap = this.#tracker.mark({ epoch: at.epoch, seq: null, cursor: null });
    const events = epochGap === null || reason === epochGap.reason ? [] : [{ kind: "gap", ...epochGap }];
    if ((data.channel ?? "transfers") === "transfers") this.#tracker.move({ ...at, seq: at.seq ?? toSeq });
    return [...events, { kind: "gap", fromSeq, toSeq, reason }];
  }

  #other(message) {
    const data = isObject(message.data) ? message.data : {};
    const events = [];
    if (this.#accountsForAll(message.type, data)) {
      const gap = this.#tracker.mark(positionAnywhere(message));
      if (gap !== null) events.push({ kind: "gap", ...gap });
    }
    if (message.type === "subscribed" && data.channel === "transfers") this.#taken(data.filter);
    if (message.type === "filterSet") this.#taken(data.filter);
    events.push({ kind: "message", type: message.type, data: message.data, message });
    return events;
  }

  /**
   * Whether a message's position is this client's too. While it is replayed to, only what is
   * replayed moves it: a connection lost in between has to resume from there, not from the head.
   */
  #accountsForAll(type, data) {
    if (type === "subscribed" && data.channel === "transfers") {
      this.#replaying = data.replaying === true;
      return !this.#replaying && data.recovered !== false; // otherwise a gap message follows
    }
    if (type === "caughtUp") this.#replaying = false;
    return !this.#replaying;
  }

  #taken(filter) {
    if (isObject(filter)) this.wanted = { ...this.wanted, filter, checked: true };
  }
}

/** A filter as URL parameters, or null when a URL cannot carry it. */
function filterParameters(filter) {
  const parameters = {};
  for (const [field, value] of Object.entries(filter)) {
    const texts = Array.isArray(value) ? value : [value];
    const plain = texts.every((text) => isText(text) && !text.includes(","));
    if (!(field in PARAMETERS) || !plain) return null;
    parameters[PARAMETERS[field]] = texts.join();
  }
  return parameters;
}

/** The queue of one `for await`; when it overflows, what waits is dropped and a gap takes its place. */
class Reader {
  #queue = [];
  #waiting = null;
  #limit;
  #end = null;
  #onReturn;

  constructor(limit, onReturn) {
    this.#limit = limit;
    this.#onReturn = onReturn;
  }

  push(event) {
    if (this.#queue.length >= this.#limit) {
      this.#queue = [{ kind: "gap", fromSeq: null, toSeq: null, reason: "slow_consumer" }];
    }
    this.#queue.push(event);
    this.#serve();
  }

  end(error) {
    this.#end ??= { error };
    this.#serve();
  }

  #serve() {
    if (this.#waiting === null || (this.#queue.length === 0 && this.#end === null)) return;
    const { resolve, reject } = this.#waiting;
    this.#waiting = null;
    if (this.#queue.length) resolve({ value: this.#queue.shift(), done: false });
    else if (this.#end.error) reject(this.#end.error);
    else resolve({ value: undefined, done: true });
  }

  next() {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#serve();
    });
  }

  return() {
    this.#onReturn();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** The stream's address next to this module, in a browser. */
function addressHere() {
  const here = new URL("./ws", import.meta.url);
  here.protocol = here.protocol === "https:" ? "wss:" : "ws:";
  return here.href;
}

/**
 * Options: `channels` (null: the server's default), `filter` (the protocol's filter object),
 * `form` (`batch` or `single`), `apiKey`, `position` ({epoch, seq, cursor} kept from an earlier
 * client), `backoff` ({baseMs, capMs, stableMs, draw}), `connectTimeoutMs`, `pingIntervalMs` and
 * `pingTimeoutMs` (of silence until a ping, and for its answer), `requestTimeoutMs`, `remember`
 * (transfers kept in mind against repeats), `queue` (events a slow `for await` may leave waiting)
 * and `WebSocket`.
 */
export class UnionClient extends EventTarget {
  #session;
  #reconnect;
  #options;
  #socket = null;
  #greeted = false;
  #timers = {};
  #heard = 0;
  #requests = new Map();
  #number = 0;
  #readers = new Set();
  #state = "idle";
  #ending = null;

  constructor(url = addressHere(), options = {}) {
    super();
    const protocol = URL.canParse?.(url) === false ? "" : new URL(url).protocol;
    if (protocol !== "ws:" && protocol !== "wss:") {
      throw new UnionError("bad_address", `not a WebSocket address: ${url} (such as ws://127.0.0.1:8080/ws)`);
    }
    this.#options = {
      connectTimeoutMs: 10_000, pingIntervalMs: 20_000, pingTimeoutMs: 10_000, requestTimeoutMs: 10_000,
      queue: 10_000, WebSocket: globalThis.WebSocket, ...options,
    };
    if (typeof this.#options.WebSocket !== "function") {
      throw new UnionError("no_websocket", "there is no WebSocket here: give one as { WebSocket }");
    }
    this.#session = new Session(url, options);
    this.#reconnect = new Reconnect(options.backoff);
  }

  /** How far the stream was followed: `{epoch, seq, cursor}`, null where unknown. */
  get position() {
    return { ...this.#session.position };
  }

  /** `idle`, `connecting`, `open`, `waiting` (for the next attempt) or `closed`. */
  get state() {
    return this.#state;
  }

  /** The filter of the transfers channel, in canonical form once the server took it. */
  get filter() {
    return this.#session.wanted.filter;
  }

  /** Messages that were no messages of the protocol. */
  get ignored() {
    return this.#session.ignored;
  }

  /** Calls `listener` with each event's fields; answers a function that ends it. */
  on(name, listener) {
    const call = (event) => listener(event.detail);
    this.addEventListener(name, call);
    return () => this.removeEventListener(name, call);
  }

  /** Connects, and keeps connected until `close()`. Iterating does it too. */
  start() {
    if (this.#state === "idle") this.#connect();
    return this;
  }

  /** Skips what is left of the wait for the next attempt. */
  retryNow() {
    if (this.#state === "waiting") this.#connect();
  }

  /** Ends the connection and every iteration. */
  close() {
    this.#finish(null);
  }

  [Symbol.asyncIterator]() {
    const reader = new Reader(this.#options.queue, () => this.#readers.delete(reader));
    if (this.#state === "closed") reader.end(this.#ending);
    else this.#readers.add(reader);
    this.start();
    return reader;
  }

  /** Only the transfers, each once. */
  async *transfers() {
    for await (const event of this) {
      if (event.kind === "transfer") yield event.transfer;
    }
  }

  // -- requests -----------------------------------------------------------------------------------

  /**
   * Sends a request and answers the server's reply. Throws UnionError: the server's refusal by its
   * code, `disconnected` without a connection, `timeout`.
   */
  request(type, data) {
    if (!this.#greeted) return Promise.reject(new UnionError("disconnected", "there is no connection now"));
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      const late = () => this.#settle(id, null, new UnionError("timeout", `no answer to ${type}`));
      const timer = setTimeout(late, this.#options.requestTimeoutMs);
      this.#requests.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ type, id, ...(data === undefined ? {} : { data }) }));
    });
  }

  #settle(id, message, error = null) {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    if (error !== null) request.reject(error);
    else if (message.type === "error") request.reject(new UnionError(message.code, message.message));
    else request.resolve(message);
  }

  /**
   * Subscribes to a channel, now and on later connections; replaces what there was. `snapshot`:
   * how many of the newest transfers to send first; these come even if they have come before.
   *
   * Answers the `subscribed` message; null without a connection: then it is done on the next one.
   */
  subscribe(channel, { filter, resume, snapshot } = {}) {
    const { wanted } = this.#session;
    const channels = [...new Set([...(wanted.channels ?? DEFAULT_CHANNELS), channel])];
    const filtered = channel === "transfers" ? { filter: filter ?? {}, checked: false } : {};
    const data = { channel, filter, resume, snapshot };
    return this.#change({ ...wanted, channels, ...filtered }, "subscribe", data);
  }

  /** Leaves a channel, now and on later connections. Answers as `subscribe` does. */
  unsubscribe(channel) {
    const { wanted } = this.#session;
    const channels = (wanted.channels ?? DEFAULT_CHANNELS).filter((name) => name !== channel);
    return this.#change({ ...wanted, channels }, "unsubscribe", { channel });
  }

  /** Replaces the filter, now and on later connections. Answers `filterSet`, or null as above. */
  setFilter(filter, channel = "transfers") {
    const wanted = { ...this.#session.wanted, filter, checked: false };
    return this.#change(wanted, "setFilter", { channel, filter });
  }

  listSubscriptions() {
    return this.request("listSubscriptions");
  }

  /** `what`: `chartData`, `chains` or `serverInfo`. */
  get(what) {
    return this.request("get", { what });
  }

  ping() {
    return this.request("ping");
  }

  /** A change that outlives the connection; one that the server refuses is taken back. */
  async #change(wanted, type, data) {
    const old = this.#session.wanted;
    this.#session.wanted = wanted;
    if (!this.#greeted) return null;
    try {
      return await this.request(type, data);
    } catch (error) {
      if (error.code === "disconnected") return null;
      if (this.#session.wanted === wanted) this.#session.wanted = old;
      throw error;
    }
  }

  // -- the connection -------------------------------------------------------------------------------

  #connect() {
    this.#stopTimers();
    this.#setState("connecting");
    const socket = new this.#options.WebSocket(this.#session.nextUrl());
    const mine = (handle) => (event) => socket === this.#socket && handle(event);
    this.#socket = socket;
    socket.onopen = mine(() => this.#onOpen());
    socket.onmessage = mine((event) => this.#onMessage(event.data));
    socket.onclose = mine((event) => this.#ended(event.code === 1006 ? null : event.code, event.reason));
    // A close follows, but in some versions of Node none does when the connection is refused.
    socket.onerror = mine(() => this.#after("failed", CLOSE_WAIT_MS, () => this.#cut("cannot connect")));
    this.#after("opening", this.#options.connectTimeoutMs, () => this.#cut("no answer in time"));
  }

  #onOpen() {
    this.#stopTimers();
    this.#reconnect.opened(monotonic());
    this.#watch();
  }

  #onMessage(text) {
    this.#heard = monotonic();
    for (const event of this.#session.received(text)) {
      if (event.kind === "connected") this.#onGreeting();
      if (event.kind === "message") this.#onReply(event);
      this.#emit(event);
      if (this.#state === "closed") return;
    }
    if (this.#session.reconnectNow) this.#replace();
  }

  #onGreeting() {
    this.#greeted = true;
    this.#setState("open");
    const { first } = this.#session;
    if (first !== null) this.request("subscribe", first).catch((error) => this.#onFirstRefused(error));
  }

  /** Without its filter this client must not go on: it would get what it did not ask for. */
  #onFirstRefused(error) {
    if (error.code !== "disconnected" && error.code !== "timeout") this.#finish(error);
    else if (error.code === "timeout") this.#cut("no answer to subscribe");
  }

  #onReply({ type, data, message }) {
    if (type === "serverShutdown") this.#reconnect.announced(data);
    if (message.id !== undefined) this.#settle(message.id, message);
  }

  /** The server counts differently: come again by cursor, at once. */
  #replace() {
    this.#drop(1000);
    this.#connect();
  }

  #cut(reason) {
    this.#drop();
    this.#ended(null, reason);
  }

  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#lost();
    socket?.close(code);
  }

  #lost() {
    this.#greeted = false;
    this.#stopTimers();
    for (const id of [...this.#requests.keys()]) {
      this.#settle(id, null, new UnionError("disconnected", "the connection was lost"));
    }
  }

  #ended(code, reason) {
    this.#socket = null;
    this.#lost();
    const established = this.#reconnect.isOpen;
    const retryInMs = this.#reconnect.delay(code, monotonic());
    if (retryInMs === null) {
      this.#finish(new UnionError("closed", `the server closed the connection for good: ${code} ${reason}`, code));
      return;
    }
    this.#after("retry", retryInMs, () => this.#connect());
    this.#setState("waiting");
    this.#emit({ kind: "disconnected", code, reason, retryInMs, established });
  }

  #finish(error) {
    if (this.#state === "closed") return;
    this.#ending = error;
    this.#drop(1000);
    this.#setState("closed");
    if (error !== null) this.dispatchEvent(new CustomEvent("error", { detail: { error } }));
    for (const reader of this.#readers) reader.end(error);
    this.#readers.clear();
  }

  /** A quiet connection is asked for a sign of life; one that gives none is dead and replaced. */
  #watch() {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    this.#heard = monotonic();
    const look = () => {
      const quiet = monotonic() - this.#heard;
      if (quiet < pingIntervalMs) return this.#after("watch", pingIntervalMs - quiet, look);
      const asked = monotonic();
      this.#after("watch", pingTimeoutMs, () => {
        if (this.#heard >= asked) look();
        else this.#cut("no answer to a ping");
      });
      this.#socket.send('{"type":"ping"}');
    };
    this.#after("watch", pingIntervalMs, look);
  }

  #after(name, ms, action) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(action, ms);
  }

  #stopTimers() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
  }

  #setState(state) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state } }));
  }

  #emit(event) {
    const { kind, ...detail } = event;
    for (const reader of this.#readers) reader.push(event);
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

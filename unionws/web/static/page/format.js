/** Words and figures, in the reader's own language where there is a choice. */

const whole = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0, signDisplay: "exceptZero" });
const rate = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const tenth = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const SPANS = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
const separator = new Intl.NumberFormat().formatToParts(0.5).find((part) => part.type === "decimal").value;

export const count = (number) => whole.format(number);
export const short = (number) => (Math.abs(number) < 10_000 ? whole.format(round(number)) : compact.format(number));
export const perSecond = (number) => (number >= 100 ? whole.format(Math.round(number)) : rate.format(number));
export const change = (number) => `${percent.format(number)} %`;
export const timeOf = (milliseconds) => clock.format(milliseconds);
export const momentOf = (milliseconds) => moment.format(milliseconds);

/** A time span in the unit that suits it. */
export function lasting(seconds) {
  const [unit, size] = SPANS.find(([, size]) => seconds >= size) ?? SPANS.at(-1);
  const value = seconds / size;
  return `${value < 10 && size > 1 ? tenth.format(value) : whole.format(Math.round(value))} ${unit}`;
}

/** As many digits as matter: 1234.5678 → 1235, 12.345 → 12.35, 0.00012345 → 0.000123. */
function round(number) {
  if (Math.abs(number) >= 1000) return Math.round(number);
  return Number(number.toPrecision(Math.abs(number) >= 1 ? 4 : 3));
}

/** An exact decimal text, shortened by digits and never by way of a float. */
export function amount(text) {
  const [digits, fraction = ""] = text.split(".");
  const kept = digits === "0" ? significant(fraction, 3) : fraction.slice(0, Math.max(0, 6 - digits.length)).slice(0, 2);
  const shown = kept.replace(/0+$/, "");
  return grouped(digits) + (shown && separator + shown);
}

function significant(fraction, wanted) {
  const zeros = fraction.length - fraction.replace(/^0+/, "").length;
  return fraction.slice(0, zeros + wanted);
}

function grouped(digits) {
  return whole.format(BigInt(digits));
}

/** The two ends of an address. */
export function ends(address) {
  if (address.length <= 18) return address;
  const start = /^[a-z]+1/.exec(address)?.[0].length ?? 2;
  return `${address.slice(0, start + 4)}…${address.slice(-4)}`;
}

const places = new Map();

/** The chains there are: their colours are spread over them. */
export function knowChains(ids) {
  for (const id of [...ids].sort()) if (!places.has(id)) places.set(id, places.size);
}

/** A colour for a chain, as different as can be from those of its neighbours (the golden angle). */
export function hue(chain) {
  knowChains([chain]);
  return (places.get(chain) * 137.508 + 200) % 360;
}

/** An element with text, and properties of it. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

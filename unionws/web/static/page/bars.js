/** Lists with bars: rows that are painted again and again, and change only where they must. */

import { change, count, hue, make } from "./format.js";

const ROWS = 10;

/** A list whose rows are used again, so that focus stays and bars move. */
export function paint(list, entries, none, fill, weight) {
  const shown = entries.slice(0, ROWS);
  if (!shown.length) {
    if (!list.querySelector(".none")) list.replaceChildren(make("li", { className: "none", textContent: none }));
    return;
  }
  list.querySelector(".none")?.remove();
  const largest = Math.max(1, ...shown.map(weight));
  while (list.children.length > shown.length) list.lastElementChild.remove();
  while (list.children.length < shown.length) list.append(make("li", {}, make("button", { type: "button" })));
  shown.forEach((entry, index) => fill(list.children[index].firstElementChild, entry, weight(entry) / largest));
}

export function fillRow(row, share, figure, moved, label, small) {
  if (row.children.length !== 2) row.replaceChildren(make("span"), make("span", { className: "figure" }, "", " ", make("small")));
  const [left, right] = row.children;
  renew(left, row.title, label);
  row.parentElement.style.setProperty("--share", share);
  const text = typeof figure === "number" ? count(figure) : figure;
  if (right.firstChild.data !== text) right.firstChild.data = text;
  write(right.lastChild, small ?? (moved === undefined ? "" : change(moved)));
}

/** New children only where they mean something new. */
export function renew(parent, meaning, make) {
  if (parent.dataset.meaning === meaning) return;
  parent.dataset.meaning = meaning;
  parent.replaceChildren(...make());
}

export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function chain(name, id) {
  const span = make("span", { className: "chain", textContent: name });
  span.style.setProperty("--hue", hue(id));
  return span;
}

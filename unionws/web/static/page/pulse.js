/** Transfers a second, as they arrive: a figure and a line of the last 90 seconds. */

import { perSecond } from "./format.js";

const SECONDS = 90;
const AVERAGED = 10;
const [WIDTH, HEIGHT] = [300, 48];

export class Pulse {
  #counts = new Array(SECONDS).fill(0);
  #arrived = 0;
  #seconds = 0;
  #figure;
  #line;
  #area;

  constructor(figure, spark) {
    this.#figure = figure;
    this.#line = spark.querySelector(".line");
    this.#area = spark.querySelector(".area");
    setInterval(() => this.#tick(), 1000);
  }

  arrived() {
    this.#arrived += 1;
  }

  #tick() {
    this.#seconds = Math.min(SECONDS, this.#seconds + 1);
    this.#counts.shift();
    this.#counts.push(this.#arrived);
    this.#arrived = 0;
    if (!document.hidden) requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    const known = Math.min(AVERAGED, this.#seconds);
    const recent = this.#counts.slice(-known);
    this.#figure.textContent = perSecond(recent.reduce((sum, count) => sum + count, 0) / known);
    const smooth = this.#counts.map((_, index) => mean(this.#counts.slice(Math.max(0, index - 2), index + 1)));
    const largest = Math.max(1, ...smooth);
    const points = smooth.map((value, index) => [
      ((index / (SECONDS - 1)) * WIDTH).toFixed(1), (HEIGHT - 1 - (value / largest) * (HEIGHT - 4)).toFixed(1),
    ]);
    const line = points.slice(-Math.max(2, this.#seconds)).map((point) => point.join(" "));
    const begin = line[0].split(" ")[0];
    this.#line.setAttribute("d", `M${line.join("L")}`);
    this.#area.setAttribute("d", `M${begin} ${HEIGHT}L${line.join("L")}L${WIDTH} ${HEIGHT}Z`);
  }
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** How the network fares: how long transfers take on each route, and how the chains' nodes answer. */

import { chain, fillRow, paint } from "./bars.js";
import { count, lasting, make, momentOf } from "./format.js";

const element = (id) => document.getElementById(id);
const STEPS = [["packetRecv", "received"], ["writeAck", "acknowledged there"], ["packetAck", "acknowledged back"]];

export class Network {
  #data = null;
  #scheduled = false;
  #onFilter;

  /** `onFilter` is called with fields for the filter when somebody chooses a route or chain. */
  constructor({ onFilter }) {
    this.#onFilter = onFilter;
  }

  show(data) {
    this.#data = data;
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#paint(this.#data);
    });
  }

  /** A server that measures neither shows neither. */
  #paint({ latencyData: routes = [], nodeHealthData: nodes }) {
    element("latency-card").hidden = !routes.length;
    element("nodes-card").hidden = !nodes;
    this.#paintRoutes(routes);
    if (nodes) this.#paintNodes(nodes);
  }

  #paintRoutes(routes) {
    paint(element("latencies"), routes, "", (row, route, share) => {
      row.onclick = () => this.#onFilter({ from: route.sourceChain, to: route.destinationChain });
      row.title = [`${route.sourceName} → ${route.destinationName}`, ...STEPS.map(([key, words]) => spread(route[key], words))].join("\n");
      fillRow(row, share, lasting(route.packetRecv.median), undefined, () => [
        chain(route.sourceName, route.sourceChain), make("span", { className: "arrow", textContent: "→" }),
        chain(route.destinationName, route.destinationChain),
      ], `95 % ${lasting(route.packetRecv.p95)}`);
    }, (route) => route.packetRecv.median);
  }

  #paintNodes({ totalNodes, healthyNodes, nodesWithRpcs, chainHealthStats }) {
    element("nodes-note").textContent = `${count(healthyNodes)} of ${count(totalNodes)} answer well`;
    const chains = Object.entries(chainHealthStats).sort(([, a], [, b]) => ailing(b) - ailing(a) || b.avgResponseTime - a.avgResponseTime);
    paint(element("nodes"), chains, "", (row, [id, stats]) => {
      row.onclick = () => this.#onFilter({ chain: id });
      row.title = [`${stats.chainName}: up ${stats.uptime} % of the time`, ...troubles(nodesWithRpcs, id)].join("\n");
      row.parentElement.classList.toggle("ailing", stats.healthyNodes < stats.totalNodes);
      const answered = stats.avgResponseTime ? `${count(stats.avgResponseTime)} ms` : "no answer";
      fillRow(row, stats.healthyNodes / stats.totalNodes, `${count(stats.healthyNodes)} of ${count(stats.totalNodes)}`, undefined, () => [
        chain(stats.chainName, id),
      ], answered);
    }, () => 0);
  }
}

const ailing = ({ healthyNodes, totalNodes }) => 1 - healthyNodes / totalNodes;

const spread = ({ p5, median, p95 }, words) => `${words}: half within ${lasting(median)}, 5 % within ${lasting(p5)}, 95 % within ${lasting(p95)}`;

/** What is wrong with a chain's nodes, a line each. */
function troubles(nodes, id) {
  return nodes.filter(({ chainId, status }) => chainId === id && status !== "healthy")
    .map(({ rpcUrl, status, errorMessage, lastCheckTime }) =>
      `${rpcUrl} ${status}${errorMessage ? `: ${errorMessage}` : ""}, asked ${momentOf(lastCheckTime * 1000)}`);
}

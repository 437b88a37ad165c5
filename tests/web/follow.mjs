// Runs a UnionClient as it is told: events go out as lines of JSON, calls come in as lines of JSON.
//
//     node follow.mjs CLIENT_MODULE URL OPTIONS [WEBSOCKET_MODULE]

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [module, url, given, sockets] = process.argv.slice(2);
const { UnionClient } = await import(pathToFileURL(module));
const options = JSON.parse(given);
if (sockets) options.WebSocket = (await import(pathToFileURL(sockets))).WebSocket;

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const told = (error) => ({ code: error.code, message: error.message, closeCode: error.closeCode });

let client;
try {
  client = new UnionClient(url, options);
} catch (error) {
  say({ event: "thrown", ...told(error) });
  process.exit();
}
for (const event of ["connected", "transfer", "message", "gap", "disconnected", "state"]) {
  client.on(event, (detail) => say({ event, ...detail }));
}
client.on("error", ({ error }) => say({ event: "error", ...told(error) }));

const iterate = async () => {
  try {
    for await (const transfer of client.transfers()) say({ event: "iterated", transfer });
    say({ event: "ended", error: null });
  } catch (error) {
    say({ event: "ended", error: told(error) });
  }
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { number, call, args } = JSON.parse(line);
  try {
    const member = call === "iterate" ? iterate : client[call];
    const value = typeof member === "function" ? await member.apply(client, args) : member;
    say({ number, value: value === client ? "itself" : (value ?? null) });
  } catch (error) {
    say({ number, refused: told(error) });
  }
});
say({ event: "ready" });

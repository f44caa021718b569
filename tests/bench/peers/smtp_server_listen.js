// Node's smtp-server as a listener under the contract of bench_programs.py: takes every message, keeps none.
//
//   node smtp_server_listen.js MODULES --port P --messages N --seconds S [--certificate FILE --key FILE]
//
// MODULES is the folder in which npm has put smtp-server. Its greeting waits for 100 ms, for clients that talk too early; that
// cannot be set.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const [modules, ...words] = process.argv.slice(2);
const { SMTPServer } = createRequire(path.join(modules, "x.js"))("smtp-server");
const options = { port: "0", messages: "10000", seconds: "60" };
for (let at = 0; at + 1 < words.length; at += 2) {
  options[words[at].replace(/^--/, "")] = words[at + 1];
}

const wanted = Number(options.messages);
let messages = 0;
let connections = 0;
let open = 0;
let first = process.hrtime.bigint();
let last = first;
let before = process.cpuUsage();

const tls = options.certificate
  ? { cert: fs.readFileSync(options.certificate), key: fs.readFileSync(options.key) }
  : { disabledCommands: ["STARTTLS"] };
const server = new SMTPServer({
  ...tls,
  authOptional: true,
  // A look-up of the client's name would ask the DNS.
  disableReverseLookup: true,
  onData(stream, _session, done) {
    stream.on("data", () => {});
    stream.on("end", () => {
      messages += 1;
      last = process.hrtime.bigint();
      done();
    });
  },
});
// A client that breaks off is missed by who counts.
server.on("error", () => {});
server.server.on("connection", (socket) => {
  if (connections === 0) {
    first = process.hrtime.bigint();
  }
  connections += 1;
  open += 1;
  socket.on("close", () => {
    open -= 1;
    if (messages >= wanted && open === 0) {
      end();
    }
  });
});

function end() {
  const seconds = Number(last - first) / 1e9;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ messages, connections, seconds, cpu_seconds: (user + system) / 1e6 }));
  process.exit(0);
}

process.on("SIGTERM", end);
setTimeout(end, Number(options.seconds) * 1000);
server.listen(Number(options.port), "127.0.0.1", () => {
  console.log(`port ${server.server.address().port}`);
  before = process.cpuUsage();
});

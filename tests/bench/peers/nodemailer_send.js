// nodemailer as a client under the contract of bench_programs.py: its pool with one kept connection, and raw messages.
//
//   node nodemailer_send.js MODULES --port P --messages N --size BYTES --seconds S
//
// MODULES is the folder in which npm has put nodemailer.
"use strict";

const path = require("node:path");
const { createRequire } = require("node:module");

const [modules, ...words] = process.argv.slice(2);
const nodemailer = createRequire(path.join(modules, "x.js"))("nodemailer");
const options = { messages: "1000", size: "1024", seconds: "60" };
for (let at = 0; at + 1 < words.length; at += 2) {
  options[words[at].replace(/^--/, "")] = words[at + 1];
}

const messages = Number(options.messages);
const head = "Subject: nodemailer\r\n\r\n";
const raw = (head + ("x".repeat(72) + "\r\n").repeat(Number(options.size) / 74 + 1)).slice(0, options.size - 2) + "\r\n";

async function main() {
  const start = process.hrtime.bigint();
  const transport = nodemailer.createTransport({
    host: "127.0.0.1",
    port: Number(options.port),
    name: "client.example",
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
    maxMessages: Infinity,
  });
  const envelope = { from: "sender@client.example", to: ["recipient@server.example"] };
  for (let sent = 0; sent < messages; sent++) {
    await transport.sendMail({ envelope, raw });
  }
  transport.close();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ messages, connections: 1, seconds, cpu_seconds: (user + system) / 1e6 }));
}

const limit = setTimeout(() => {
  console.error("the time limit has passed");
  process.exit(1);
}, Number(options.seconds) * 1000);
main().then(
  () => clearTimeout(limit),
  (error) => {
    console.error(String(error));
    process.exit(1);
  },
);

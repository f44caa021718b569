// Sends messages by nodemailer, one after the other. What and where to is an object in JSON, as senders.py writes it.

const fs = require("fs");
const nodemailer = require("nodemailer");

const what = JSON.parse(process.argv[2]);
const auth = what.user && {
  user: what.user,
  ...(what.mechanism === "XOAUTH2" ? { type: "OAuth2", accessToken: what.secret } : { pass: what.secret }),
};

const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port: what.port,
  secure: what.secure,
  requireTLS: what.requireTLS,
  ignoreTLS: what.ignoreTLS,
  tls: what.authority ? { ca: fs.readFileSync(what.authority) } : undefined,
  authMethod: what.mechanism || undefined,
  auth: auth || undefined,
});

async function sendAll() {
  for (const [recipient, file] of what.messages) {
    await transport.sendMail({ envelope: { from: what.sender, to: [recipient] }, raw: fs.readFileSync(file) });
  }
}

sendAll().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

// Node's smtp-server for the interop tests: FOLDER CERTIFICATE KEY USER PASSWORD TOKEN SIZE, then the ports: with STARTTLS and PLAIN,
// with STARTTLS and LOGIN, with STARTTLS and all mechanisms, with TLS from the start and all of them. A message is kept in
// FOLDER by the name of its recipient, behind a line that says how it came.

const fs = require("fs");
const path = require("path");
const { SMTPServer } = require("smtp-server");

const [folder, certificate, key, user, password, token, size, ...ports] = process.argv.slice(2);
const ALL = ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"];

function isRight(auth) {
  if (auth.username !== user) {
    return false;
  }
  switch (auth.method) {
    case "CRAM-MD5":
      return auth.validatePassword(password);
    case "XOAUTH2":
      return auth.accessToken === token;
    default:
      return auth.password === password;
  }
}

function keep(stream, session, done) {
  const pieces = [];
  stream.on("data", (piece) => pieces.push(piece));
  stream.on("end", () => {
    const way = `${session.transmissionType}\r\n`;
    for (const { address } of session.envelope.rcptTo) {
      const file = path.join(folder, path.basename(address));
      fs.writeFileSync(`${file}.part`, Buffer.concat([Buffer.from(way), ...pieces]));
      fs.renameSync(`${file}.part`, file);
    }
    done();
  });
}

[["PLAIN"], ["LOGIN"], ALL, ALL].forEach((authMethods, at) => {
  const server = new SMTPServer({
    cert: fs.readFileSync(certificate),
    key: fs.readFileSync(key),
    secure: at === 3,
    size: Number(size),
    authOptional: true,
    authMethods,
    // A look-up of the client's name would ask the DNS.
    disableReverseLookup: true,
    onAuth(auth, _session, done) {
      done(null, isRight(auth) ? { user } : { message: "Authentication credentials invalid" });
    },
    onData: keep,
  });
  // A client that is gone is no reason to stop.
  server.on("error", () => {});
  server.listen(Number(ports[at]), "127.0.0.1");
});

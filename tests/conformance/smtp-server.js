// Node's smtp-server with its own defaults, for the conformance cases: PORT CERTIFICATE KEY USER PASSWORD SIZE.

const fs = require("fs");
const { SMTPServer } = require("smtp-server");

const [port, certificate, key, user, password, size] = process.argv.slice(2);

const server = new SMTPServer({
  cert: fs.readFileSync(certificate),
  key: fs.readFileSync(key),
  size: Number(size),
  authOptional: true,
  // A look-up of the client's name would ask the DNS.
  disableReverseLookup: true,
  onAuth(auth, _session, done) {
    const right = auth.username === user && auth.password === password;
    done(right ? null : new Error("Authentication credentials invalid"), right ? { user } : undefined);
  },
  onData(stream, _session, done) {
    stream.on("data", () => {});
    stream.on("end", () => {
      if (!stream.sizeExceeded) {
        return done();
      }
      const error = new Error("Message exceeds fixed maximum message size");
      error.responseCode = 552;
      return done(error);
    });
  },
});

// A client that is gone is no reason to stop.
server.on("error", () => {});
server.listen(Number(port), "127.0.0.1");

"""Prints what arrives: listen.py ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]]"""

import signal
import sys
import threading
from pathlib import Path

import mailwire


class Handler:
    def __init__(self, count, directory):
        self.count = count
        self.directory = directory
        self.number = 0
        self.done = threading.Event()
        self.lock = threading.Lock()

    def rcpt(self, session, recipient, options):
        if recipient.startswith("nobody@"):
            return "550 5.1.1 No such mailbox"

    def data(self, session, envelope):
        with self.lock:
            self.number += 1
            if self.directory:
                (self.directory / f"{self.number}.eml").write_bytes(envelope.body)
            tls, recipients = session.tls.version, ",".join(envelope.recipients)
            print(session.peer, tls, session.user, envelope.sender, recipients, envelope.size, flush=True)
            if self.number == self.count:
                self.done.set()


def main(address, cert, key, user, password, count=0, directory=None):
    host, _, port = address.rpartition(":")
    handler = Handler(int(count), directory and Path(directory))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: handler.done.set())
    server = mailwire.Server(
        handler,
        host.strip("[]"),
        int(port),
        tls=mailwire.TLS.from_files(cert, key),
        require_tls=True,
        auth={user: password},
        auth_required=True,
    )
    with server:
        print("listening on", "{}:{}".format(*server.address), flush=True)
        handler.done.wait()


if __name__ == "__main__":
    if not 6 <= len(sys.argv) <= 8:
        sys.exit("usage: listen.py ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]]")
    try:
        main(*sys.argv[1:])
    except (ValueError, mailwire.Error) as error:
        sys.exit(f"listen.py: {error}")

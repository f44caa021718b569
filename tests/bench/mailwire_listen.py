"""mailwire's listener in Python under the contract of bench_programs.py: a handler with `def data` takes every message, and keeps none."""

from __future__ import annotations

import argparse
import signal
import threading
import time

import mailwire
from peers import contract

CONNECTIONS = 20_000
LOOKS_A_SECOND = 100


class Counter:
    """The handler. No other hook is asked, so the time of a run begins with its first message."""

    def __init__(self, messages: int) -> None:
        self.wanted = messages
        self.messages = 0
        self.first_message = self.last_message = 0.0
        self.all_came = threading.Event()
        self._lock = threading.Lock()

    def data(self, session: mailwire.Session, envelope: mailwire.Envelope) -> None:
        now = time.monotonic()
        with self._lock:
            self.messages += 1
            self.first_message = self.first_message or now
            self.last_message = now
            if self.messages == self.wanted:
                self.all_came.set()


def listen(options: argparse.Namespace) -> None:
    counter = Counter(options.messages)
    tls = mailwire.TLS.from_files(options.certificate, options.key) if options.certificate else None
    # As for the listeners in Rust no client comes too often or holds too much.
    limits = mailwire.Limits(connections=CONNECTIONS, per_ip=CONNECTIONS, body_memory_per_address=2**63)
    server = mailwire.Server(counter, port=options.port, tls=tls, limits=limits)
    until = time.monotonic() + options.seconds
    with server:
        print(f"port {server.port}", flush=True)
        before = time.process_time()
        counter.all_came.wait(options.seconds)
        while server.stats["open_sessions"] > 0 and time.monotonic() < until:
            time.sleep(1 / LOOKS_A_SECOND)
        cpu = time.process_time() - before
        connections = server.stats["sessions"]
        server.stop(grace=0)
    contract.report(counter.messages, connections, counter.last_message - counter.first_message, cpu)


def end(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    listen(contract.options(__doc__))


if __name__ == "__main__":
    main()

"""aiosmtpd as a listener under the contract of bench_programs.py: takes every message, keeps none.

It listens without its Controller, which would add a thread and a self-connection that are no part of taking mail.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import time

import contract
from aiosmtpd.smtp import SMTP


class Counter:
    """The handler: counts messages; and what the report needs beside."""

    def __init__(self, messages: int) -> None:
        self.wanted = messages
        self.messages = self.connections = self.open = 0
        self.first_connection = self.last_message = 0.0
        self.ended = asyncio.Event()

    async def handle_DATA(self, server: SMTP, session: object, envelope: object) -> str:
        self.messages += 1
        self.last_message = time.monotonic()
        return "250 2.0.0 Taken"


class CountedSMTP(SMTP):
    """Tells the counter when a connection begins and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        counter = self.event_handler
        counter.connections += 1
        counter.open += 1
        counter.first_connection = counter.first_connection or time.monotonic()
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        counter = self.event_handler
        counter.open -= 1
        if counter.messages >= counter.wanted and counter.open == 0:
            counter.ended.set()
        super().connection_lost(error)


async def listen(port: int, messages: int, seconds: float, tls: ssl.SSLContext | None) -> None:
    counter = Counter(messages)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, counter.ended.set)
    # A name given here saves a DNS look-up for each connection; nothing else is changed.
    server = await loop.create_server(
        lambda: CountedSMTP(counter, hostname="aiosmtpd.example", tls_context=tls),
        "127.0.0.1",
        port,
        family=socket.AF_INET,
    )
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    cpu_before = time.process_time()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(counter.ended.wait(), seconds)
    cpu = time.process_time() - cpu_before
    server.close()
    contract.report(counter.messages, counter.connections, counter.last_message - counter.first_connection, cpu)


def main() -> None:
    options = contract.options(__doc__)
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    asyncio.run(listen(options.port, options.messages, options.seconds, tls))


if __name__ == "__main__":
    main()

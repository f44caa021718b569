"""Measures clients over a link of 50 ms each way: round trips a message, which are counted, and messages a second.

    python3 tests/bench/link.py [--messages N] [--delay MILLISECONDS]

Each client sends N messages of 1 KiB over one kept connection through a proxy that delays (delay.py), and then 2N: the difference is
what N messages cost on a connection that is open. All wait for the link and not for the processor, so they run beside each other. There
are two servers behind it: one that takes messages by DATA alone, and mailwire's, which offers CHUNKING (RFC 3030) too; both offer
PIPELINING (RFC 2920).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
from collections.abc import Callable

from bench_programs import FailedError, MissingError, run_client, running
from delay import DelayingProxy
from programs import Programs

SECONDS = 100
"""The most that a run of a client may take."""


def clients(programs: Programs) -> dict[str, Callable[[], list[str]]]:
    """The programs that are compared, by name."""

    def ours(*options: str) -> Callable[[], list[str]]:
        return lambda: programs.mailwire("bench-send", *options)

    return {
        "mailwire, send": ours("--client", "tasks", "--mode", "send"),
        "mailwire, send, blocking": ours("--client", "threads", "--mode", "send"),
        "mailwire, send_many": ours("--client", "tasks", "--mode", "send_many"),
        "mailwire, send_many, blocking": ours("--client", "threads", "--mode", "send_many"),
        "nodemailer": lambda: programs.node("nodemailer_send.js", "nodemailer"),
        "libcurl": programs.libcurl,
        "lettre": lambda: programs.peer("lettre-send"),
        "smtplib": lambda: programs.python("peers/smtplib_send.py", "smtplib"),
        "aiosmtplib": lambda: programs.python("peers/aiosmtplib_send.py", "aiosmtplib"),
    }


def measure(server_command: list[str], command: list[str], messages: int, delay: float) -> tuple[float, float]:
    """Round trips for a message on a kept connection, and messages a second."""
    trips, seconds = [], []
    for count in (messages, 2 * messages):
        bounds = ["--messages", str(count), "--seconds", str(SECONDS)]
        with (
            running([*server_command, "--port", "0", *bounds]) as server,
            DelayingProxy(server.port, delay) as proxy,
        ):
            sent = run_client([*command, "--port", str(proxy.port), "--size", "1024", *bounds], timeout=SECONDS + 10)
            if sent.messages != count:
                raise FailedError(f"{count} asked for, {sent.messages} sent")
            trips.append(proxy.round_trips)
            seconds.append(sent.seconds)
    return (trips[1] - trips[0]) / messages, messages / (seconds[1] - seconds[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20, help="messages of the shorter run (20)")
    parser.add_argument("--delay", type=float, default=50, help="milliseconds in each direction (50)")
    options = parser.parse_args()
    if options.messages < 1:
        parser.error("--messages takes a number from 1")
    programs = Programs(use_cargo=True)
    servers = {
        "DATA": lambda: [programs.limit("server")],
        "CHUNKING": lambda: programs.mailwire("bench-listen"),
    }
    failed = False
    results: dict[tuple[str, str], str] = {}

    def run(server_command: list[str], command: list[str]) -> str:
        try:
            trips, rate = measure(server_command, command, options.messages, options.delay / 1000)
        except FailedError as why:
            return f"failed: {why}"
        return f"{trips:>12.2f}{rate:>12.1f}"

    # All are built before the first is measured.
    pairs = {}
    for name, find in clients(programs).items():
        for offered, server in servers.items():
            try:
                pairs[name, offered] = (server(), find())
            except MissingError as why:
                results[name, offered] = f"skipped: {why}"
    with concurrent.futures.ThreadPoolExecutor(max(len(pairs), 1)) as pool:
        futures = {pool.submit(run, *commands): of for of, commands in pairs.items()}
        for future in concurrent.futures.as_completed(futures):
            results[futures[future]] = future.result()
    print(f"a link of {options.delay:g} ms each way, messages of 1 KiB, one kept connection")
    for offered in servers:
        print(f"\nthe server offers {'PIPELINING and CHUNKING' if offered == 'CHUNKING' else 'PIPELINING'}")
        print(f"  {'':<32}{'round trips':>12}{'messages/s':>12}")
        for name in clients(programs):
            print(f"  {name:<32}{results[name, offered]}")
            failed |= results[name, offered].startswith("failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Measures mailwire's listener and client beside the limit and beside other software, and prints a table.

    python3 tests/bench/run.py [--rounds N] [--budget SECONDS] [--cpu N] [--short] [--no-cargo]

Every server and client runs on loopback, both on one CPU, one pair after another: round by round each program has its
turn, so that a slow moment of the machine meets all of them. The table shows medians over the rounds and their ratio to
the limit. What each row measures and how to read it stands in README.md beside this file.

A peer that cannot be had is listed as `skipped: name (reason)`. One that was there and failed is listed as
`failed: name (reason)` and makes the status 1. All figures go to build/bench/results.json too.

mailwire's own programs are the binaries of the package `mailwire-bench`, built here by cargo with --release:

    bench-listen --port 0 --messages N --seconds S
        mailwire's listener with a handler that takes every body and keeps none.
    bench-send --mode send|send_many --port P --messages N --size BYTES --seconds S
        mailwire's client on one kept connection: `send` by `send`, or all by `send_many`.

Both keep the contract of bench_programs.py.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench_programs import (
    BUILD,
    HERE,
    ROOT,
    FailedError,
    Figures,
    MissingError,
    build_limits,
    run_client,
    running,
)

SIZE = 1024
CONNECTIONS = 8
RUN_SECONDS = 30
PACKAGE = "mailwire-bench"
CARGO_SECONDS = 1200


@dataclass
class Peer:
    """One line of a row: a program in the place that is measured, and its figures, one for each round."""

    name: str
    messages: int
    command: Callable[[], list[str]]
    figures: list[Figures] = field(default_factory=list)
    trouble: str = ""


@dataclass
class Row:
    """Programs that are compared. The first peer is the limit of the others."""

    title: str
    side: str  # what is measured: "listener" or "client"
    peers: list[Peer]
    limit_options: Sequence[str]  # how the limit client is asked to send, in a listener row


class Programs:
    """Where the programs are, or why they are not; found once."""

    def __init__(self, use_cargo: bool) -> None:
        server, client = build_limits()
        self.limit_server, self.limit_client = str(server), str(client)
        self._mailwire: dict[str, str] = {}
        self._why_not = ""
        try:
            self._mailwire = build_mailwire() if use_cargo else {}
            self._why_not = "" if use_cargo else "not built, as asked by --no-cargo"
        except MissingError as why:
            self._why_not = str(why)

    def mailwire(self, name: str, *options: str) -> list[str]:
        if name not in self._mailwire:
            raise MissingError(self._why_not or f"the package {PACKAGE} has no binary {name}")
        return [self._mailwire[name], *options]

    def python(self, script: str, needs: str) -> list[str]:
        if importlib.util.find_spec(needs) is None:
            raise MissingError(f"this Python has no module {needs}")
        return [sys.executable, str(HERE / "peers" / script)]


def rows_of(programs: Programs) -> list[Row]:
    """What is measured. Counts of messages differ so that a run of each takes about a second at most."""

    def listeners(limit: int, aiosmtpd: int) -> list[Peer]:
        return [
            Peer("limit server", limit, lambda: [programs.limit_server]),
            Peer("mailwire, Rust", limit, lambda: programs.mailwire("bench-listen")),
            Peer(
                f"aiosmtpd {version_of('aiosmtpd')}".rstrip(),
                aiosmtpd,
                lambda: programs.python("aiosmtpd_listen.py", "aiosmtpd"),
            ),
        ]

    return [
        Row(
            f"listener, 1 KiB, {CONNECTIONS} kept connections",
            "listener",
            listeners(10_000, 1_000),
            ["--mode", "0"],
        ),
        Row(
            f"listener, 1 KiB, a connection a message, {CONNECTIONS} at a time",
            "listener",
            listeners(5_000, 500),
            ["--mode", "0", "--fresh"],
        ),
        Row(
            "client, 1 KiB, one kept connection, message by message",
            "client",
            [
                Peer("limit client, mode 0", 10_000, lambda: [programs.limit_client, "--mode", "0"]),
                Peer("mailwire, Rust, send", 10_000, lambda: programs.mailwire("bench-send", "--mode", "send")),
                Peer("smtplib", 5_000, lambda: programs.python("smtplib_send.py", "smtplib")),
            ],
            [],
        ),
        Row(
            "client, 1 KiB, one kept connection, chained pipelining",
            "client",
            [
                Peer("limit client, mode 2", 20_000, lambda: [programs.limit_client, "--mode", "2"]),
                Peer(
                    "mailwire, Rust, send_many", 20_000, lambda: programs.mailwire("bench-send", "--mode", "send_many")
                ),
            ],
            [],
        ),
    ]


def version_of(distribution: str) -> str:
    """The version of an installed Python distribution, or nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def build_mailwire() -> dict[str, str]:
    """Builds mailwire's programs; gives the path of each by name."""
    if shutil.which("cargo") is None:
        raise MissingError("there is no cargo")
    if not (HERE / "Cargo.toml").exists():
        raise MissingError(f"the workspace has no package {PACKAGE}")
    command = ["cargo", "build", "--release", "--package", PACKAGE, "--message-format", "json-render-diagnostics"]
    print(f"building {PACKAGE}", file=sys.stderr)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=CARGO_SECONDS)
    if done.returncode != 0:
        raise MissingError(f"cargo could not build {PACKAGE}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message.get("executable")
    }


def measure(row: Row, peer: Peer, programs: Programs, cpu: int | None) -> Figures:
    """One run of one peer: its counterpart is the limit, and what one counts must be what the other sent."""
    command = peer.command()
    bounds = ["--messages", str(peer.messages), "--seconds", str(RUN_SECONDS)]
    server_command = command if row.side == "listener" else [programs.limit_server]
    with running([*server_command, "--port", "0", *bounds], cpu) as server:
        to_server = ["--port", str(server.port), "--size", str(SIZE), *bounds]
        if row.side == "listener":
            client_command = [programs.limit_client, *row.limit_options, "--connections", str(CONNECTIONS)]
        else:
            client_command = [*command]
        sent = run_client([*client_command, *to_server], cpu, timeout=RUN_SECONDS + 10)
        counted = server.finish()
    if not sent.messages == counted.messages == peer.messages:
        raise FailedError(f"{peer.messages} asked for, {sent.messages} sent, {counted.messages} counted")
    return counted if row.side == "listener" else sent


def run_rounds(rows: list[Row], programs: Programs, rounds: int, budget: float, cpu: int | None) -> int:
    """Gives every peer of every row its turn, round by round, until the budget is spent; gives the rounds done."""
    start = time.monotonic()
    longest = 0.0
    for done in range(rounds):
        began = time.monotonic()
        if done > 0 and began - start + longest > budget:
            return done
        for row in rows:
            for peer in row.peers:
                if peer.trouble:
                    continue
                try:
                    peer.figures.append(measure(row, peer, programs, cpu))
                except MissingError as why:
                    peer.trouble = f"skipped: {peer.name} ({why})"
                except FailedError as why:
                    peer.trouble = f"failed: {peer.name} ({why})"
        longest = max(longest, time.monotonic() - began)
    return rounds


def print_row(row: Row) -> None:
    """The row's table: medians, and their ratio to the limit's."""
    print(f"\n{row.title}")
    print(f"  {'':<28}{'CPU s/10k':>11}{'to limit':>10}{'messages/s':>13}{'to limit':>10}")
    limit = row.peers[0]
    for peer in row.peers:
        if peer.trouble:
            print(f"  {peer.trouble}")
            continue
        cpu, rate = medians(peer)
        if limit.trouble:
            cpu_ratio = rate_ratio = "-"
        else:
            limit_cpu, limit_rate = medians(limit)
            cpu_ratio, rate_ratio = f"{cpu / limit_cpu:.2f}x", f"{rate / limit_rate:.2f}"
        print(f"  {peer.name:<28}{cpu:>11.3f}{cpu_ratio:>10}{rate:>13,.0f}{rate_ratio:>10}")


def medians(peer: Peer) -> tuple[float, float]:
    """Seconds of CPU for 10,000 messages, and messages a second."""
    return (
        statistics.median(figures.cpu_for_10k for figures in peer.figures),
        statistics.median(figures.rate for figures in peer.figures),
    )


def save(rows: list[Row], rounds: int, cpu: int | None, path: Path) -> None:
    """Writes every figure of every round."""
    table = [
        {
            "row": row.title,
            "measured": row.side,
            "peers": [
                {"name": peer.name, "trouble": peer.trouble, "rounds": [vars(figures) for figures in peer.figures]}
                for peer in row.peers
            ],
        }
        for row in rows
    ]
    path.write_text(
        json.dumps(
            {"rounds": rounds, "cpu": cpu, "size": SIZE, "python": platform.python_version(), "rows": table},
            indent=1,
        )
        + "\n"
    )


def leave(number: int, _frame: object) -> None:
    """Turns a signal into an exception, so that the servers that run are stopped on the way out."""
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures mailwire beside the limit and beside other software.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which medians are taken (5)")
    parser.add_argument("--budget", type=float, default=100, help="seconds that all rounds may take (100)")
    parser.add_argument("--cpu", type=int, help="the CPU that server and client share (the last one allowed)")
    parser.add_argument(
        "--no-cargo", action="store_true", help="do not build mailwire's own programs: they are skipped"
    )
    parser.add_argument("--short", action="store_true", help="few messages: shows that all runs, measures nothing")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds takes a number from 1")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed) if options.cpu is None else options.cpu
    if cpu not in allowed:
        parser.error(f"this process may not use CPU {cpu}")

    programs = Programs(use_cargo=not options.no_cargo)
    rows = rows_of(programs)
    if options.short:
        print("short: too few messages for figures that mean anything")
        for peer in (peer for row in rows for peer in row.peers):
            peer.messages //= 20
    rounds = run_rounds(rows, programs, options.rounds, options.budget, cpu)
    print(
        f"medians of {rounds} interleaved rounds; server and client share CPU {cpu}; ratios hold inside this run only"
    )
    print(f"Python {platform.python_version()} for the peers in Python")
    for row in rows:
        print_row(row)
    results = BUILD / "results.json"
    save(rows, rounds, cpu, results)
    print(f"\nevery figure: {results.relative_to(ROOT)}")
    return 1 if any(peer.trouble.startswith("failed") for row in rows for peer in row.peers) else 0


if __name__ == "__main__":
    sys.exit(main())

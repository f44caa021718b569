"""Measures mailwire's listener and client beside the limit and beside other software, and prints tables.

    python3 tests/bench/run.py [--rounds N] [--budget SECONDS] [--rows WORD] [--cpu N] [--short] [--no-cargo]

Every server and client runs on loopback, both on one CPU, one pair after another: round by round each program has its
turn, so that a slow moment of the machine meets all of them. The tables show medians over the rounds and their ratio to
the limit. What each row measures and how to read it stands in README.md beside this file.

A peer that cannot be had is listed as `skipped: name (reason)`. One that was there and failed is listed as
`failed: name (reason)` and makes the status 1. All figures go to build/bench/results.json too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench_programs import BUILD, ROOT, FailedError, Figures, MissingError, run_client, running
from idle import TITLE, Idle, measure_idle, print_idle
from listeners import listener_rows
from programs import Programs
from rows import MIB, Peer, Row, client_rows

RUN_SECONDS = 30
COUNTED = 200
"""Messages, and twice as many, of which the difference tells the system calls of one."""


def measure(row: Row, peer: Peer, programs: Programs, cpu: int | None) -> Figures:
    """One run of one peer: its counterpart is the limit, and what one counts must be what the other sent."""
    return run_pair(row, peer, peer.command(), peer.messages, programs, cpu)


def run_pair(row: Row, peer: Peer, command: list[str], messages: int, programs: Programs, cpu: int | None) -> Figures:
    """Runs a server and a client, of which one is the peer by this command and the other the limit."""
    bounds = ["--messages", str(messages), "--seconds", str(RUN_SECONDS)]
    listens = row.side == "listener"
    limit_server = programs.mailwire("limit-tls-server") if row.tls else [programs.limit("server")]
    limit_client = programs.mailwire("limit-tls-client") if row.tls else [programs.limit("client")]
    server_command, client_command = (command, limit_client) if listens else (limit_server, command)
    if row.tls:
        server_command = [*server_command, *programs.certificate_options()]
    with running([*server_command, "--port", "0", *bounds], cpu) as server:
        to_server = ["--port", str(server.port), "--size", str(row.size), *bounds, *row.options]
        if row.tls:
            to_server += ["--tls", programs.certificate()]
        sent = run_client([*client_command, *to_server], cpu, timeout=RUN_SECONDS + 10)
        counted = server.finish(at_once=peer.silent)
    # Of one that is silent it is known that it has accepted all that was sent.
    taken = sent.messages if peer.silent else counted.messages
    if not sent.messages == taken == messages:
        raise FailedError(f"{messages} asked for, {sent.messages} sent, {taken} counted")
    # One clock for all.
    return replace(sent, cpu_seconds=counted.cpu_seconds) if listens else sent


def count_calls(row: Row, peer: Peer, programs: Programs) -> float:
    """The system calls that the peer does for one message more. Nothing is timed: each call stops the program twice."""
    counts = []
    few = min(COUNTED, peer.messages)
    for messages in (few, 2 * few):
        file = BUILD / "calls"
        command = [programs.limit("count_calls"), str(file), *peer.command()]
        run_pair(row, peer, command, messages, programs, None)
        counts.append(int(file.read_text()))
    return (counts[1] - counts[0]) / few


def build_all(rows: list[Row]) -> None:
    """Builds or looks for the program of each peer, so that no round has to; those that cannot be had are skipped."""
    for peer in (peer for row in rows for peer in row.peers):
        try:
            peer.command()
        except MissingError as why:
            peer.trouble = f"skipped: {peer.name} ({why})"


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


def count_all_calls(rows: list[Row], programs: Programs) -> None:
    """The same for system calls, once."""
    for row in (row for row in rows if row.counted):
        for peer in (peer for peer in row.peers if not peer.trouble):
            try:
                peer.calls = count_calls(row, peer, programs)
            except FailedError as why:
                peer.trouble = f"failed: {peer.name} (while its system calls were counted: {why})"


def print_row(row: Row) -> None:
    """The row's table: medians, and their ratio to the limit's."""
    unit, per_message = ("MiB/s", row.size / MIB) if row.size >= MIB else ("messages/s", 1)
    print(f"\n{row.title}")
    calls = f"{'calls each':>12}" if row.counted else ""
    print(f"  {'':<28}{'CPU s/10k':>11}{'to limit':>10}{unit:>13}{'to limit':>10}{calls}")
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
        calls = "" if peer.calls is None else f"{peer.calls:>12.1f}"
        print(f"  {peer.name:<28}{cpu:>11.3f}{cpu_ratio:>10}{rate * per_message:>13,.0f}{rate_ratio:>10}{calls}")


def medians(peer: Peer) -> tuple[float, float]:
    """Seconds of CPU for 10,000 messages, and messages a second."""
    return (
        statistics.median(figures.cpu_for_10k for figures in peer.figures),
        statistics.median(figures.rate for figures in peer.figures),
    )


def print_allocations(programs: Programs, messages: int) -> list[dict[str, object]]:
    """What mailwire allocates for a message, for each way to send and to be sent to."""
    command = programs.mailwire("bench-allocations")
    with running([programs.limit("server"), "--port", "0", "--seconds", str(RUN_SECONDS)]) as server:
        options = ["--port", str(server.port), "--messages", str(messages), "--seconds", str(RUN_SECONDS)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
    if done.returncode != 0:
        raise FailedError(done.stderr.strip())
    ways: list[dict[str, object]] = [json.loads(line) for line in done.stdout.splitlines()]
    print("\nallocations of mailwire for a message of 1 KiB on a kept connection")
    print(f"  {'':<28}{'number':>11}{'octets':>10}")
    for way in ways:
        print(f"  {way['way']:<28}{way['allocations']:>11.1f}{way['octets']:>10.0f}")
    return ways


def save(
    rows: list[Row], idle: list[Idle], ways: list[dict[str, object]], rounds: int, cpu: int | None, path: Path
) -> None:
    """Writes every figure of every round."""
    table = [
        {
            "row": row.title,
            "measured": row.side,
            "size": row.size,
            "peers": [
                {
                    "name": peer.name,
                    "trouble": peer.trouble,
                    "calls": peer.calls,
                    "rounds": [vars(figures) for figures in peer.figures],
                }
                for peer in row.peers
            ],
        }
        for row in rows
    ]
    about = {"rounds": rounds, "cpu": cpu, "python": platform.python_version()}
    path.write_text(
        json.dumps({**about, "rows": table, "idle": [vars(line) for line in idle], "allocations": ways}, indent=1)
        + "\n"
    )


def leave(number: int, _frame: object) -> None:
    """Turns a signal into an exception, so that the servers that run are stopped on the way out."""
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures mailwire beside the limit and beside other software.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which medians are taken (5)")
    parser.add_argument("--budget", type=float, default=240, help="seconds that all rounds may take (240)")
    parser.add_argument("--rows", default="", help="only rows with this text in their title")
    parser.add_argument("--cpu", type=int, help="the CPU that server and client share (the last one allowed)")
    parser.add_argument("--no-cargo", action="store_true", help="do not build programs in Rust: they are skipped")
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
    rows = [row for row in (*listener_rows(programs), *client_rows(programs)) if options.rows in row.title]
    with_idle = options.rows in TITLE
    if not rows and not with_idle:
        parser.error(f"no row has {options.rows!r} in its title")
    messages = 1000
    if options.short:
        print("short: too few messages for figures that mean anything")
        messages //= 20
        for peer in (peer for row in rows for peer in row.peers):
            peer.messages = max(peer.messages // 20, 2)
    build_all(rows)
    rounds = run_rounds(rows, programs, options.rounds, options.budget, cpu)
    count_all_calls(rows, programs)
    print(
        f"medians of {rounds} interleaved rounds; server and client share CPU {cpu}; ratios hold inside this run only"
    )
    print(f"Python {platform.python_version()} for the peers in Python")
    for row in rows:
        print_row(row)
    idle = measure_idle(programs, short=options.short) if with_idle else []
    if idle:
        print_idle(idle)
    ways: list[dict[str, object]] = []
    failed = any(peer.trouble.startswith("failed") for row in rows for peer in row.peers)
    failed |= any(line.trouble.startswith("failed") for line in idle)
    try:
        ways = print_allocations(programs, messages)
    except MissingError as why:
        print(f"\nskipped: allocations ({why})")
    except FailedError as why:
        print(f"\nfailed: allocations ({why})")
        failed = True
    results = BUILD / "results.json"
    save(rows, idle, ways, rounds, cpu, results)
    print(f"\nevery figure: {results.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

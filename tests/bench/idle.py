"""What a listener's memory grows by for each connection that does nothing; used by run.py.

A listener is started twice, for a thousand connections and for `CONNECTIONS` more, and its resident memory, with that of what it has
started, is read from /proc when all are open and have said EHLO, over TLS twice. The difference leaves out what it holds anyway.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

from bench_programs import FailedError, MissingError, child, last_line, read_number, running
from listeners import listeners
from programs import Programs

CONNECTIONS = 9_000
FEW = 1_000
OPENING_SECONDS = 240
"""The most that it may take to open them."""
TITLE = "listener, idle connections"


@dataclass
class Idle:
    """One line of the table."""

    name: str
    tls: bool
    kib: float | None = None
    """KiB for each connection."""
    trouble: str = ""


def measure_idle(programs: Programs, *, short: bool) -> list[Idle]:
    """Every listener in clear, and those that can over TLS."""
    many, few = (CONNECTIONS // 100, FEW // 100) if short else (CONNECTIONS, FEW)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    lines = []
    for tls in (False, True):
        for key, (name, find) in listeners(programs).items():
            if tls and key == "sink":
                continue
            line = Idle(name, tls)
            lines.append(line)
            try:
                if hard < few + many + 100:
                    raise MissingError(f"this process may have {hard} descriptors")
                command = [*find(), *(programs.certificate_options() if tls else [])]
                low, high = (resident(programs, command, count, tls=tls) for count in (few, few + many))
                line.kib = (high - low) / many / 1024
            except MissingError as why:
                line.trouble = f"skipped: {name} ({why})"
            except FailedError as why:
                line.trouble = f"failed: {name} ({why})"
    return lines


def resident(programs: Programs, command: list[str], connections: int, *, tls: bool) -> int:
    """Octets that are resident while so many connections are open."""
    seconds = str(2 * OPENING_SECONDS)
    # One more, so that none waits.
    most = str(connections + 1)
    with running([*command, "--port", "0", "--messages", "1", "--seconds", seconds, "--connections", most]) as server:
        idle = programs.mailwire("bench-idle", "--port", str(server.port), "--connections", str(connections))
        idle += ["--seconds", seconds]
        if tls:
            idle += ["--tls", programs.certificate()]
        with child(idle, None) as holder:
            if read_number(holder, "open", OPENING_SECONDS) != connections:
                raise FailedError("not all connections were opened")
            return resident_of(server.pid)


def resident_of(process: int) -> int:
    """Octets of a process and of all that it has started."""
    folder = Path(f"/proc/{process}")
    try:
        status = (folder / "status").read_text()
        children = [int(word) for file in folder.glob("task/*/children") for word in file.read_text().split()]
    except OSError as gone:
        raise FailedError(f"it has ended: {last_line(str(gone))}") from gone
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return kib * 1024 + sum(map(resident_of, children))


def print_idle(lines: list[Idle]) -> None:
    """The table of both."""
    print(f"\n{TITLE}: memory that each of {CONNECTIONS:,} takes")
    print(f"  {'':<34}{'KiB':>5}")
    for line in lines:
        way = "over TLS" if line.tls else "in clear"
        print(f"  {line.trouble}, {way}" if line.trouble else f"  {line.name + ', ' + way:<34}{line.kib:>5.1f}")

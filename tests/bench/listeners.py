"""The rows of `make bench` in which listeners are compared, and the listeners."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from programs import Programs
from rows import MIB, Peer, Row


def listener_rows(programs: Programs) -> list[Row]:
    """All rows of listeners. Counts of messages differ so that a run of each takes about half a second."""
    eight = ["--mode", "0", "--connections", "8"]
    return [
        Row(
            "listener, 1 KiB, 8 kept connections",
            "listener",
            peers(programs, limit=10_000, ours=10_000, sink=10_000, mailin=10_000, aiosmtpd=1_000, node=2_000),
            options=eight,
            counted=True,
        ),
        Row(
            "listener, 1 KiB, a connection a message, 8 at a time",
            "listener",
            # Node's waits for 100 ms in front of each greeting.
            peers(programs, limit=5_000, ours=5_000, sink=5_000, mailin=4_000, aiosmtpd=500, node=80),
            options=["--fresh", *eight],
            counted=True,
        ),
        Row(
            "listener, 1 KiB, 8 kept connections, chained pipelining",
            "listener",
            # mailin-embedded writes reply by reply without TCP_NODELAY, and waits for the client's ACK each time.
            peers(programs, limit=20_000, ours=20_000, sink=10_000, mailin=100, aiosmtpd=1_000, node=1_000),
            options=["--mode", "2", "--connections", "8"],
            counted=True,
        ),
        Row(
            "listener, 1 MiB, 8 kept connections",
            "listener",
            peers(programs, limit=500, ours=500, sink=50, mailin=250, aiosmtpd=10, node=50),
            size=MIB,
            options=eight,
            counted=True,
        ),
        Row(
            "listener, STARTTLS, 1 KiB, a connection a message, 8 at a time",
            "listener",
            peers(programs, tls=True, limit=400, ours=400, mailin=300, aiosmtpd=100, node=80),
            options=["--fresh", *eight],
            tls=True,
        ),
        Row(
            "listener, STARTTLS, 1 MiB, 8 kept connections",
            "listener",
            peers(programs, tls=True, limit=100, ours=100, mailin=80, aiosmtpd=10, node=20),
            size=MIB,
            options=eight,
            tls=True,
        ),
    ]


def listeners(programs: Programs) -> dict[str, tuple[str, Callable[[], list[str]]]]:
    """Every listener but the limit: its name in the tables, and its command."""
    return {
        "tasks": ("mailwire, async", lambda: programs.mailwire("bench-listen")),
        "events": ("mailwire, event queue", lambda: programs.mailwire("bench-events")),
        "python": ("mailwire, Python", lambda: programs.python("mailwire_listen.py", "mailwire")),
        "sink": ("smtp-sink", programs.smtp_sink),
        "mailin": ("mailin-embedded", lambda: programs.peer("mailin-listen")),
        "aiosmtpd": (
            f"aiosmtpd {version_of('aiosmtpd')}".rstrip(),
            lambda: programs.python("peers/aiosmtpd_listen.py", "aiosmtpd"),
        ),
        "node": ("node's smtp-server", programs.smtp_server),
    }


def peers(programs: Programs, *, tls: bool = False, limit: int, ours: int, **others: int) -> list[Peer]:
    """The limit, mailwire's listeners, and those others for which a number of messages is given."""
    known = listeners(programs)
    counts = {"tasks": ours, "events": ours, "python": ours, **others}
    return [
        Peer(
            "limit server",
            limit,
            lambda: programs.mailwire("limit-tls-server") if tls else [programs.limit("server")],
        ),
        *(Peer(known[key][0], count, known[key][1], silent=key == "sink") for key, count in counts.items()),
    ]


def version_of(distribution: str) -> str:
    """The version of an installed Python distribution, or nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""

"""What the benchmark measures: rows, and in each the programs that are compared. The rows of clients stand here, in listeners.py
those of listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench_programs import Figures
from programs import Programs

KIB = 1024
MIB = 1024 * 1024


@dataclass
class Peer:
    """One line of a row: a program in the place that is measured, and its figures, one for each round."""

    name: str
    messages: int
    command: Callable[[], list[str]]
    figures: list[Figures] = field(default_factory=list)
    calls: float | None = None
    """System calls for a message."""
    trouble: str = ""
    silent: bool = False
    """A listener that does not count what it takes, and has to be told when all was sent."""


@dataclass
class Row:
    """Programs that are compared. The first peer is the limit of the others."""

    title: str
    side: str
    """What is measured: "listener" or "client"."""
    peers: list[Peer]
    size: int = KIB
    """Octets of a message."""
    options: Sequence[str] = ()
    """What every client of the row is told beside: those that are measured, or the limit client that drives a listener."""
    tls: bool = False
    """Whether mail is sent over STARTTLS."""
    counted: bool = False
    """Whether the system calls of each peer are counted too."""


def client_rows(programs: Programs) -> list[Row]:
    """All rows of clients. Counts of messages differ so that a run of each takes about half a second."""
    return [*plain_clients(programs), *tls_clients(programs), *single_sends(programs)]


def plain_clients(programs: Programs) -> list[Row]:
    def limit(mode: int, messages: int) -> Peer:
        return Peer(f"limit client, mode {mode}", messages, lambda: [programs.limit("client"), "--mode", str(mode)])

    ours = mailwire(programs)
    others = other_clients(programs)
    sixteen = ["--connections", "16"]
    return [
        Row(
            "client, 1 KiB, one kept connection, message by message",
            "client",
            [
                limit(0, 10_000),
                *(ours(client, "send", 10_000) for client in ("connection", "tasks", "threads")),
                *others(libcurl=5_000, no_delay=5_000, mail_send=12, lettre=12, smtplib=3_000),
            ],
            counted=True,
        ),
        Row(
            "client, 1 KiB, one kept connection, chained pipelining",
            "client",
            [limit(2, 20_000), *(ours(client, "send_many", 20_000) for client in ("connection", "tasks", "threads"))],
            counted=True,
        ),
        Row(
            "client, 1 KiB, 16 kept connections, message by message",
            "client",
            [
                limit(0, 10_000),
                ours("tasks", "send", 10_000),
                ours("threads", "send", 10_000),
                *others(libcurl=5_000, no_delay=5_000, mail_send=192, lettre=192, smtplib=2_000),
            ],
            options=sixteen,
        ),
        Row(
            "client, 1 KiB, 16 kept connections, chained pipelining",
            "client",
            [limit(2, 20_000), ours("tasks", "send_many", 20_000), ours("threads", "send_many", 20_000)],
            options=sixteen,
        ),
        Row(
            "client, 1 MiB, one kept connection, message by message",
            "client",
            [
                limit(1, 500),
                *(ours(client, "send", 500) for client in ("connection", "tasks", "threads")),
                *others(libcurl=100, no_delay=100, mail_send=12, lettre=12, smtplib=30),
            ],
            size=MIB,
            counted=True,
        ),
        Row(
            "client, 1 KiB, a connection a message",
            "client",
            [
                limit(0, 2_000),
                ours("tasks", "send", 2_000),
                ours("threads", "send", 2_000),
                *others(libcurl=1_500, no_delay=1_500, mail_send=12, lettre=12, smtplib=1_000),
            ],
            options=["--fresh"],
            counted=True,
        ),
    ]


def tls_clients(programs: Programs) -> list[Row]:
    def limit(messages: int) -> Peer:
        return Peer("limit client, full", messages, lambda: programs.mailwire("limit-tls-client"))

    ours = mailwire(programs)
    others = other_clients(programs)
    return [
        Row(
            "client, STARTTLS, 1 KiB, a connection a message, 8 at a time",
            "client",
            [
                limit(400),
                ours("tasks", "send", 400),
                ours("threads", "send", 400),
                *others(libcurl=200, mail_send=400, lettre=80, smtplib=200),
            ],
            options=["--fresh", "--connections", "8"],
            tls=True,
        ),
        Row(
            "client, STARTTLS, 1 MiB, one kept connection",
            "client",
            [
                limit(100),
                ours("tasks", "send", 100),
                ours("threads", "send", 100),
                *others(libcurl=60, mail_send=60, lettre=30, smtplib=20),
            ],
            size=MIB,
            tls=True,
            counted=True,
        ),
    ]


def single_sends(programs: Programs) -> list[Row]:
    """Programs that are started for one message and end."""

    def spawned(peer: Peer) -> Peer:
        command = peer.command
        return Peer(peer.name, peer.messages, lambda: [programs.limit("spawn"), *command()])

    ours = mailwire(programs)
    others = other_clients(programs)
    limit = Peer("limit client", 200, lambda: [programs.limit("client"), "--mode", "0"])
    tls_limit = Peer("limit client", 100, lambda: programs.mailwire("limit-tls-client"))
    return [
        Row(
            "one send, from the start of a program to its exit",
            "client",
            [
                spawned(peer)
                for peer in (
                    limit,
                    ours("tasks", "send", 200),
                    ours("threads", "send", 200),
                    *others(libcurl=40, lettre=10, smtplib=5),
                )
            ],
        ),
        Row(
            "one send over STARTTLS, from the start of a program to its exit",
            "client",
            [
                spawned(peer)
                for peer in (
                    tls_limit,
                    ours("tasks", "send", 100),
                    ours("threads", "send", 100),
                    *others(libcurl=20, lettre=10, smtplib=5),
                )
            ],
            tls=True,
        ),
    ]


def mailwire(programs: Programs) -> Callable[[str, str, int], Peer]:
    """mailwire's client: one of its three forms, in one of its two ways to send."""

    def peer(client: str, mode: str, messages: int) -> Peer:
        name = {"connection": "mailwire, connection", "tasks": "mailwire, async", "threads": "mailwire, blocking"}[
            client
        ]
        return Peer(name, messages, lambda: programs.mailwire("bench-send", "--client", client, "--mode", mode))

    return peer


def other_clients(programs: Programs) -> Callable[..., list[Peer]]:
    """Other people's clients: those for which a number of messages is given."""

    commands: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "libcurl": ("libcurl", programs.libcurl),
        "no_delay": ("mail-send with NODELAY", lambda: [*programs.peer("mail-send"), "--nodelay"]),
        "mail_send": ("mail-send", lambda: programs.peer("mail-send")),
        "lettre": ("lettre", lambda: programs.peer("lettre-send")),
        "smtplib": ("smtplib", lambda: programs.python("peers/smtplib_send.py", "smtplib")),
    }

    def peers(**messages: int) -> list[Peer]:
        return [Peer(commands[name][0], count, commands[name][1]) for name, count in messages.items()]

    return peers

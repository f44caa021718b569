"""Runs the conformance cases against Postfix, Exim, aiosmtpd and node's smtp-server, each on a free port of loopback.

Prints each table, and at the end one in Markdown of all rows that not every server meets, for the README.
"""

import argparse
import contextlib
import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from interop import certificates  # noqa: E402  (the folder of tests has to be found first)
from interop.install_peers import NODE  # noqa: E402
from interop.peers import aiosmtpd, exim, postfix, smtp_server  # noqa: E402
from interop.peers.base import DOMAIN, PASSWORD, USER  # noqa: E402
from interop.process import Daemon, free_port, scratch_folder  # noqa: E402

SIZE = 200_000
"""The limit of a message: little enough to be tried."""

SECONDS = 600
"""No server's turn takes longer."""

RELAYING = ["--unknown", f"nobody@{DOMAIN}", "--elsewhere", "joe@elsewhere.example"]
"""For servers that know their recipients; with the others that is the application's."""


@contextlib.contextmanager
def running_postfix(made: certificates.Certificates) -> Iterator[tuple[int, list[str]]]:
    """Postfix as it comes, but for its mailboxes, and without trust in loopback."""
    settings = {"mynetworks": "192.0.2.0/24", "message_size_limit": SIZE}
    with scratch_folder("postfix") as folder:
        server = postfix.Postfix(folder, made, settings=settings)
        try:
            yield server.port, RELAYING
        finally:
            server.stop()


@contextlib.contextmanager
def running_exim(made: certificates.Certificates) -> Iterator[tuple[int, list[str]]]:
    """Exim with an ACL that takes mail for its mailboxes alone."""
    with scratch_folder("exim") as folder:
        server = exim.Exim(folder, made, size_limit=SIZE, open=False)
        try:
            yield server.port, RELAYING
        finally:
            server.stop()


@contextlib.contextmanager
def running_aiosmtpd(made: certificates.Certificates) -> Iterator[tuple[int, list[str]]]:
    """aiosmtpd with a handler that takes everything."""
    server = aiosmtpd.Aiosmtpd(made, size_limit=SIZE)
    try:
        yield server.port, []
    finally:
        server.stop()


@contextlib.contextmanager
def running_smtp_server(made: certificates.Certificates) -> Iterator[tuple[int, list[str]]]:
    """Node's smtp-server with hooks that take everything."""
    port = free_port()
    with scratch_folder("smtp-server") as folder:
        daemon = Daemon(
            [
                *("node", str(HERE / "smtp-server.js"), str(port)),
                *(str(made.chain), str(made.key), USER, PASSWORD, str(SIZE)),
            ],
            folder / "log",
            environment={"NODE_PATH": str(NODE / "node_modules")},
        )
        try:
            daemon.wait_until_it_greets(port)
            yield port, []
        finally:
            daemon.stop()


SERVERS = {
    "Postfix": (postfix.missing, running_postfix),
    "Exim": (exim.missing, running_exim),
    "aiosmtpd": (aiosmtpd.missing, running_aiosmtpd),
    "smtp-server": (smtp_server.missing, running_smtp_server),
}


def main() -> int:
    """Runs all; a server that does not conform is a result, not an error."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="rows and groups, separated by commas")
    parser.add_argument("servers", nargs="*", default=[], help=", ".join(SERVERS))
    arguments = parser.parse_args()
    verdicts: dict[str, dict[str, str]] = {}
    with scratch_folder("certificates") as folder:
        made = certificates.make(folder)
        for name, (missing, running) in SERVERS.items():
            if arguments.servers and name not in arguments.servers:
                continue
            if (why := missing()) is not None:
                print(f"== {name}: left out, {why}")
                continue
            print(f"== {name}", flush=True)
            with running(made) as (port, options):
                verdicts[name] = look_at(port, [*options, "--only", arguments.only], made)
    if not verdicts:
        print("conformance-peers: there is no server to look at", file=sys.stderr)
        return 1
    print(markdown(verdicts))
    return 0


def look_at(port: int, options: list[str], made: certificates.Certificates) -> dict[str, str]:
    """Runs the cases against a server, and gives the verdicts by row."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    with scratch_folder("verdicts") as folder:
        verdicts = folder / "verdicts.tsv"
        subprocess.run(
            [
                str(target / "debug" / "mailwire-conformance"),
                f"127.0.0.1:{port}",
                *("--recipient", f"m000@{DOMAIN}", "--user", USER, "--password", PASSWORD),
                *("--ca", str(made.authority), "--tsv", str(verdicts), *options),
            ],
            timeout=SECONDS + 60,
            check=False,
        )
        lines = verdicts.read_text().splitlines() if verdicts.exists() else []
    return {line.split("\t")[0]: line.split("\t")[1] for line in lines}


def markdown(verdicts: dict[str, dict[str, str]]) -> str:
    """The sums, and the rows that one server at least does not meet."""
    names = list(verdicts)
    ids = sorted({row for found in verdicts.values() for row in found})
    header = [f"| {' | '.join(['', *names])} |", "|" + " --- |" * (len(names) + 1)]
    sums = [
        f"| {' | '.join([word, *(str(list(verdicts[name].values()).count(word)) for name in names)])} |"
        for word in ("conformant", "latitude", "inconclusive", "NOT")
    ]
    rows = [
        f"| {' | '.join([row, *(verdicts[name].get(row, '') for name in names)])} |"
        for row in ids
        if any(verdicts[name].get(row) in ("NOT", "latitude") for name in names)
    ]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return "\n".join([f"{today}:", "", *header, *sums, "", *header, *rows])


if __name__ == "__main__":
    sys.exit(main())

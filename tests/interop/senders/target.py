"""What every sender is told, and how one that is a program is run."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..corpus import SENDER
from ..peers.base import PASSWORD, TOKEN, USER

SEND_SECONDS = 60.0

TOKENS = ("OAUTHBEARER", "XOAUTH2")
"""The mechanisms that log in by a token."""


@dataclass(frozen=True)
class Target:
    """Where to send to and how.

    An `authority` means STARTTLS, or TLS from the start if `implicit`; `auth` that the user logs in, by the sender's usual
    mechanism unless one is named. A `certificate` is shown in the handshake.
    """

    port: int
    recipient: str
    authority: Path | None
    auth: bool
    implicit: bool = False
    mechanism: str | None = None
    certificate: Path | None = None

    @property
    def starttls(self) -> bool:
        """Whether the way to TLS is STARTTLS."""
        return self.authority is not None and not self.implicit

    @property
    def secret(self) -> str:
        """The password, or the token with the mechanisms that use one."""
        return TOKEN if self.mechanism in TOKENS else PASSWORD

    def words(self, file: Path, usual: str) -> list[str]:
        """The arguments of our programs around a library, which all take the same: the message is in `file`, and `usual` is
        the mechanism unless one is named.
        """
        words = ["--port", str(self.port), "--sender", SENDER, "--recipient", self.recipient, "--file", str(file)]
        if self.authority:
            words += ["--authority", str(self.authority)]
        if self.implicit:
            words += ["--implicit"]
        if self.auth:
            words += ["--mechanism", self.mechanism or usual, "--user", USER, "--secret", self.secret]
        return words


def run(command: list[str], *, message: bytes | None = None, **environment: str) -> None:
    """Runs a program to its end, with the message on its standard input if there is one. Raises where it fails."""
    done = subprocess.run(
        command,
        check=False,
        input=message if message is not None else b"",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A developer's own settings for these programs stay out.
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", **environment},
        timeout=SEND_SECONDS,
    )
    if done.returncode != 0:
        told = done.stdout[-2000:].decode(errors="replace")
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {told}")

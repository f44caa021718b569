"""The foreign clients that send to mailwire's listener, each as one function of the same face."""

import os
import shutil
import smtplib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .corpus import SENDER
from .peers.base import PASSWORD, USER
from .process import HOST

SEND_SECONDS = 30.0


@dataclass(frozen=True)
class Target:
    """Where to send to and how; an `authority` means STARTTLS, `auth` that the user logs in."""

    port: int
    recipient: str
    authority: Path | None
    auth: bool


def missing(sender: str) -> str | None:
    """Why that sender cannot be run here, or None."""
    if sender in ("swaks", "curl") and shutil.which(sender) is None:
        return f"{sender} is not installed"
    return None


def send(sender: str, message: bytes, target: Target, folder: Path) -> None:
    """Sends by `smtplib`, `curl` or `swaks`; raises where that fails. `folder` is for files."""
    {"smtplib": by_smtplib, "curl": by_curl, "swaks": by_swaks}[sender](message, target, folder)


def by_smtplib(message: bytes, target: Target, _folder: Path | None = None) -> None:
    """Python's smtplib, with the bytes as they are."""
    with smtplib.SMTP(HOST, target.port, timeout=SEND_SECONDS) as client:
        client.ehlo()
        if target.authority:
            client.starttls(context=ssl.create_default_context(cafile=target.authority))
        if target.auth:
            client.login(USER, PASSWORD)
        options = [] if message.isascii() else ["BODY=8BITMIME"]
        client.sendmail(SENDER, [target.recipient], message, mail_options=options)


def by_curl(message: bytes, target: Target, folder: Path) -> None:
    """curl, with AUTH PLAIN."""
    file = folder / "message.eml"
    file.write_bytes(message)
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--url",
        f"smtp://{HOST}:{target.port}/curl.test",
    ]
    command += ["--mail-from", SENDER, "--mail-rcpt", target.recipient, "--upload-file", str(file)]
    if target.authority:
        command += ["--ssl-reqd", "--cacert", str(target.authority)]
    if target.auth:
        command += ["--user", f"{USER}:{PASSWORD}", "--login-options", "AUTH=PLAIN"]
    _run(command)


def by_swaks(message: bytes, target: Target, folder: Path) -> None:
    """swaks, with AUTH LOGIN.

    It takes a message with or without the dot at its end, and puts a line end before that dot in
    both cases. A message that has its last line end is thus handed over with the dot.
    """
    file = folder / "message.eml"
    file.write_bytes(message + b".\r\n" if message.endswith(b"\r\n") else message)
    command = ["swaks", "--server", HOST, "--port", str(target.port), "--helo", "swaks.test"]
    command += ["--from", SENDER, "--to", target.recipient, "--data", f"@{file}"]
    command += ["--silent", "2", "--timeout", str(int(SEND_SECONDS))]
    if target.authority:
        command += ["--tls", "--tls-verify", "--tls-ca-path", str(target.authority)]
    if target.auth:
        command += ["--auth", "LOGIN", "--auth-user", USER, "--auth-password", PASSWORD]
    _run(command)


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A developer's own settings for these programs stay out.
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C"},
        timeout=SEND_SECONDS,
    )
    if done.returncode != 0:
        told = done.stdout[-2000:].decode(errors="replace")
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {told}")

"""The foreign clients that send to mailwire's listener, each as one function of the same face."""

import asyncio
import importlib.util
import json
import os
import shutil
import smtplib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .corpus import SENDER
from .install_peers import NODE
from .peers.base import PASSWORD, TOKEN, USER
from .process import HOST

SEND_SECONDS = 30.0


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


def missing(sender: str) -> str | None:
    """Why that sender cannot be run here, or None."""
    if sender in ("swaks", "curl") and shutil.which(sender) is None:
        return f"{sender} is not installed"
    if sender == "aiosmtplib" and importlib.util.find_spec("aiosmtplib") is None:
        return "aiosmtplib is not installed"
    if sender == "nodemailer" and (shutil.which("node") is None or not (NODE / "node_modules/nodemailer").exists()):
        return f"nodemailer is not in {NODE}"
    return None


def send(sender: str, message: bytes, target: Target, folder: Path) -> None:
    """Sends by one of `SENDERS`; raises where that fails. `folder` is for files."""
    SENDERS[sender](message, target, folder)


def by_smtplib(message: bytes, target: Target, _folder: Path) -> None:
    """Python's smtplib, with the bytes as they are."""
    context = ssl.create_default_context(cafile=target.authority)
    if target.implicit:
        client = smtplib.SMTP_SSL(HOST, target.port, timeout=SEND_SECONDS, context=context)
    else:
        client = smtplib.SMTP(HOST, target.port, timeout=SEND_SECONDS)
    with client:
        client.ehlo()
        if target.authority and not target.implicit:
            client.starttls(context=context)
        if target.auth:
            client.login(USER, PASSWORD)
        options = [] if message.isascii() else ["BODY=8BITMIME"]
        client.sendmail(SENDER, [target.recipient], message, mail_options=options)


def by_aiosmtplib(message: bytes, target: Target, _folder: Path) -> None:
    """aiosmtplib, which is smtplib for asyncio."""
    import aiosmtplib

    async def send() -> None:
        client = aiosmtplib.SMTP(
            hostname=HOST,
            port=target.port,
            use_tls=target.implicit,
            start_tls=target.authority is not None and not target.implicit,
            tls_context=ssl.create_default_context(cafile=target.authority),
            timeout=SEND_SECONDS,
        )
        async with client:
            if target.mechanism == "XOAUTH2":
                await client.auth_xoauth2(USER, TOKEN)
            elif target.auth:
                await client.login(USER, PASSWORD)
            options = [] if message.isascii() else ["BODY=8BITMIME"]
            await client.sendmail(SENDER, [target.recipient], message, mail_options=options)

    asyncio.run(send())


def by_nodemailer(message: bytes, target: Target, folder: Path) -> None:
    """Nodemailer, in a process of its own."""
    all_by_nodemailer({target.recipient: message}, target, folder)


def all_by_nodemailer(messages: dict[str, bytes], target: Target, folder: Path) -> None:
    """The same for several messages, each to the recipient that it stands behind."""
    files = {recipient: folder / f"{recipient}.eml" for recipient in messages}
    for recipient, file in files.items():
        file.write_bytes(messages[recipient])
    what = {
        "port": target.port,
        "secure": target.implicit,
        "requireTLS": target.authority is not None and not target.implicit,
        "ignoreTLS": target.authority is None,
        "authority": target.authority and str(target.authority),
        "mechanism": target.mechanism,
        "user": USER if target.auth else None,
        "secret": TOKEN if target.mechanism == "XOAUTH2" else PASSWORD,
        "sender": SENDER,
        "messages": [[recipient, str(file)] for recipient, file in files.items()],
    }
    script = Path(__file__).with_name("nodemailer.js")
    _run(["node", str(script), json.dumps(what)], NODE_PATH=str(NODE / "node_modules"))


def by_curl(message: bytes, target: Target, folder: Path) -> None:
    """curl, with AUTH PLAIN unless another mechanism is named."""
    file = folder / "message.eml"
    file.write_bytes(message)
    scheme = "smtps" if target.implicit else "smtp"
    command = ["curl", "--silent", "--show-error", "--url", f"{scheme}://{HOST}:{target.port}/curl.test"]
    command += ["--mail-from", SENDER, "--mail-rcpt", target.recipient, "--upload-file", str(file)]
    if target.authority:
        command += ["--ssl-reqd", "--cacert", str(target.authority)]
    if target.certificate:
        command += ["--cert", str(target.certificate)]
    if target.auth:
        mechanism = target.mechanism or "PLAIN"
        # It takes EXTERNAL only for somebody without a password.
        password = "" if mechanism == "EXTERNAL" else PASSWORD
        command += ["--user", f"{USER}:{password}", "--login-options", f"AUTH={mechanism}"]
        if mechanism in ("OAUTHBEARER", "XOAUTH2"):
            command += ["--oauth2-bearer", TOKEN]
    _run(command)


def by_swaks(message: bytes, target: Target, folder: Path) -> None:
    """swaks, with AUTH LOGIN unless another mechanism is named.

    It takes a message with or without the dot at its end, and puts a line end before that dot in
    both cases. A message that has its last line end is thus handed over with the dot.
    """
    file = folder / "message.eml"
    file.write_bytes(message + b".\r\n" if message.endswith(b"\r\n") else message)
    command = ["swaks", "--server", HOST, "--port", str(target.port), "--helo", "swaks.test"]
    command += ["--from", SENDER, "--to", target.recipient, "--data", f"@{file}"]
    command += ["--silent", "2", "--timeout", str(int(SEND_SECONDS))]
    if target.authority:
        way = "--tls-on-connect" if target.implicit else "--tls"
        command += [way, "--tls-verify", "--tls-ca-path", str(target.authority)]
    if target.auth:
        command += ["--auth", target.mechanism or "LOGIN", "--auth-user", USER, "--auth-password", PASSWORD]
    _run(command)


SENDERS = {
    "smtplib": by_smtplib,
    "aiosmtplib": by_aiosmtplib,
    "nodemailer": by_nodemailer,
    "curl": by_curl,
    "swaks": by_swaks,
}


def _run(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A developer's own settings for these programs stay out.
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C", **environment},
        timeout=SEND_SECONDS,
    )
    if done.returncode != 0:
        told = done.stdout[-2000:].decode(errors="replace")
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {told}")

"""The senders that are programs of ours around a library of another language: nodemailer, Go's net/smtp, Perl's Net::SMTP,
lettre and mail-send of Rust."""

import json
from pathlib import Path

from ..corpus import SENDER
from ..install_peers import GO_SEND, NODE, RUST_SEND
from ..peers.base import USER
from .target import Target, run

HERE = Path(__file__).parent


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
        "requireTLS": target.starttls,
        "ignoreTLS": target.authority is None,
        "authority": target.authority and str(target.authority),
        "mechanism": target.mechanism,
        "user": USER if target.auth else None,
        "secret": target.secret,
        "sender": SENDER,
        "messages": [[recipient, str(file)] for recipient, file in files.items()],
    }
    run(["node", str(HERE / "nodemailer.js"), json.dumps(what)], NODE_PATH=str(NODE / "node_modules"))


def by_go(message: bytes, target: Target, folder: Path) -> None:
    """Go's net/smtp, with AUTH PLAIN unless another mechanism is named."""
    run([str(GO_SEND), *target.words(_file(message, folder), "PLAIN")])


def by_perl(message: bytes, target: Target, folder: Path) -> None:
    """Perl's Net::SMTP, with AUTH PLAIN unless another mechanism is named."""
    words = target.words(_file(message, folder), "PLAIN")
    if target.certificate:
        words += ["--certificate", str(target.certificate)]
    run(["perl", str(HERE / "net_smtp.pl"), *words])


def by_lettre(message: bytes, target: Target, folder: Path) -> None:
    """lettre, with AUTH PLAIN unless another mechanism is named."""
    run([str(RUST_SEND), "--library", "lettre", *target.words(_file(message, folder), "PLAIN")])


def by_mail_send(message: bytes, target: Target, folder: Path) -> None:
    """mail-send. With a password it logs in by the strongest mechanism that is offered, and cannot be told another."""
    run([str(RUST_SEND), "--library", "mail-send", *target.words(_file(message, folder), "PLAIN")])


def _file(message: bytes, folder: Path) -> Path:
    file = folder / "message.eml"
    file.write_bytes(message)
    return file

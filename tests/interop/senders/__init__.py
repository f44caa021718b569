"""The foreign clients that send to mailwire's listener, each as one function of the same face."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

from ..install_peers import GO_SEND, NODE, PERL_MODULES, RUST_SEND
from .around_libraries import by_go, by_lettre, by_mail_send, by_nodemailer, by_perl
from .commands import by_curl, by_msmtp, by_s_nail, by_swaks
from .in_python import by_aiosmtplib, by_smtplib
from .target import Target

SENDERS: dict[str, Callable[[bytes, Target, Path], None]] = {
    "smtplib": by_smtplib,
    "aiosmtplib": by_aiosmtplib,
    "nodemailer": by_nodemailer,
    "curl": by_curl,
    "swaks": by_swaks,
    "msmtp": by_msmtp,
    "s-nail": by_s_nail,
    "go": by_go,
    "perl": by_perl,
    "lettre": by_lettre,
    "mail-send": by_mail_send,
}
"""By name. `go` is Go's net/smtp, `perl` Perl's Net::SMTP."""


def missing(sender: str) -> str | None:
    """Why that sender cannot be run here, or None."""
    if sender in ("swaks", "curl", "msmtp", "s-nail") and shutil.which(sender) is None:
        return f"{sender} is not installed"
    if sender == "aiosmtplib" and importlib.util.find_spec("aiosmtplib") is None:
        return "aiosmtplib is not installed"
    if sender == "nodemailer" and (shutil.which("node") is None or not (NODE / "node_modules/nodemailer").exists()):
        return f"nodemailer is not in {NODE}"
    if sender == "go" and not GO_SEND.exists():
        return f"Go's net/smtp: there is no {GO_SEND}"
    if sender == "perl" and not all(Path(path).exists() for path in PERL_MODULES.values()):
        return f"Perl's Net::SMTP: not all is installed of {' '.join(PERL_MODULES)}"
    if sender in ("lettre", "mail-send") and not RUST_SEND.exists():
        return f"{sender}: there is no {RUST_SEND}"
    return None


def send(sender: str, message: bytes, target: Target, folder: Path) -> None:
    """Sends by one of `SENDERS`; raises where that fails. `folder` is for files."""
    SENDERS[sender](message, target, folder)


def as_sent(sender: str, message: bytes) -> bytes:
    """What the sender hands on of a message: all of it, but that s-nail takes an empty line at the end for what parts one message
    in a mailbox from the next.
    """
    body = message.partition(b"\r\n\r\n")[2]
    if sender == "s-nail" and body.endswith(b"\r\n\r\n"):
        return message.removesuffix(b"\r\n")
    return message

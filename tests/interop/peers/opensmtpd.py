"""OpenSMTPD in a folder that is its whole world: it has its paths and the names of its users built in.

Root alone can change the root folder of a program. The folder is where its package was unpacked with the libraries of its release;
queue, configuration and Maildirs are in a copy of that.
"""

import os
import shutil
import subprocess
from pathlib import Path

from ..certificates import Certificates
from ..install_peers import CACHE
from ..process import HOST, Daemon, free_port
from .base import DOMAIN, PASSWORD, SIZE_LIMIT, USER, MaildirPeer, Maildirs, Relay

_ROOT = CACHE / "opensmtpd"

RELAY_TRACE = ("Received",)
"""What OpenSMTPD puts on top of a mail that it passes on."""


def missing() -> str | None:
    """Why OpenSMTPD cannot be run here, or None."""
    if not (_ROOT / "usr" / "sbin" / "smtpd").exists():
        return f"OpenSMTPD is not in {_ROOT}"
    if shutil.which("openssl") is None:
        return "OpenSMTPD: openssl, which makes its passwords, is not installed"
    if os.geteuid() != 0:
        return "OpenSMTPD can be started by root only"
    return None


class Opensmtpd(MaildirPeer):
    """A running OpenSMTPD. `relays` are by the recipient's domain.

    It has no way to offer one mechanism alone, so that each of its ports offers both.
    """

    def __init__(self, folder: Path, certificates: Certificates, relays: dict[str, Relay] | None = None) -> None:
        self.port, self.login_port = free_port(), free_port()
        self.mechanisms_port, self.implicit_port = self.port, free_port()
        self._root = folder / "root"
        self._mailboxes = Maildirs(self._root / "mail", ("Return-Path", "Delivered-To", "Received"))
        shutil.copytree(_ROOT, self._root, symlinks=True)
        self._furnish(certificates)
        self._configure(relays or {})
        self._daemon = Daemon(["chroot", str(self._root), "/usr/sbin/smtpd", "-d", "-v"], folder / "smtpd.log")
        self._wait_until_it_greets()

    def _furnish(self, certificates: Certificates) -> None:
        """Folders, users, names and certificates."""
        for name in (
            "etc/ssl/certs",
            "tmp",
            "run",
            "var/run",
            "var/spool/smtpd",
            "var/lib/opensmtpd/empty",
            "dev",
            "mail",
        ):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        (self._root / "tmp").chmod(0o1777)
        (self._root / "var/spool/smtpd").chmod(0o711)
        os.chown(self._root / "mail", _MAIL_USER, _MAIL_USER)
        os.mknod(self._root / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
        (self._root / "dev/null").chmod(0o666)
        users = {"root": 0, "opensmtpd": 65001, "opensmtpq": 65002, "mail": _MAIL_USER}
        (self._root / "etc/passwd").write_text("".join(f"{n}:x:{u}:{u}::/:/bin/sh\n" for n, u in users.items()))
        (self._root / "etc/group").write_text("".join(f"{n}:x:{u}:\n" for n, u in users.items()))
        (self._root / "etc/hosts").write_text(f"{HOST} localhost\n")
        # It asks no name server, and waits for none.
        (self._root / "etc/resolv.conf").write_text("lookup file\n")
        shutil.copy(certificates.chain, self._root / "etc/chain.pem")
        shutil.copy(certificates.key, self._root / "etc/key.pem")
        (self._root / "etc/key.pem").chmod(0o600)
        shutil.copy(certificates.authority, self._root / "etc/ssl/certs/ca-certificates.crt")

    def _configure(self, relays: dict[str, Relay]) -> None:
        # Its own `encrypt` makes hashes that take a second for each login.
        encrypt = ["openssl", "passwd", "-6", "-stdin"]
        done = subprocess.run(encrypt, input=PASSWORD, capture_output=True, check=True, timeout=20, text=True)
        encrypted = done.stdout.strip()
        folder = self._root / "etc"
        (folder / "credentials").write_text(f"{USER} {encrypted}\n")
        (folder / "secrets").write_text(f"label {USER}:{PASSWORD}\n")
        boxes = (*Maildirs.NAMES, "postmaster")
        (folder / "boxes").write_text("".join(f"{name}@{DOMAIN} mail\n" for name in boxes))
        listen = "".join(
            f'listen on {HOST} port {port} {tls} pki localhost auth-optional <credentials> hostname "opensmtpd.test"\n'
            for port, tls in ((self.port, "tls"), (self.login_port, "tls"), (self.implicit_port, "smtps"))
        )
        passed_on = "".join(
            f'action "{domain}" relay helo "opensmtpd.test" host '
            f'"{_SCHEMES[relay.tls]}://{"label@" if relay.auth else ""}localhost:{relay.port}"'
            f"{' auth <secrets>' if relay.auth else ''}\n"
            f'match from any for domain "{domain}" action "{domain}"\n'
            for domain, relay in relays.items()
        )
        (folder / "smtpd.conf").write_text(_HEAD + listen + _INBOX + passed_on)


_MAIL_USER = 65534
_SCHEMES = {"none": "smtp", "starttls": "smtp+tls", "implicit": "smtps"}

# To it all listeners are one host, whose connections it keeps for a while: it is not to wait for the next.
_HEAD = f"""\
pki localhost cert "/etc/chain.pem"
pki localhost key "/etc/key.pem"
table credentials file:/etc/credentials
table secrets file:/etc/secrets
table boxes file:/etc/boxes
smtp max-message-size {SIZE_LIMIT}
smtp limit max-mails 1000
mta limit max-conn-per-route 100
mta limit max-conn-per-host 100
mta limit conn-delay-route 0
mta limit conn-delay-relay 0
mta limit reconn-delay-route 0
"""

_INBOX = f"""\
action "inbox" maildir "/mail/%{{dest.user}}" virtual <boxes>
match from any for domain "{DOMAIN}" action "inbox"
"""

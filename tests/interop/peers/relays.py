"""The peers that pass mail on to mailwire's listeners, each started when it is first asked for."""

import contextlib
import smtplib
import ssl

import pytest

from ..certificates import Certificates
from ..corpus import SENDER
from ..process import HOST, scratch_folder
from . import dovecot, exim, opensmtpd, postfix
from .base import PASSWORD, Relay

NAMES = ("Postfix", "Exim", "OpenSMTPD", "Dovecot")

TRACE = ("Received",)
"""What each of them puts on top of a mail that it passes on."""

_MODULES = {"Postfix": postfix, "Exim": exim, "OpenSMTPD": opensmtpd, "Dovecot": dovecot}
_SECONDS = 30.0


class Relays:
    """Those that run. Each passes mail on to the targets by their name: which of them is a matter of the recipient's domain, with
    Dovecot of who has logged in.
    """

    def __init__(self, certificates: Certificates, targets: dict[str, Relay]) -> None:
        self._certificates = certificates
        self._targets = targets
        self._running: dict[str, postfix.Postfix | exim.Exim | opensmtpd.Opensmtpd | dovecot.Dovecot] = {}
        self._end = contextlib.ExitStack()

    def recipient(self, name: str, target: str) -> str:
        """An address of that local part whose mail is passed on to the target."""
        return f"{name}@{_domain(target)}"

    def hand_over(self, relay: str, target: str, recipient: str, message: bytes) -> None:
        """Gives the relay a message that it is to pass on."""
        peer = self._get(relay)
        port = peer.mechanisms_port if relay == "Dovecot" else peer.port
        with smtplib.SMTP(HOST, port, timeout=_SECONDS) as client:
            if relay == "Dovecot":
                client.starttls(context=ssl.create_default_context(cafile=self._certificates.authority))
                client.login(target, PASSWORD)
            client.ehlo_or_helo_if_needed()
            options = [] if message.isascii() else ["BODY=8BITMIME"]
            client.sendmail(SENDER, [recipient], message, mail_options=options)

    def logged(self, relay: str) -> str:
        """The end of the relay's log."""
        return self._get(relay).logged()

    def stop(self) -> None:
        """Ends them all."""
        self._end.close()

    def _get(self, name: str) -> postfix.Postfix | exim.Exim | opensmtpd.Opensmtpd | dovecot.Dovecot:
        if name not in self._running:
            if (why := _MODULES[name].missing()) is not None:
                pytest.skip(why)
            folder = self._end.enter_context(scratch_folder(f"relay-{name.lower()}"))
            by_domain = {_domain(target): relay for target, relay in self._targets.items()}
            made = self._certificates
            if name == "Postfix":
                self._running[name] = postfix.Postfix(folder, made, by_domain)
            elif name == "Exim":
                self._running[name] = exim.Exim(folder, made, relays=by_domain)
            elif name == "OpenSMTPD":
                self._running[name] = opensmtpd.Opensmtpd(folder, made, by_domain)
            else:
                self._running[name] = dovecot.Dovecot(folder, made, self._targets)
            self._end.callback(self._running[name].stop)
        return self._running[name]


def _domain(target: str) -> str:
    return f"{target}.relay.test"

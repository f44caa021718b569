"""The peers by name, each started when it is first asked for."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ..certificates import Certificates
from ..process import scratch_folder
from . import aiosmtpd, dovecot, exim, opensmtpd, postfix, smtp_server
from .base import Peer


class Peers:
    """Those that run. Without one that cannot be run here, the test that asks for it is skipped, by a word that names it."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates
        self._running: dict[str, Peer] = {}
        self._end = contextlib.ExitStack()

    def get(self, name: str) -> Peer:
        """The peer of that name, running."""
        if name not in self._running:
            missing, start = _PEERS[name]
            if (why := missing()) is not None:
                pytest.skip(why)
            folder = self._end.enter_context(scratch_folder(name.split()[0].lower()))
            self._running[name] = start(self, folder)
            self._end.callback(self._running[name].stop)
        return self._running[name]

    @property
    def dovecot(self) -> dovecot.Dovecot:
        """Dovecot, running."""
        found = self.get("Dovecot")
        assert isinstance(found, dovecot.Dovecot)
        return found

    def stop(self) -> None:
        """Ends them all, the last one first."""
        self._end.close()


def _postfix_with_dovecot(peers: Peers, folder: Path) -> Peer:
    settings = {"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": peers.dovecot.sasl_socket}
    return postfix.Postfix(folder, peers.certificates, settings=settings)


_PEERS: dict[str, tuple[Callable[[], str | None], Callable[[Peers, Path], Peer]]] = {
    "Postfix": (postfix.missing, lambda peers, folder: postfix.Postfix(folder, peers.certificates)),
    "Postfix with Dovecot": (postfix.missing, _postfix_with_dovecot),
    "Exim": (exim.missing, lambda peers, folder: exim.Exim(folder, peers.certificates)),
    "Exim with Dovecot": (
        exim.missing,
        lambda peers, folder: exim.Exim(folder, peers.certificates, dovecot=peers.dovecot.sasl_socket),
    ),
    "OpenSMTPD": (opensmtpd.missing, lambda peers, folder: opensmtpd.Opensmtpd(folder, peers.certificates)),
    "Dovecot": (dovecot.missing, lambda peers, folder: dovecot.Dovecot(folder, peers.certificates)),
    "aiosmtpd": (aiosmtpd.missing, lambda peers, _folder: aiosmtpd.Aiosmtpd(peers.certificates)),
    "smtp-server": (smtp_server.missing, lambda peers, folder: smtp_server.SmtpServer(folder, peers.certificates)),
}

"""What the tests ask of a foreign server, and a mailbox that is a Maildir."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from ..compare import assert_same
from ..process import Daemon, wait_for

USER = "user"
PASSWORD = "a secret"
TOKEN = "token-of-the-user"
"""What the peers take for a bearer token that need not be a JSON Web Token."""

DOMAIN = "inbox.test"
SIZE_LIMIT = 64 * 2**20
DELIVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Relay:
    """Where a peer passes mail on to. `tls` is none, starttls or implicit; with `auth` it logs in as the user."""

    port: int
    tls: str = "none"
    auth: bool = False


class Peer(ABC):
    """A running server on loopback.

    `mechanisms_port` offers STARTTLS, and behind it every mechanism that the server can be made to offer; `implicit_port` the
    same with TLS from the start.
    """

    mechanisms_port: int
    implicit_port: int

    @abstractmethod
    def new_address(self) -> str:
        """An address that no mail was sent to yet."""

    @abstractmethod
    def assert_arrived(self, address: str, sent: bytes) -> str:
        """Waits for the one message to `address`, and compares it with `sent` as compare.py says.

        Returns the protocol that the peer says it came by, in the words of RFC 3848.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ends the server and all its processes."""


class OpenPeer(Peer):
    """One that takes mail from anybody too.

    `port` offers STARTTLS, and AUTH PLAIN behind it; `login_port` is the same with LOGIN alone.
    """

    port: int
    login_port: int


class MaildirPeer(OpenPeer):
    """One that is a single program, and delivers into Maildirs."""

    _mailboxes: "Maildirs"
    _daemon: Daemon

    def _wait_until_it_greets(self) -> None:
        """To be called at the end of starting: a server that does not come up is ended, and its log is told."""
        try:
            self._daemon.wait_until_it_greets(self.port)
        except BaseException as error:
            self.stop()
            raise RuntimeError(f"{type(self).__name__} did not start: {error}\n{self.logged()}") from error

    def new_address(self) -> str:
        return self._mailboxes.new_address()

    def assert_arrived(self, address: str, sent: bytes) -> str:
        try:
            return self._mailboxes.assert_arrived(address, sent)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logged()}") from None

    def logged(self) -> str:
        """The end of the log."""
        return self._daemon.logged()

    def stop(self) -> None:
        self._daemon.stop()


class Maildirs:
    """The mailboxes of a server that delivers into Maildirs: `m000`, `m001` … in one folder.

    They are named beforehand, so that the server's configuration can list them.
    """

    NAMES = tuple(f"m{number:03}" for number in range(400))

    def __init__(self, folder: Path, trace: tuple[str, ...]) -> None:
        self.folder = folder
        self._trace = trace
        self._unused = iter(self.NAMES)

    def new_address(self) -> str:
        """See `Peer.new_address`."""
        return f"{next(self._unused)}@{DOMAIN}"

    def assert_arrived(self, address: str, sent: bytes, *, trace: tuple[str, ...] | None = None) -> str:
        """See `Peer.assert_arrived`; the trace fields must be on top that were named here, or when this was made."""
        new = self.folder / address.partition("@")[0] / "new"
        path = wait_for(lambda: next(new.glob("*"), None), DELIVERY_SECONDS, f"a mail in {new}")
        fields = assert_same(sent, path.read_bytes(), trace=trace or self._trace, mailbox=True)
        assert len(list(new.iterdir())) == 1, "the message came more than once"
        path.unlink()
        protocol = re.search(r"\bwith ((?:ESMTP|SMTP|LMTP)S?A?)\b", fields["Received"], re.IGNORECASE)
        assert protocol is not None, fields["Received"]
        return protocol[1].upper()

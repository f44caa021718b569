"""aiosmtpd, in a thread of the test process: two controllers, one for each AUTH mechanism."""

import importlib.util
import queue
import ssl

from ..certificates import Certificates
from ..compare import assert_same
from ..process import HOST, free_port
from .base import DELIVERY_SECONDS, DOMAIN, PASSWORD, SIZE_LIMIT, USER, Peer


def missing() -> str | None:
    """Why aiosmtpd cannot be run here, or None."""
    if importlib.util.find_spec("aiosmtpd") is None:
        return "aiosmtpd is not installed"
    return None


class Aiosmtpd(Peer):
    """A running aiosmtpd."""

    name = "aiosmtpd"

    def __init__(self, certificates: Certificates, *, size_limit: int = SIZE_LIMIT) -> None:
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult

        def authenticate(_server, _session, _envelope, mechanism, credentials):
            right = (credentials.login, credentials.password) == (USER.encode(), PASSWORD.encode())
            # Not `handled` makes aiosmtpd send the 535 itself.
            return AuthResult(success=right, handled=False, auth_data=mechanism)

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates.chain, certificates.key)
        self._inbox: queue.Queue[tuple[str, bytes, str]] = queue.Queue()
        self._numbers = iter(range(10_000))
        self.port, self.login_port = free_port(), free_port()
        self._controllers = [
            Controller(
                _Keep(self._inbox),
                hostname=HOST,
                port=port,
                tls_context=context,
                authenticator=authenticate,
                auth_exclude_mechanism=[excluded],
                data_size_limit=size_limit,
                ready_timeout=10,
            )
            for port, excluded in ((self.port, "LOGIN"), (self.login_port, "PLAIN"))
        ]
        for controller in self._controllers:
            controller.start()

    def new_address(self) -> str:
        return f"m{next(self._numbers)}@{DOMAIN}"

    def assert_arrived(self, address: str, sent: bytes) -> str:
        recipient = None
        while recipient != address:  # one that a test before this gave up waiting for is passed over
            recipient, received, protocol = self._inbox.get(timeout=DELIVERY_SECONDS)
        assert_same(sent, received)
        return protocol

    def stop(self) -> None:
        for controller in self._controllers:
            controller.stop()


class _Keep:
    """Keeps each message with its recipient and the way it came."""

    def __init__(self, inbox: "queue.Queue[tuple[str, bytes, str]]") -> None:
        self._inbox = inbox

    async def handle_DATA(self, _server, session, envelope):
        protocol = "ESMTP" if session.extended_smtp else "SMTP"
        protocol += "S" * (session.ssl is not None) + "A" * bool(session.authenticated)
        for recipient in envelope.rcpt_tos:
            self._inbox.put((recipient, envelope.content, protocol))
        return "250 OK"

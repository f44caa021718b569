"""aiosmtpd, in threads of the test process: a controller for each AUTH mechanism, and two for both, one of them with TLS from the start."""

import importlib.util
import queue
import ssl

from ..certificates import Certificates
from ..compare import assert_same
from ..process import HOST, free_port
from .base import DELIVERY_SECONDS, DOMAIN, PASSWORD, SIZE_LIMIT, USER, OpenPeer


def missing() -> str | None:
    """Why aiosmtpd cannot be run here, or None."""
    if importlib.util.find_spec("aiosmtpd") is None:
        return "aiosmtpd is not installed"
    return None


class Aiosmtpd(OpenPeer):
    """A running aiosmtpd."""

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
        self.mechanisms_port, self.implicit_port = free_port(), free_port()

        def controller(port: int, *excluded: str, implicit: bool = False) -> Controller:
            return Controller(
                _Keep(self._inbox),
                hostname=HOST,
                port=port,
                ssl_context=context if implicit else None,
                tls_context=None if implicit else context,
                # It knows of no TLS but its own STARTTLS.
                auth_require_tls=not implicit,
                authenticator=authenticate,
                auth_exclude_mechanism=excluded,
                data_size_limit=size_limit,
                ready_timeout=60,
            )

        self._controllers = [
            controller(self.port, "LOGIN"),
            controller(self.login_port, "PLAIN"),
            controller(self.mechanisms_port),
            controller(self.implicit_port, implicit=True),
        ]
        for controller in self._controllers:
            controller.start()

    def new_address(self) -> str:
        return f"m{next(self._numbers)}@{DOMAIN}"

    def assert_arrived(self, address: str, sent: bytes, *, trace: tuple[str, ...] = ()) -> str:
        """See `Peer`; `trace` are the fields that somebody in between has put on top."""
        recipient = None
        while recipient != address:  # one that a test before this gave up waiting for is passed over
            recipient, received, protocol = self._inbox.get(timeout=DELIVERY_SECONDS)
        assert_same(sent, received, trace=trace)
        return protocol

    def stop(self) -> None:
        for controller in self._controllers:
            controller.stop()


class _Keep:
    """Keeps each message with its recipient and the way it came."""

    def __init__(self, inbox: "queue.Queue[tuple[str, bytes, str]]") -> None:
        self._inbox = inbox

    async def handle_DATA(self, server, session, envelope):
        protocol = "ESMTP" if session.extended_smtp else "SMTP"
        secure = server.transport.get_extra_info("ssl_object") is not None
        protocol += "S" * secure + "A" * bool(session.authenticated)
        for recipient in envelope.rcpt_tos:
            self._inbox.put((recipient, envelope.content, protocol))
        return "250 OK"

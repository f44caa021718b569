"""The only place here that knows mailwire's own interface: its Python package, both sides.

mailwire is imported when it is first used, so that a package that is missing or broken fails the
tests of mailwire and not the collection of all.
"""

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

from .certificates import Certificates
from .corpus import SENDER
from .peers.base import DELIVERY_SECONDS, PASSWORD, SIZE_LIMIT, USER
from .process import HOST


def send(
    message: bytes,
    port: int,
    recipient: str,
    *,
    authority: Path | None,
    user: str | None = None,
    password: str = PASSWORD,
) -> None:
    """Sends with the Python package; TLS is required where an `authority` is given."""
    import mailwire

    result = mailwire.send(
        message,
        server_url(port, tls=authority is not None, user=user, password=password),
        sender=SENDER,
        recipients=[recipient],
        ca=authority and str(authority),
    )
    assert list(result.accepted) == [recipient]
    assert not (result.refused or result.deferred or result.unknown or result.not_tried)
    assert result.reply.code == 250


def send_with_rust_example(message: bytes, port: int, recipient: str, *, authority: Path) -> None:
    """Sends with `examples/rust`: `send URL SENDER RECIPIENT`, the message on standard input.

    The authority reaches it as the system's roots do, by SSL_CERT_FILE.
    """
    subprocess.run(
        [rust_example(), server_url(port, tls=True, user=USER), SENDER, recipient],
        input=message,
        env={**os.environ, "SSL_CERT_FILE": str(authority)},
        check=True,
        timeout=DELIVERY_SECONDS,
    )


def rust_example() -> Path:
    """The built program: `$MAILWIRE_RUST_SEND`, or where `make examples` puts it."""
    built = Path(__file__).parents[2] / "build" / "examples" / "send-rust"
    return Path(os.environ.get("MAILWIRE_RUST_SEND") or built)


def server_url(port: int, *, tls: bool, user: str | None = None, password: str = PASSWORD) -> str:
    """The URL of a peer, as mailwire takes it in every language."""
    credentials = f"{quote(user)}:{quote(password)}@" if user else ""
    return f"smtp://{credentials}{HOST}:{port}?tls={'required' if tls else 'none'}"


class Listener:
    """A listener hosted in this process by the Python package, without a handler."""

    def __init__(self, certificates: Certificates, *, tls: bool, auth: bool) -> None:
        import mailwire

        self._server = mailwire.Server(
            None,
            host=HOST,
            port=0,
            tls=mailwire.TLS.from_files(str(certificates.chain), str(certificates.key)) if tls else None,
            require_tls=tls,
            auth={USER: PASSWORD} if auth else None,
            auth_required=auth,
            limits=mailwire.Limits(size=SIZE_LIMIT),
        )
        self._server.start()
        self.port: int = self._server.port

    def next_message(self, recipient: str) -> bytes:
        """The message for `recipient` alone; one that a test before it gave up waiting for is passed over."""
        for envelope in self._server.messages(timeout=DELIVERY_SECONDS):
            if list(envelope.recipients) == [recipient]:
                assert envelope.sender == SENDER
                return envelope.body
        raise TimeoutError(f"no mail for {recipient} came within {DELIVERY_SECONDS} seconds")

    def stop(self) -> None:
        """Ends the listener."""
        self._server.stop()

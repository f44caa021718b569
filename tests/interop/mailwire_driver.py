"""The only place here that knows mailwire's own interface: its Python package, both sides, and two programs in Rust.

`send-rust` is one of the examples. `mailwire-interop`, whose source is in `src`, does what Python cannot reach: logins other than
by a password, and listeners with one mechanism each. mailwire is imported when it is first used, so that a package that is missing or broken fails the
tests of mailwire and not the collection of all.
"""

import os
import smtplib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from .certificates import Certificates
from .corpus import SENDER
from .peers.base import DELIVERY_SECONDS, PASSWORD, SIZE_LIMIT, TOKEN, USER
from .process import HOST, START_SECONDS, Daemon, wait_for


@dataclass(frozen=True)
class Login:
    """How to log in. The `mechanism` None is whichever mailwire chooses; a `certificate` is shown in the handshake.

    `secret` is the password, or the token with OAUTHBEARER and XOAUTH2.
    """

    mechanism: str | None = None
    user: str = USER
    secret: str = PASSWORD
    certificate: Path | None = None


def send(
    message: bytes,
    port: int,
    recipient: str,
    *,
    authority: Path | None,
    implicit: bool = False,
    user: str | None = None,
    password: str = PASSWORD,
    mechanism: str | None = None,
) -> str | None:
    """Sends with the Python package; TLS is required where an `authority` is given, from the start if `implicit`.

    Gives the queue id, if one was found in the last reply.
    """
    import mailwire

    tls = ("implicit" if implicit else "required") if authority else "none"
    result = mailwire.send(
        message,
        server_url(port, tls=tls, user=user, password=password),
        sender=SENDER,
        recipients=[recipient],
        ca=authority and str(authority),
        auth=mechanism,
    )
    assert list(result.accepted) == [recipient]
    assert not (result.refused or result.deferred or result.unknown or result.not_tried)
    assert result.reply.code == 250
    return result.queue_id


def log_in_and_send(
    message: bytes, port: int, recipient: str, login: Login, *, authority: Path, implicit: bool = False
) -> None:
    """Sends behind that login under TLS: with a password by the Python package, else by `mailwire-interop`.

    A refusal of either is an smtplib.SMTPAuthenticationError with our own text.
    """
    if login.mechanism not in _WITHOUT_PASSWORD:
        send(
            message,
            port,
            recipient,
            authority=authority,
            implicit=implicit,
            user=login.user,
            password=login.secret,
            mechanism=login.mechanism,
        )
        return
    query = f"&ca={quote(str(authority))}&auth={login.mechanism}"
    if login.certificate:
        query += f"&client_cert={quote(str(login.certificate))}"
    url = server_url(port, tls="implicit" if implicit else "required") + query
    how = _WITHOUT_PASSWORD[login.mechanism].format(user=login.user, secret=login.secret)
    done = subprocess.run(
        [rust_driver(), "send", how, url, SENDER, recipient],
        input=message,
        capture_output=True,
        check=False,
        timeout=DELIVERY_SECONDS,
    )
    told = done.stderr.decode().strip()
    if done.returncode != 0 and told.startswith("AuthRejected: "):
        raise smtplib.SMTPAuthenticationError(535, told)
    assert done.returncode == 0, told
    assert done.stdout.decode().split("\t")[:2] == [recipient, "Accepted"]


def send_by_lmtp(
    message: bytes, url: str, recipients: list[str], *, authority: Path, transfer: str | None = None
) -> dict[str, "Fate"]:
    """Sends with the Python package, and gives what became of each recipient, in the order of the recipients."""
    import mailwire

    try:
        result = mailwire.send(message, url, sender=SENDER, recipients=recipients, ca=str(authority), transfer=transfer)
    except mailwire.Error as error:
        if error.result is None:
            raise
        result = error.result
    assert result.unknown == result.not_tried == ()
    fates = {recipient: Fate("accepted", *reply) for recipient, reply in result.accepted.items()}
    for word, errors in (("refused", result.refused), ("deferred", result.deferred)):
        fates |= {recipient: Fate(word, *error.reply) for recipient, error in errors.items()}
    return {recipient: fates[recipient] for recipient in recipients}


class Fate(NamedTuple):
    """What became of one recipient, and the reply that told it."""

    delivery: str
    code: int
    text: str
    enhanced: str | None
    lines: tuple[str, ...]


_WITHOUT_PASSWORD = {
    "OAUTHBEARER": "token:{user}:{secret}",
    "XOAUTH2": "token:{user}:{secret}",
    "EXTERNAL": "certificate",
    "ANONYMOUS": "anonymous:guest",
}


def send_with_rust_example(message: bytes, port: int, recipient: str, *, authority: Path) -> None:
    """Sends with `examples/rust`: `send URL SENDER RECIPIENT`, the message on standard input.

    The authority reaches it as the system's roots do, by SSL_CERT_FILE.
    """
    subprocess.run(
        [rust_example(), server_url(port, tls="required", user=USER), SENDER, recipient],
        input=message,
        env={**os.environ, "SSL_CERT_FILE": str(authority)},
        check=True,
        timeout=DELIVERY_SECONDS,
    )


def rust_example() -> Path:
    """The built program: `$MAILWIRE_RUST_SEND`, or where `make examples` puts it."""
    built = Path(__file__).parents[2] / "build" / "examples" / "send-rust"
    return Path(os.environ.get("MAILWIRE_RUST_SEND") or built)


def rust_driver() -> Path:
    """The built `mailwire-interop`."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[2] / "target")
    return target / "release" / "mailwire-interop"


def server_url(port: int, *, tls: str, user: str | None = None, password: str = PASSWORD) -> str:
    """The URL of a peer, as mailwire takes it in every language."""
    credentials = f"{quote(user)}:{quote(password)}@" if user else ""
    return f"smtp://{credentials}{HOST}:{port}?tls={tls}"


class Listener:
    """A listener hosted in this process by the Python package, without a handler."""

    def __init__(self, certificates: Certificates, *, tls: bool, implicit: bool, auth: bool) -> None:
        import mailwire

        self._server = mailwire.Server(
            None,
            host=HOST,
            port=0,
            tls=mailwire.TLS.from_files(str(certificates.chain), str(certificates.key)) if tls else None,
            implicit_tls=implicit,
            require_tls=tls,
            auth={USER: PASSWORD} if auth else None,
            auth_required=auth,
            limits=mailwire.Limits(size=SIZE_LIMIT),
        )
        self._server.start()
        self.port: int = self._server.port

    def next_messages(self, recipients: set[str]) -> dict[str, bytes]:
        """The messages for these recipients, each with one recipient alone.

        Those that a test before it gave up waiting for are passed over.
        """
        found: dict[str, bytes] = {}
        for envelope in self._server.messages(timeout=DELIVERY_SECONDS):
            if (recipient := ",".join(envelope.recipients)) in recipients:
                assert envelope.sender == SENDER
                found[recipient] = envelope.body
                if found.keys() == recipients:
                    return found
        missing = " and ".join(sorted(recipients - found.keys()))
        raise TimeoutError(f"no mail for {missing} came within {DELIVERY_SECONDS} seconds")

    def stop(self) -> None:
        """Ends the listener."""
        self._server.stop()


class MechanismListeners:
    """The listeners of `mailwire-interop`: one for each mechanism and way to TLS, `plain` for none, `starttls` or `implicit`."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self._folder = folder
        files = (certificates.chain, certificates.key, certificates.authority)
        words = (rust_driver(), "listen", folder, *files, USER, PASSWORD, TOKEN)
        self._daemon = Daemon([str(word) for word in words], folder / "log")
        self.ports: dict[tuple[str, str], int] = {}

        def listening() -> bool | None:
            lines = (folder / "log").read_text().split("\n")
            # An empty line tells that all is said.
            return True if "" in lines[:-1] else None

        try:
            wait_for(listening, START_SECONDS, "the ports of mailwire-interop")
        except TimeoutError as error:
            self.stop()
            raise TimeoutError(f"{error}\n{self._daemon.logged()}") from None
        for line in (folder / "log").read_text().split("\n\n")[0].splitlines():
            mechanism, tls, port = line.split()
            self.ports[mechanism, tls] = int(port)

    def message(self, mechanism: str, tls: str, recipient: str) -> tuple[str, bytes] | None:
        """The message for `recipient` that came by that mechanism, and who had logged in; None if none came so far."""
        path = self._folder / f"{mechanism}-{tls}" / recipient
        if not path.exists():
            return None
        return path.with_name(f"{recipient}.user").read_text(), path.read_bytes()

    def stop(self) -> None:
        """Ends the listeners."""
        self._daemon.stop()

"""What the tests of the Python package share: certificates, a listener made of aiosmtpd, and peers that follow a script."""

import signal
import socket
import ssl
import threading

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

MESSAGE = b"From: Ada <ada@example.org>\r\nTo: charles@example.net\r\nSubject: test\r\n\r\nHello.\r\n"


def pytest_sessionstart():
    """Lets Ctrl-C be tested, also where whoever started the tests, as a shell does in the background, had it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Waits for the threads of each test: what a hook of one still does, says and logs is not to be taken for another's."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("mailwire-"):
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} does not end"


@pytest.fixture
def logged(caplog):
    """Gives what the package has logged so far, and nothing of what others say: asyncio tells of the garbage of earlier tests."""
    return lambda: [record for record in caplog.records if record.name == "mailwire"]


@pytest.fixture
def message():
    """A small message with sender and recipient in its header."""
    return MESSAGE


@pytest.fixture(scope="session")
def authority():
    """A throw-away certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    """The authority's certificate."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def certificate(authority, tmp_path_factory):
    """Makes certificates: gives the paths of certificate and key."""

    def make(*names, issuer=authority, **options):
        folder = tmp_path_factory.mktemp("certificate")
        made = issuer.issue_cert(*names, **options)
        chain, key = folder / "chain.pem", folder / "key.pem"
        made.private_key_pem.write_to_path(str(key))
        for index, blob in enumerate(made.cert_chain_pems):
            blob.write_to_path(str(chain), append=index > 0)
        return str(chain), str(key)

    return make


@pytest.fixture(scope="session")
def localhost(certificate):
    """A good certificate for localhost."""
    return certificate("localhost", "127.0.0.1")


class Inbox:
    """An aiosmtpd handler that keeps what arrives, and refuses what begins with refused or deferred."""

    def __init__(self):
        """Empty."""
        self.envelopes = []
        self.peers = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        """Refuses by the name of the recipient."""
        if address.startswith("refused"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("deferred"):
            return "450 4.2.1 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(self, server, session, envelope, address, options):
        """Refuses by the name of the sender."""
        if address.startswith("refused"):
            return "553 5.1.8 bad sender"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        """Refuses a message that says so."""
        if b"refuse this" in envelope.content:
            return "554 5.6.0 bad message"
        self.envelopes.append(envelope)
        self.peers.add(session.peer)
        return "250 2.0.0 Ok: queued as ABC123"


def authenticate(server, session, envelope, mechanism, data):
    """One user."""
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"secret")
    return AuthResult(success=good, handled=False)


@pytest.fixture
def listener():
    """Starts aiosmtpd listeners: `listener(cert=(chain, key), auth=True, …)` gives an object with `url` and `inbox`."""
    running = []

    def start(cert=None, auth=False, implicit=False, **options):
        inbox = Inbox()
        if cert:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*cert)
            options["ssl_context" if implicit else "tls_context"] = context
        if auth:
            options.update(authenticator=authenticate, auth_require_tls=bool(cert) and not implicit)
        # By itself it takes five seconds for a failure.
        controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), ready_timeout=60, **options)
        controller.start()
        running.append(controller)
        controller.inbox = inbox
        controller.url = f"smtp{'s' if implicit else ''}://localhost:{controller.port}"
        return controller

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def sink(listener):
    """A plain aiosmtpd listener."""
    return listener()


@pytest.fixture
def script():
    """Starts a peer that says fixed lines: one for the greeting and one for each line of a client. None: it closes.

    A number is seconds of silence. What was received is in `received`.
    """
    sockets = []

    def start(*lines):
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)
        received = []

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as file:
                    for place, line in enumerate(lines):
                        if place:
                            said = file.readline()
                            received.append(said)
                            # What follows DATA is a message.
                            while lines[place - 1].startswith("354") and said not in (b".\r\n", b""):
                                said = file.readline()
                        if line is None:
                            break
                        connection.sendall(line.encode() + b"\r\n")
                    else:
                        # Silent for as long as the client stays.
                        while file.readline():
                            pass

        threading.Thread(target=serve, daemon=True).start()
        start.received = received
        return f"smtp://127.0.0.1:{listening.getsockname()[1]}?tls=none"

    yield start
    for listening in sockets:
        listening.close()


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]

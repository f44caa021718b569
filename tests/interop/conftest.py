"""Fixtures: the foreign servers, and mailwire's listeners, each started once for the whole run."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import certificates
from .certificates import Certificates
from .ci_rule import pytest_runtest_makereport  # noqa: F401  (a hook: pytest finds it here)
from .mailwire_driver import Listener
from .peers import postfix
from .peers.base import OpenPeer
from .peers.postfix import Postfix
from .peers.running import Peers
from .process import scratch_folder

TEST_SECONDS = 60
"""No test runs longer, the start of its peer included."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bounds the tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


def pytest_sessionstart() -> None:
    """Makes a SIGTERM end the run in order, so that no peer outlives it."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


@pytest.fixture(scope="session")
def loopback_certificates() -> Iterator[Certificates]:
    """One throw-away authority and one certificate, for the peers and for mailwire."""
    with scratch_folder("certificates") as folder:
        yield certificates.make(folder)


@pytest.fixture(scope="session")
def peers(loopback_certificates: Certificates) -> Iterator[Peers]:
    """The foreign servers by name. Each runs from when it is first asked for until the end."""
    running = Peers(loopback_certificates)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session", params=["Postfix", "Exim", "OpenSMTPD", "aiosmtpd", "smtp-server"])
def peer(request: pytest.FixtureRequest, peers: Peers) -> OpenPeer:
    """Each of those that take mail from anybody in turn, running."""
    return peers.get(request.param)


@pytest.fixture(scope="session")
def listeners(loopback_certificates: Certificates) -> Iterator[dict[str, Listener]]:
    """Mailwire's listeners: in clear, with TLS required, and with TLS and AUTH required."""
    running: dict[str, Listener] = {}
    try:
        for mode in ("plain", "starttls", "auth"):
            running[mode] = Listener(loopback_certificates, tls=mode != "plain", auth=mode == "auth")
        yield running
    finally:
        for listener in running.values():
            listener.stop()


@pytest.fixture(scope="session")
def relaying_postfix(listeners: dict[str, Listener], loopback_certificates: Certificates) -> Iterator[Postfix]:
    """A Postfix that passes on the mail for `<mode>.relay.test` to the listener of that mode."""
    skip_if(postfix.missing())
    relays = {
        f"{mode}.relay.test": postfix.Relay(
            listener.port, tls="none" if mode == "plain" else "starttls", auth=mode == "auth"
        )
        for mode, listener in listeners.items()
    }
    with scratch_folder("relay") as folder:
        server = Postfix(folder, loopback_certificates, relays)
        try:
            yield server
        finally:
            server.stop()


def skip_if(reason: str | None) -> None:
    """Skips the test for a missing peer; ci_rule.py makes that a failure in CI."""
    if reason is not None:
        pytest.skip(reason)

"""Fixtures: the foreign servers, and mailwire's listeners, each started once for the whole run."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import certificates
from .certificates import Certificates
from .mailwire_driver import Listener, MechanismListeners
from .peers.base import OpenPeer, Relay
from .peers.relays import Relays
from .peers.running import Peers
from .process import scratch_folder

TEST_SECONDS = 180
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
    """Mailwire's listeners: in clear, with STARTTLS required, with TLS from the start, and with STARTTLS and AUTH required."""
    running: dict[str, Listener] = {}
    try:
        for mode in ("plain", "starttls", "implicit", "auth"):
            running[mode] = Listener(
                loopback_certificates, tls=mode != "plain", implicit=mode == "implicit", auth=mode == "auth"
            )
        yield running
    finally:
        for listener in running.values():
            listener.stop()


@pytest.fixture(scope="session")
def mechanism_listeners(loopback_certificates: Certificates) -> Iterator[MechanismListeners]:
    """Mailwire's listeners that offer one mechanism each, and take mail behind it alone."""
    with scratch_folder("mechanisms") as folder:
        running = MechanismListeners(folder, loopback_certificates)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def relays(
    listeners: dict[str, Listener], mechanism_listeners: MechanismListeners, loopback_certificates: Certificates
) -> Iterator[Relays]:
    """The foreign servers that pass mail on to each of mailwire's listeners."""
    targets = {
        mode: Relay(
            listener.port,
            tls={"plain": "none", "auth": "starttls"}.get(mode, mode),
            auth=mode == "auth",
        )
        for mode, listener in listeners.items()
    }
    targets |= {
        f"{mechanism}.{tls}".lower(): Relay(port, tls={"plain": "none"}.get(tls, tls), auth=True)
        for (mechanism, tls), port in mechanism_listeners.ports.items()
    }
    running = Relays(loopback_certificates, targets)
    try:
        yield running
    finally:
        running.stop()


def skip_if(reason: str | None) -> None:
    """Skips the test for a missing peer; ci_rule.py makes that a failure in CI."""
    if reason is not None:
        pytest.skip(reason)

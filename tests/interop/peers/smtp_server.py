"""Node's smtp-server, from where npm has put it."""

import shutil
from pathlib import Path

from ..certificates import Certificates
from ..compare import assert_same
from ..install_peers import NODE
from ..process import Daemon, free_port, wait_for
from .base import DELIVERY_SECONDS, DOMAIN, PASSWORD, SIZE_LIMIT, TOKEN, USER, OpenPeer


def missing() -> str | None:
    """Why smtp-server cannot be run here, or None."""
    if shutil.which("node") is None:
        return "smtp-server: there is no node"
    if not (NODE / "node_modules" / "smtp-server").exists():
        return f"smtp-server is not in {NODE}"
    return None


class SmtpServer(OpenPeer):
    """A running smtp-server."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.port, self.login_port = free_port(), free_port()
        self.mechanisms_port, self.implicit_port = free_port(), free_port()
        self._inbox = folder / "inbox"
        self._inbox.mkdir()
        self._numbers = iter(range(10_000))
        words = [self._inbox, certificates.chain, certificates.key, USER, PASSWORD, TOKEN, SIZE_LIMIT]
        ports = [self.port, self.login_port, self.mechanisms_port, self.implicit_port]
        self._daemon = Daemon(
            ["node", str(Path(__file__).with_name("smtp_server.js")), *map(str, words + ports)],
            folder / "log",
            environment={"NODE_PATH": str(NODE / "node_modules")},
        )
        try:
            for port in ports[:3]:
                self._daemon.wait_until_it_greets(port)
        except BaseException as error:
            self.stop()
            raise RuntimeError(f"smtp-server did not start: {error}") from error

    def new_address(self) -> str:
        return f"m{next(self._numbers)}@{DOMAIN}"

    def assert_arrived(self, address: str, sent: bytes) -> str:
        path = self._inbox / address
        wait_for(lambda: path.exists() or None, DELIVERY_SECONDS, f"a mail for {address}")
        protocol, _, received = path.read_bytes().partition(b"\r\n")
        assert_same(sent, received)
        path.unlink()
        return protocol.decode()

    def stop(self) -> None:
        self._daemon.stop()

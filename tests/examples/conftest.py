"""What the example tests share: a certificate authority, and the example programs of each language."""

import os
import sys
from pathlib import Path

import pytest
import trustme

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / "build" / "examples"
LANGUAGES = ("c", "cpp", "python", "rust")


def program(language: str, name: str) -> list[str]:
    """The command that runs an example."""
    if language == "python":
        return [sys.executable, str(ROOT / "examples" / "python" / f"{name}.py")]
    return [str(BUILT / f"{name}-{language}")]


class Certificates:
    """A throw-away authority, a certificate of localhost, and an authority that nobody trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = trustme.CA()
        self.ca = self._write("ca.pem", authority.cert_pem.bytes())
        self.stranger = self._write("stranger.pem", trustme.CA().cert_pem.bytes())
        self.certificate, self.key = self._issue(authority, "localhost", "localhost", "127.0.0.1")
        self.other_name = self._issue(authority, "other", "other.example")

    def _issue(self, authority: trustme.CA, file: str, *names: str) -> tuple[Path, Path]:
        issued = authority.issue_cert(*names)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return self._write(f"{file}.pem", chain), self._write(f"{file}-key.pem", issued.private_key_pem.bytes())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True, scope="session")
def quiet_environment() -> None:
    """Nothing of the caller's environment decides what is trusted or where mail goes."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SMTP_URL"):
        os.environ.pop(name, None)

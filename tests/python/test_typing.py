"""The stubs: complete beside the package itself, and strict enough to find a mistake."""

import subprocess
import sys
import textwrap
from pathlib import Path

import mailwire
import pytest

GOOD = """
    import mailwire
    import socket
    from email.message import EmailMessage
    from pathlib import Path

    def recipients(result: mailwire.SendResult) -> list[str]:
        if result.reply is not None:
            code: int = result.reply.code
        return [*result.accepted, *result.refused, *result.unknown]

    mailwire.Client("smtp://localhost", auth="SCRAM-SHA-256")
    mailwire.Client("smtp://localhost", auth=["SCRAM-SHA-256-PLUS", "PLAIN"])
    with mailwire.Client("smtp://localhost", tls="required", timeout=3, max_connections=2) as client:
        recipients(client.send(EmailMessage()))
        recipients(mailwire.send(b"", client, sender="a@example.org", recipients=["b@example.org"]))
        for result in client.send_many([b"", {"message": Path("x"), "sender": None}]):
            if isinstance(result, mailwire.SendResult):
                recipients(result)
    mailwire.send_mail("s", "t", sender="a", to=["b"], attachments=[Path("x"), ("n", b"")], server="smtp://x", deadline=1.5)

    class Handler:
        def rcpt(self, session: mailwire.Session, recipient: str, options: dict[str, str | None]) -> str | None:
            session.state["seen"] = 1
            raise mailwire.Reject(550, "5.1.1 no")

        def data(self, session: mailwire.Session, envelope: mailwire.Envelope) -> None:
            message: EmailMessage = envelope.as_message()

        def lookup(self, session: mailwire.Session, username: str) -> str | None:
            return mailwire.scram_keys("secret")

    class Later:
        async def data(self, session: mailwire.Session, envelope: mailwire.Envelope) -> str:
            return "250 2.0.0 kept"

    class Stream:
        async def stream(self, session: mailwire.Session, envelope: mailwire.Envelope, body: mailwire.AsyncBody) -> bool:
            size = len(await body.read(10))
            async for piece in body:
                size += len(piece)
            return size < 100

    async def check(session: mailwire.Session, credentials: mailwire.Credentials) -> bool:
        return credentials.password == "secret"

    async def main() -> None:
        async with mailwire.Server(Later(), auth=check) as server:
            port: int = server.port

    tls = mailwire.TLS.from_files("a", Path("b"), sni={"mx.example.org": ("c", Path("d"))})
    own: str | None = mailwire.TLS.self_signed(["localhost", "127.0.0.1"]).certificate
    mailwire.Server(print, ["127.0.0.1", "::1"], mechanisms=["EXTERNAL"], limits=mailwire.Limits(max_hops=30), received=True)
    mailwire.Server(print, sockets=[socket.create_server(("127.0.0.1", 0))], reuse_port=True)
    with mailwire.Server(Handler(), port=25, tls=tls, auth={"u": "p"}, limits=mailwire.Limits(size=1)) as server:
        for envelope in server.messages(timeout=1):
            size: int = envelope.size
    try:
        pass
    except mailwire.Error as error:
        temporary: bool = error.temporary
"""

BAD = [
    "mailwire.send(b'', tls='always')",
    "mailwire.send(b'', time_out=3)",
    "mailwire.send(42)",
    "mailwire.Client(auth='KERBEROS')",
    "mailwire.Client(auth=['PLAIN', 'KERBEROS'])",
    "mailwire.send_mail('s', 't', to='b')",
    "mailwire.Client(max_connections='2')",
    "mailwire.Server(print, tls='cert.pem')",
    "mailwire.asend(b'')",
    "mailwire.Limits(bytes=1)",
    "mailwire.Server(print, auth=lambda session, credentials: 3.5)",
]


def mypy(folder, code):
    """The strict type checker's exit code and words."""
    path = folder / "sample.py"
    path.write_text(textwrap.dedent(code))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", f"--cache-dir={folder}/cache", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def test_good_code_passes_strict_checks(tmp_path):
    assert mypy(tmp_path, GOOD) == (0, "")


def test_each_mistake_is_found(tmp_path):
    code, words = mypy(tmp_path, "import mailwire\n" + "\n".join(BAD) + "\n")
    assert code == 1
    for line, mistake in enumerate(BAD, start=2):
        assert f"sample.py:{line}: error" in words, mistake


def test_the_stubs_are_what_the_package_has(tmp_path):
    # Behind the public module stand files without annotations, which are nobody's to import.
    config = tmp_path / "mypy.ini"
    behind = [path.stem for path in Path(mailwire.__file__).parent.glob("_[a-z]*.py")]
    config.write_text("[mypy]\n" + "".join(f"[mypy-mailwire.{name}]\nignore_errors = True\n" for name in behind))
    command = [sys.executable, "-m", "mypy.stubtest", "--mypy-config-file", str(config), "mailwire"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", mailwire.__all__)
def test_every_public_name_is_in_the_stubs(name):
    stubs = Path(mailwire.__file__).with_name("__init__.pyi").read_text()
    assert f" {name}(" in stubs or f" {name}:" in stubs or f"\n{name}:" in stubs

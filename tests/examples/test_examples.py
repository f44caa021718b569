"""The example programs: every sender to every listener, and what each says when something is wrong."""

import contextlib
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import LANGUAGES, Certificates, program

MESSAGE = b"Subject: test\r\n\r\n.dots\r\n..more\r\nGr\xc3\xbc\xc3\x9fe\r\n" + b"x" * 900 + b"\r\n"
USER, PASSWORD = "user", "pass word"


class Listener:
    """A running example listener."""

    def __init__(self, process: subprocess.Popen, port: int, inbox: Path) -> None:
        self.process = process
        self.port = port
        self.inbox = inbox

    def line(self) -> str:
        """The next line that it prints."""
        return self.process.stdout.readline().rstrip("\n")


@contextlib.contextmanager
def listening(
    language: str, certificates: Certificates, inbox: Path, pair: tuple[Path, Path] | None = None
) -> Iterator[Listener]:
    certificate, key = pair or (certificates.certificate, certificates.key)
    command = [*program(language, "listen"), "127.0.0.1:0", certificate, key, USER, PASSWORD, "0", inbox]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.fullmatch(r"listening on \S+:(\d+)\n", process.stdout.readline())[1])
            yield Listener(process, port, inbox)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0, "it ends by itself when interrupted"
        finally:
            process.kill()


def send(
    language: str, port: int, ca: Path, *recipients: str, password: str = PASSWORD, query: str = "tls=required"
) -> subprocess.CompletedProcess:
    secret = password.replace(" ", "%20")
    url = f"smtp://{USER}:{secret}@localhost:{port}?{query}&ca={ca}"
    command = [*program(language, "send"), url, "me@example.org", *(recipients or ("you@example.net",))]
    return subprocess.run(command, input=MESSAGE, capture_output=True, timeout=60, check=False)


def complaint(result: subprocess.CompletedProcess) -> str:
    """The one line that a failing example says."""
    error = result.stderr.decode().strip()
    assert result.returncode == 1, error
    assert error and "\n" not in error, error
    assert PASSWORD not in error
    return error


@pytest.mark.parametrize("receiver", LANGUAGES)
def test_every_sender_reaches_every_listener(receiver: str, certificates: Certificates, tmp_path: Path) -> None:
    with listening(receiver, certificates, tmp_path) as listener:
        for number, sender in enumerate(LANGUAGES, 1):
            result = send(sender, listener.port, certificates.ca)
            assert result.returncode == 0, result.stderr.decode()
            assert result.stdout.startswith(b"you@example.net: 250")
            peer, version, user, reverse_path, recipients, size = listener.line().split(" ")
            assert peer.startswith("127.0.0.1:")
            assert version.startswith("TLSv1.")
            assert (user, reverse_path, recipients) == (USER, "me@example.org", "you@example.net")
            assert int(size) == len(MESSAGE)
            assert (tmp_path / f"{number}.eml").read_bytes() == MESSAGE


@pytest.mark.parametrize("sender", LANGUAGES)
def test_each_failure_is_one_clear_line(sender: str, certificates: Certificates, tmp_path: Path) -> None:
    texts = []
    with listening("c", certificates, tmp_path) as listener:
        texts.append(complaint(send(sender, listener.port, certificates.ca, password="wrong")))
        assert "password" in texts[-1]
        texts.append(complaint(send(sender, listener.port, certificates.stranger)))
        assert "trust" in texts[-1]
        texts.append(complaint(send(sender, listener.port, certificates.ca, "nobody@example.net")))
        assert "nobody@example.net" in texts[-1] and "550" in texts[-1]
        texts.append(complaint(send(sender, listener.port, certificates.ca, query="tls=implicit")))
        assert "TLS" in texts[-1]
        texts.append(complaint(send(sender, listener.port, certificates.ca, query="tls=none")))
        assert "in clear" in texts[-1]
        texts.append(complaint(send(sender, listener.port, certificates.ca, "you@example.net\r\nRSET")))
    with listening("c", certificates, tmp_path, certificates.other_name) as listener:
        texts.append(complaint(send(sender, listener.port, certificates.ca)))
        assert "other.example" in texts[-1]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        texts.append(complaint(send(sender, unused.getsockname()[1], certificates.ca)))
        assert "nothing listens" in texts[-1]
    assert len(set(texts)) == len(texts), "different faults have different texts"


@pytest.mark.parametrize("sender", LANGUAGES)
def test_one_refused_recipient_does_not_sink_the_others(
    sender: str, certificates: Certificates, tmp_path: Path
) -> None:
    with listening("c", certificates, tmp_path) as listener:
        result = send(sender, listener.port, certificates.ca, "a@example.net", "nobody@example.net", "b@example.net")
        lines = result.stdout.decode().splitlines()
        assert [line.split(": ")[0] for line in lines] == ["a@example.net", "nobody@example.net", "b@example.net"]
        assert [line.split(": ")[1][:3] for line in lines] == ["250", "550", "250"]
        assert listener.line().split(" ")[4] == "a@example.net,b@example.net"


@pytest.mark.parametrize("language", LANGUAGES)
def test_wrong_arguments_are_told(language: str, certificates: Certificates) -> None:
    for name in ("send", "listen"):
        result = subprocess.run(program(language, name), capture_output=True, timeout=20, check=False)
        assert result.returncode != 0
        assert b"usage" in result.stderr
    missing = certificates.folder / "missing.pem"
    command = [*program(language, "listen"), "127.0.0.1:0", missing, missing, USER, PASSWORD]
    result = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert "missing.pem" in complaint(result)

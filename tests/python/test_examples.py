"""The two example programs, run against each other as they are."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import free_port

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"


def program(name, *arguments, **options):
    """One of the programs, started."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, EXAMPLES / name, *arguments], stdout=pipe, stderr=pipe, **options)


@pytest.fixture
def listening(localhost, tmp_path):
    """The listener with room for two messages, and its port."""
    running = program("listen.py", "127.0.0.1:0", *localhost, "user", "secret", "2", str(tmp_path))
    line = running.stdout.readline().decode()
    assert line.startswith("listening on 127.0.0.1:"), line
    yield running, int(line.rsplit(":")[-1])
    running.terminate()
    running.communicate(timeout=20)


def send(url, *addresses, message):
    """What send.py said, and its exit code."""
    running = program("send.py", url, *addresses, stdin=subprocess.PIPE)
    out, err = running.communicate(message, timeout=20)
    return out.decode(), err.decode(), running.returncode


def test_they_understand_each_other(listening, ca_file, tmp_path, message):
    running, port = listening
    url = f"smtp://user:secret@localhost:{port}?tls=required&ca={ca_file}"
    out, err, code = send(url, "a@example.org", "b@example.net", "nobody@example.net", "c@example.net", message=message)
    assert (err, code) == ("", 0)
    first, refused, last = out.splitlines()
    assert first.startswith("b@example.net: 250 ") and last.startswith("c@example.net: 250 ")
    assert refused == "nobody@example.net: 550 5.1.1 No such mailbox"
    assert send(url, "", "b@example.net", message=message + b"\xff.\r\n..\r\n")[2] == 0
    lines = running.communicate(timeout=20)[0].decode().splitlines()
    assert running.returncode == 0
    assert lines[0].split()[1:] == [
        "TLSv1.3",
        "user",
        "a@example.org",
        "b@example.net,c@example.net",
        str(len(message)),
    ]
    assert lines[0].startswith("127.0.0.1:")
    assert (tmp_path / "1.eml").read_bytes() == message
    assert (tmp_path / "2.eml").read_bytes() == message + b"\xff.\r\n..\r\n"


def test_errors_are_one_line(listening, ca_file, message):
    _, port = listening
    url = "smtp://{}@localhost:{}?tls=required&ca={}"
    for failing in (
        url.format("user:wrong", port, ca_file),
        url.format("user:secret", port, "/dev/null"),
        f"smtp://user:secret@localhost:{port}",
        f"smtp://localhost:{free_port()}",
        "http://localhost",
    ):
        out, err, code = send(failing, "a@example.org", "b@example.net", message=message)
        assert (out, code, len(err.splitlines())) == ("", 1, 1), err
    out, err, code = send(
        url.format("user:secret", port, ca_file), "a@example.org", "nobody@example.net", message=message
    )
    assert code == 1 and "5.1.1 No such mailbox" in err


def test_a_signal_ends_the_listener(listening):
    running, _ = listening
    running.terminate()
    assert running.communicate(timeout=20) == (b"", b"") and running.returncode == 0

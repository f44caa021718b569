"""The yardsticks themselves: N messages sent are N messages counted, and an end of data is found wherever it is cut."""

from __future__ import annotations

import re
import smtplib
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_programs import HERE, FailedError, build_c, build_limits, run_client, running
from programs import SMTP_SINK

SIZES = (2, 3, 17, 93, 1024, 200_000)
HELLO = b"220 limit.example ESMTP\r\n"
FINE = b"250 2.0.0 Fine\r\n"
DATA = b"354 Go on\r\n"
TAKEN = b"250 2.0.0 Taken\r\n"
BYE = b"221 2.0.0 Bye\r\n"


@pytest.fixture(scope="session")
def limits() -> tuple[Path, Path]:
    return build_limits()


@pytest.mark.parametrize(
    ("mode", "connections", "more"),
    [
        (0, 1, []),
        (0, 7, []),
        (1, 1, []),
        (1, 7, []),
        (2, 1, []),
        (2, 7, []),
        (0, 1, ["--fresh"]),
        (0, 7, ["--fresh"]),
        (1, 7, ["--fresh"]),
    ],
)
def test_all_that_is_sent_is_counted(limits: tuple[Path, Path], mode: int, connections: int, more: list[str]) -> None:
    server_program, client_program = limits
    with running([server_program, "--messages", "500", "--seconds", "20"]) as server:
        sent = run_client(
            [
                client_program,
                *f"--port {server.port} --messages 500 --mode {mode} --connections {connections}".split(),
                *more,
            ]
        )
        counted = server.finish()
    expected = 500 if more else connections
    assert (sent.messages, counted.messages) == (500, 500)
    assert (sent.connections, counted.connections) == (expected, expected)
    assert min(sent.seconds, counted.seconds, sent.cpu_seconds, counted.cpu_seconds) > 0


@pytest.mark.parametrize("read_size", [1, 2, 3, 4, 5, 6, 7, 11, 64])
def test_an_end_of_data_is_found_at_any_split(limits: tuple[Path, Path], read_size: int) -> None:
    """The server reads `read_size` bytes at a time, and bodies of growing length move the mark through every place."""
    decoys = b"\r\n..\r\n\n.\n \r.\r \n.\r\n \r\n.\n \r\n.x\r\n\r\r\n..\r\n"
    bodies = [b"", b"\r\n"] + [decoys + b"x" * extra + b"\r\n" for extra in range(read_size + 1)]
    expected = HELLO
    talk = b""
    for body in bodies:
        talk += b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n" + body + b".\r\n"
        expected += FINE + FINE + DATA + TAKEN
    talk += b"NOOP\r\nQUIT\r\n"
    expected += FINE + BYE
    command = [str(limits[0]), "--messages", str(len(bodies)), "--seconds", "20", "--read", str(read_size)]
    with running(command) as server:
        assert converse(server.port, talk) == expected
        counted = server.finish()
    assert counted.messages == len(bodies)


@pytest.mark.parametrize("wrong_end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n..\r\n"])
def test_nothing_but_crlf_dot_crlf_ends_a_message(limits: tuple[Path, Path], wrong_end: bytes) -> None:
    with running([limits[0], "--messages", "1", "--seconds", "20"]) as server:
        assert converse(server.port, b"DATA\r\ntext" + wrong_end + b"QUIT\r\n") == HELLO + DATA
        assert converse(server.port, b"DATA\r\ntext\r\n.\r\nQUIT\r\n") == HELLO + DATA + TAKEN + BYE
        assert server.finish().messages == 1


def test_smtplib_is_understood(limits: tuple[Path, Path]) -> None:
    with running([limits[0], "--messages", "3", "--seconds", "20"]) as server:
        with smtplib.SMTP("127.0.0.1", server.port, local_hostname="client.example", timeout=10) as client:
            for text in ("Subject: one\n\n.\n..dots\n.", "", "x" * 300_000):
                assert client.sendmail("a@b.example", ["c@d.example", "e@f.example"], text) == {}
        assert server.finish().messages == 3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_the_client_writes_whole_messages(limits: tuple[Path, Path], inbox: Inbox, mode: int, size: int) -> None:
    sent = run_client(
        [limits[1], *f"--port {inbox.port} --messages 5 --connections 2 --mode {mode} --size {size}".split()]
    )
    assert sent.messages == 5
    assert [len(body) for body in inbox.bodies] == [size] * 5
    for body in inbox.bodies:
        assert body.endswith(b"\r\n")
        rest = body.replace(b"\r\n", b"")
        assert b"\r" not in rest and b"\n" not in rest


def test_the_client_ends_at_a_refusal(limits: tuple[Path, Path], inbox: Inbox) -> None:
    inbox.refuse = True
    with pytest.raises(FailedError, match="neither 2yz nor 3yz"):
        run_client([limits[1], "--port", str(inbox.port), "--messages", "5"])


def test_programs_end_at_their_time_limit(limits: tuple[Path, Path]) -> None:
    with running([limits[0], "--seconds", "1"]) as server:
        assert server.finish().messages == 0
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(FailedError, match="time limit"):
        run_client([limits[1], "--port", str(silent.getsockname()[1]), "--seconds", "1"], timeout=60)


@pytest.mark.parametrize(("mode", "calls"), [(0, 12), (1, 6), (2, 3)])
def test_system_calls_are_counted(limits: tuple[Path, Path], tmp_path: Path, mode: int, calls: int) -> None:
    """epoll_wait, read and send: once for each turn of the limit client, with every message."""
    counts = []
    for messages in (100, 300):
        with running([limits[0], "--messages", str(messages), "--seconds", "20"]) as server:
            command = [build_c("count_calls"), tmp_path / "calls", limits[1]]
            options = f"--port {server.port} --messages {messages} --mode {mode}".split()
            assert run_client([*command, *options]).messages == messages
        counts.append(int((tmp_path / "calls").read_text()))
    # The client may once find that nothing has come yet.
    assert (counts[1] - counts[0]) / 200 == pytest.approx(calls, abs=0.1)


def test_a_program_that_is_counted_ends_as_it_would(limits: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="status 2"):
        run_client([build_c("count_calls"), tmp_path / "calls", limits[1], "--mode", "3"])
    assert int((tmp_path / "calls").read_text()) > 0


def test_a_program_is_started_for_each_message(limits: tuple[Path, Path]) -> None:
    with running([limits[0], "--messages", "5", "--seconds", "20"]) as server:
        options = f"--port {server.port} --messages 5 --seconds 20 --mode 0".split()
        sent = run_client([build_c("spawn"), limits[1], *options])
        counted = server.finish()
    assert (sent.messages, sent.connections, counted.messages, counted.connections) == (5, 5, 5, 5)
    assert sent.cpu_seconds > 0
    with pytest.raises(FailedError, match="another status than 0"):
        run_client([build_c("spawn"), limits[1], "--mode", "3", "--messages", "5"])


@pytest.mark.skipif(not Path(SMTP_SINK).exists(), reason="there is no smtp-sink")
def test_a_silent_listener_is_told_to_end(limits: tuple[Path, Path], tmp_path: Path) -> None:
    """smtp-sink does not count: it takes all, and its report has the CPU time, also where its system calls are counted."""
    sink: list[str | Path] = [sys.executable, HERE / "peers" / "smtp_sink_listen.py", "--port", "0", "--seconds", "20"]
    counting: list[str | Path] = [build_c("count_calls"), tmp_path / "calls", *sink]
    for command in (sink, counting):
        with running(command) as server:
            sent = run_client([limits[1], *f"--port {server.port} --messages 300 --connections 3".split()])
            counted = server.finish(at_once=True)
        assert sent.messages == 300
        assert counted.cpu_seconds > 0
    assert int((tmp_path / "calls").read_text()) > 300


@pytest.mark.parametrize(("options", "connections"), [(["--connections", "3"], 3), (["--fresh"], 7)])
@pytest.mark.parametrize("size", [1024, 100_000])
def test_the_listener_in_python_counts_what_is_sent(
    limits: tuple[Path, Path], options: list[str], connections: int, size: int
) -> None:
    command = [sys.executable, HERE / "mailwire_listen.py", "--port", "0", "--messages", "7", "--seconds", "20"]
    with running(command) as server:
        to_server = ["--port", str(server.port), "--messages", "7", "--seconds", "20", "--size", str(size)]
        sent = run_client([limits[1], *to_server, *options])
        counted = server.finish()
    assert (sent.messages, counted.messages) == (7, 7)
    assert (sent.connections, counted.connections) == (connections, connections)
    assert counted.cpu_seconds > 0


def test_smtplib_is_measured_over_many_connections(limits: tuple[Path, Path]) -> None:
    for options, connections in (([], 1), (["--connections", "3"], 3), (["--fresh", "--connections", "2"], 7)):
        with running([limits[0], "--messages", "7", "--seconds", "20"]) as server:
            command = [sys.executable, HERE / "peers" / "smtplib_send.py", "--port", str(server.port)]
            sent = run_client([*command, "--messages", "7", "--seconds", "20", *options])
            counted = server.finish()
        assert (sent.messages, counted.messages) == (7, 7)
        assert (sent.connections, counted.connections) == (connections, connections)


def test_a_server_does_not_outlive_its_block(limits: tuple[Path, Path]) -> None:
    with pytest.raises(KeyboardInterrupt), running([limits[0], "--seconds", "20"]) as server:
        port = server.port
        raise KeyboardInterrupt
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_run_tells_of_each_peer_and_stops_at_a_signal() -> None:
    """One round without cargo: mailwire is named as skipped. Then a run that is told to end leaves no server behind."""
    run = [sys.executable, str(HERE / "run.py"), "--no-cargo", "--short", "--rounds"]
    done = subprocess.run([*run, "1"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("bench-listen", "bench-events", "bench-idle", "bench-send"):
        assert name not in done.stdout
    for line in (
        "mailwire, event queue",
        "mailin-embedded",
        "mailwire, connection",
        "mailwire, async",
        "mailwire, blocking",
        "lettre",
        "allocations",
    ):
        assert f"skipped: {line} (not built, as asked by --no-cargo)" in done.stdout
    # Both the rate and the system calls of the limit client are there.
    assert re.search(r"limit client, mode 0 +\d+\.\d+ +1\.00x +[\d,]+ +1\.00 +\d+\.\d", done.stdout)
    assert re.search(r"limit server +\d+\.\d+ +1\.00x", done.stdout)
    assert re.search(r"smtplib +\d+\.\d+ +\d+\.\d+x", done.stdout)
    for peer in (r"aiosmtpd [\d.]+", "smtp-sink", "node's smtp-server"):
        assert re.search(rf"^  ({peer} +\d|skipped: {peer.split()[0]})", done.stdout, re.MULTILINE)

    long_run = subprocess.Popen([*run, "50"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        children: list[int] = []
        deadline = time.monotonic() + 60
        while not children and time.monotonic() < deadline:
            time.sleep(0.01)
            children = children_of(long_run.pid)
        assert children
        long_run.terminate()
        assert long_run.wait(60) == 128 + 15
    finally:
        if long_run.poll() is None:
            long_run.kill()
            long_run.wait()
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def children_of(process: int) -> list[int]:
    """The processes that this one has started and that still run."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def converse(port: int, talk: bytes) -> bytes:
    """Sends all of `talk`, says that no more will come, and gives all that was answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(talk)
        connection.shutdown(socket.SHUT_WR)
        answers = b""
        while part := connection.recv(65536):
            answers += part
        return answers


class Inbox(socketserver.ThreadingTCPServer):
    """A listener that shares no code with the limit server: line by line, and it keeps the bodies."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.port: int = self.server_address[1]
        self.bodies: list[bytes] = []
        self.refuse = False


class Conversation(socketserver.StreamRequestHandler):
    """One connection to the inbox."""

    timeout = 10
    server: Inbox

    def handle(self) -> None:
        self.say(b"220 inbox.example")
        for line in self.rfile:
            assert line.endswith(b"\r\n")
            verb = line[:4].upper()
            if verb == b"QUIT":
                self.say(b"221 Bye")
                return
            if verb == b"EHLO":
                self.say(b"250-inbox.example\r\n250 PIPELINING")
            elif verb == b"DATA":
                self.say(b"354 Go on")
                self.server.bodies.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.say(b"250 Taken")
            elif self.server.refuse:
                self.say(b"550 No")
            else:
                assert verb in (b"MAIL", b"RCPT")
                self.say(b"250 Fine")

    def say(self, reply: bytes) -> None:
        self.wfile.write(reply + b"\r\n")


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)

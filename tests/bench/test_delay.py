"""The proxy that delays: it passes all on, takes its time, and counts the turns of a talk."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_programs import build_limits, run_client, running
from delay import DelayingProxy

DELAY = 0.02


@pytest.fixture(scope="session")
def limits() -> tuple[Path, Path]:
    return build_limits()


@pytest.fixture
def echo() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.parametrize(("mode", "trips"), [(0, 4), (1, 2), (2, 1)])
def test_the_round_trips_of_a_message_are_counted(limits: tuple[Path, Path], mode: int, trips: int) -> None:
    counts = []
    for messages in (3, 8):
        with (
            running([limits[0], "--messages", str(messages), "--seconds", "20"]) as server,
            DelayingProxy(server.port, DELAY) as proxy,
        ):
            options = f"--port {proxy.port} --messages {messages} --mode {mode}".split()
            start = time.monotonic()
            assert run_client([limits[1], *options]).messages == messages
            assert time.monotonic() - start >= 2 * DELAY * trips * messages
        counts.append(proxy.round_trips)
    assert counts[1] - counts[0] == 5 * trips


def test_a_talk_of_many_commands_is_one_round_trip_each(limits: tuple[Path, Path]) -> None:
    with (
        running([limits[0], "--messages", "1", "--seconds", "20"]) as server,
        DelayingProxy(server.port, DELAY) as proxy,
    ):
        with smtplib.SMTP("127.0.0.1", proxy.port, local_hostname="client.example", timeout=10) as client:
            for _ in range(3):
                client.noop()
            client.sendmail("a@b.example", ["c@d.example"], "x" * 300_000)
        assert server.finish().messages == 1
    # EHLO, three of NOOP, MAIL, RCPT, DATA, the message, QUIT.
    assert proxy.round_trips == 9


def test_nothing_is_lost_and_each_end_is_passed_on(echo: socket.socket) -> None:
    sent = bytes(range(256)) * 4000
    with DelayingProxy(echo.getsockname()[1], DELAY) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            server, _ = echo.accept()
            with server:
                server.settimeout(10)
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                assert read_all(server) == sent
                server.sendall(sent[::-1])
                server.shutdown(socket.SHUT_WR)
                assert read_all(client) == sent[::-1]
        assert proxy.round_trips == 1


def read_all(end: socket.socket) -> bytes:
    octets = b""
    while piece := end.recv(65536):
        octets += piece
    return octets

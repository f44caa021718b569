"""Ctrl-C and other signals end a blocking call within 100 ms; other threads run meanwhile."""

import itertools
import math
import os
import signal
import socket
import threading
import time

import mailwire
import pytest

# What ending the call itself may take: the promise is 100 ms.
PROMISE = 0.1
TRIES = 20


@pytest.fixture
def silent():
    """A peer that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"smtp://127.0.0.1:{listening.getsockname()[1]}"


def times_out(send, *arguments, **options):
    """What a thread does that waits in vain."""
    with pytest.raises(mailwire.Timeout):
        send(*arguments, **options)


def interrupted(call):
    """How long `call` goes on after a Ctrl-C."""
    when = []

    def press():
        when.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.3, press).start()
        call()
    return time.monotonic() - when[0]


def kept(attempt, promise=PROMISE):
    """Whether what an attempt measures is below the promise at some time: a machine that is busy may be late, but not each time."""
    return any(attempt() < promise for _ in range(TRIES))


def test_ctrl_c_ends_a_send(silent, message):
    assert kept(lambda: interrupted(lambda: mailwire.send(message, silent)))
    client = mailwire.Client(silent, max_connections=1)
    assert kept(lambda: interrupted(lambda: client.send(message)))
    assert kept(lambda: interrupted(lambda: list(client.send_many([message]))))


def test_ctrl_c_ends_the_wait_for_a_connection_of_the_pool(message):
    def waits():
        with pytest.raises(mailwire.Disconnected):
            client.send(message)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"smtp://127.0.0.1:{listening.getsockname()[1]}"
        client = mailwire.Client(url, max_connections=1)
        busy = threading.Thread(target=waits)
        busy.start()
        with listening.accept()[0]:
            assert kept(lambda: interrupted(lambda: client.send(message)))
    busy.join(10)
    assert not busy.is_alive()


ACCEPTS = ("220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 ok")


def test_ctrl_c_ends_a_goodbye(script, message):
    """Of a server that answers everything but QUIT."""
    url = script(*ACCEPTS)

    def closing():
        client = mailwire.Client(url)
        client.send(message)
        return interrupted(client.close)

    assert kept(lambda: interrupted(lambda: mailwire.send(message, url)))
    assert kept(closing)
    client = mailwire.Client(url, max_messages=1)
    assert kept(lambda: interrupted(lambda: client.send(message)))


def test_ctrl_c_ends_the_wait_for_a_client_in_the_midst_of_a_message():
    def stopping():
        server = mailwire.Server(lambda envelope: None).start()
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            for line in (b"EHLO a", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.org>", b"DATA"):
                peer.recv(1000)
                peer.sendall(line + b"\r\n")
            assert peer.recv(1000).startswith(b"354")
            return interrupted(lambda: server.stop(grace=20))

    assert kept(stopping)


def test_ctrl_c_ends_the_wait_for_a_hook_that_does_not_end(message):
    def stopping():
        called, waiting = threading.Event(), threading.Event()

        def handler(_):
            called.set()
            waiting.wait(30)

        server = mailwire.Server(handler).start()
        url = f"smtp://127.0.0.1:{server.port}"
        sending = threading.Thread(target=mailwire.send, args=(message, url))
        sending.start()
        try:
            assert called.wait(10)
            return interrupted(lambda: server.stop(grace=20))
        finally:
            waiting.set()
            sending.join(10)

    assert kept(stopping)


def test_a_client_that_is_let_go_of_holds_up_no_other_thread(script, message):
    """Its server leaves the goodbye without an answer."""
    url = script(*ACCEPTS)

    def longest_wait():
        client = mailwire.Client(url)
        client.send(message)
        ticks, running = [], threading.Event()
        running.set()

        def tick():
            while running.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.01)
            ticks.append(time.monotonic())

        ticking = threading.Thread(target=tick)
        ticking.start()
        while len(ticks) < 5:
            time.sleep(0.01)
        del client
        running.clear()
        ticking.join(10)
        return max(later - earlier for earlier, later in itertools.pairwise(ticks))

    assert kept(longest_wait, 0.5)


def test_a_signal_whose_handler_returns_does_not_end_a_send(silent, message):
    when, seen = [], []

    def press():
        when.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGUSR1)

    def sending():
        when.clear()
        seen.clear()
        timer = threading.Timer(0.1, press)
        timer.start()
        with pytest.raises(mailwire.Timeout):
            mailwire.send(message, silent, timeout=0.6)
        ended = time.monotonic()
        timer.join(10)
        # The send has gone on behind it.
        return seen[0] - when[0] if seen and seen[0] < ended - 0.1 else math.inf

    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
    try:
        assert kept(sending)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_other_threads_run_meanwhile(silent, message):
    def for_twenty_rounds():
        waiting = threading.Thread(target=times_out, args=(mailwire.send, message, silent), kwargs={"timeout": 1.0})
        waiting.start()
        begun = time.monotonic()
        for _ in range(20):
            time.sleep(0.01)
        took = time.monotonic() - begun if waiting.is_alive() else math.inf
        waiting.join(10)
        return took

    assert kept(for_twenty_rounds, 0.5)

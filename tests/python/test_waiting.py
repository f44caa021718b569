"""Ctrl-C and other signals end a blocking call within 100 ms; other threads run meanwhile."""

import itertools
import os
import signal
import socket
import threading
import time

import mailwire
import pytest

# What ending the call itself may take, and some room for a busy machine: the promise is 100 ms.
PROMISE = 0.1
ROOM = 0.4


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

    timer = threading.Timer(0.3, press)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.monotonic() - when[0]
    finally:
        timer.cancel()


def test_ctrl_c_ends_a_send(silent, message):
    took = min(interrupted(lambda: mailwire.send(message, silent)) for _ in range(3))
    assert took < PROMISE
    client = mailwire.Client(silent, max_connections=1)
    assert interrupted(lambda: client.send(message)) < PROMISE + ROOM
    assert interrupted(lambda: list(client.send_many([message]))) < PROMISE + ROOM


def test_ctrl_c_ends_the_wait_for_a_connection_of_the_pool(silent, message):
    client = mailwire.Client(silent, max_connections=1, timeout=3)
    busy = threading.Thread(target=times_out, args=(client.send, message))
    busy.start()
    time.sleep(0.1)
    assert interrupted(lambda: client.send(message)) < PROMISE + ROOM
    busy.join(10)


ACCEPTS = ("220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 ok")


def test_ctrl_c_ends_a_goodbye(script, message):
    """Of a server that answers everything but QUIT."""
    url = script(*ACCEPTS)
    assert interrupted(lambda: mailwire.send(message, url)) < PROMISE + ROOM
    client = mailwire.Client(url)
    client.send(message)
    assert interrupted(client.close) < PROMISE + ROOM
    client = mailwire.Client(url, max_messages=1)
    assert interrupted(lambda: client.send(message)) < PROMISE + ROOM


def test_ctrl_c_ends_the_wait_for_a_server_to_stop(message):
    """One has a client in the midst of a message, the other a hook that does not end."""
    called, waiting = threading.Event(), threading.Event()

    def handler(_):
        called.set()
        waiting.wait(20)

    servers = [mailwire.Server(handler).start() for _ in range(2)]
    try:
        with socket.create_connection(("127.0.0.1", servers[0].port)) as peer:
            for line in (b"EHLO a", b"MAIL FROM:<a@example.org>", b"RCPT TO:<b@example.org>", b"DATA"):
                peer.recv(1000)
                peer.sendall(line + b"\r\n")
            assert peer.recv(1000).startswith(b"354")
            assert interrupted(lambda: servers[0].stop(grace=3)) < PROMISE + ROOM
        url = f"smtp://127.0.0.1:{servers[1].port}"
        sending = threading.Thread(target=mailwire.send, args=(message, url))
        sending.start()
        assert called.wait(10)
        assert interrupted(lambda: servers[1].stop(grace=3)) < PROMISE + ROOM
    finally:
        waiting.set()
    sending.join(10)


def test_a_client_that_is_let_go_of_holds_up_no_other_thread(script, message):
    """Its server leaves the goodbye without an answer."""
    client = mailwire.Client(script(*ACCEPTS))
    client.send(message)
    ticks = []
    running = threading.Event()
    running.set()

    def tick():
        while running.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.01)

    ticking = threading.Thread(target=tick)
    ticking.start()
    time.sleep(0.1)
    del client
    running.clear()
    ticking.join(10)
    assert max(later - earlier for earlier, later in itertools.pairwise(ticks)) < 0.5


def test_a_signal_whose_handler_returns_does_not_end_a_send(silent, message):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
    try:
        begun = time.monotonic()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(mailwire.Timeout):
            mailwire.send(message, silent, timeout=0.6)
        assert seen[0] - begun < 0.1 + PROMISE + ROOM
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_other_threads_run_meanwhile(silent, message):
    waiting = threading.Thread(target=times_out, args=(mailwire.send, message, silent), kwargs={"timeout": 1.0})
    waiting.start()
    rounds = 0
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        time.sleep(0.01)
        rounds += 1
    assert waiting.is_alive() and rounds > 20
    waiting.join(10)

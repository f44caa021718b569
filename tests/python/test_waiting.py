"""Ctrl-C and other signals end a blocking call within 100 ms; other threads run meanwhile."""

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

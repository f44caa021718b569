"""Hooks and the end of what they are for: a message that is cut off, a client that is gone, a server that stops."""

import smtplib
import socket
import threading
import time

import mailwire
import pytest
from loops import LATE
from mailwire import Discarded
from peers import begun, data


class Lost:
    """Reads, and remembers in which order what ended."""

    def __init__(self):
        """With nothing known yet."""
        self.calls = []
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.lost, self.over = threading.Event(), threading.Event()

    def stream(self, session, envelope, body):
        """Reads to the end that does not come."""
        try:
            next(body)
            self.begun.set()
            assert self.goes_on.wait(20)
            body.read()
        except Discarded:
            with pytest.raises(Discarded):
                next(body)
            self.calls.append("discarded")
            self.lost.set()
            raise

    def mail(self, session, sender, options):
        """The next transaction."""
        self.calls.append("mail")

    def disconnect(self, session):
        """The end."""
        self.calls.append("disconnect")
        self.over.set()

    def error(self, session, exception):
        """Is not to be called."""
        self.calls.append(exception)


def test_a_client_that_is_cut_in_the_middle(logged):
    handler = Lost()
    with mailwire.Server(handler) as server:
        client = begun(server)
        client.docmd("DATA")
        client.send(b"half\r\n")
        assert handler.begun.wait(10)
        client.sock.shutdown(socket.SHUT_RDWR)
        client.close()
        # No other hook of the session runs before this one has returned.
        assert not handler.over.wait(0.3)
        handler.goes_on.set()
        assert handler.over.wait(10)
    assert handler.calls == ["mail", "discarded", "disconnect"]
    assert not logged()


def test_a_message_that_the_end_of_the_server_cuts_off(logged):
    handler = Lost()
    server = mailwire.Server(handler).start()
    client = begun(server)
    client.docmd("DATA")
    # More than may wait for the hook, and less than the network holds.
    client.send((b"x" * 998 + b"\r\n") * 1000)
    assert handler.begun.wait(10)
    stopping = threading.Thread(target=server.stop, kwargs={"grace": 0.2})
    stopping.start()
    with pytest.raises(OSError):
        client.getreply()
    handler.goes_on.set()
    assert handler.over.wait(10)
    stopping.join(10)
    assert not stopping.is_alive()
    assert handler.calls == ["mail", "discarded", "disconnect"]
    assert not logged()


def test_a_message_that_is_bad_in_its_middle_and_the_next_one():
    handler = Lost()
    with mailwire.Server(handler, limits=mailwire.Limits(size=100_000)) as server, begun(server) as client:
        client.docmd("DATA")
        client.send(b"good\r\n")
        assert handler.begun.wait(10)
        client.send((b"x" * 998 + b"\r\n") * 120 + b".\r\n")
        assert client.getreply()[0] == 552
        client.send(b"MAIL FROM:<c@d.example>\r\nQUIT\r\n")
        # The next hook does not run before this one has returned.
        assert not handler.over.wait(0.3) and handler.calls == ["mail"]
        handler.goes_on.set()
        assert client.getreply()[0] == 250
        assert handler.over.wait(10)
    assert handler.calls == ["mail", "discarded", "mail", "disconnect"]


def test_a_hook_that_reads_does_not_hold_up_stop():
    handler = Lost()
    handler.goes_on.set()
    server = mailwire.Server(handler).start()
    client = begun(server)
    client.docmd("DATA")
    client.send(b"half\r\n")
    assert handler.begun.wait(10)
    server.stop(grace=0.2)
    assert handler.lost.wait(10)
    client.close()


def test_a_hook_that_begins_to_read_when_nobody_waits_any_more(logged):
    lost = threading.Event()

    class Handler:
        def stream(self, session, envelope, body):
            # The client was told 451 and has gone on before this is over.
            assert answered.wait(20)
            with pytest.raises(Discarded):
                body.read()
            lost.set()

    answered = threading.Event()
    with mailwire.Server(Handler(), limits=mailwire.Limits(answer_timeout=LATE)) as server, begun(server) as client:
        assert client.docmd("DATA")[0] == 451
        assert client.noop()[0] == 250
        answered.set()
        assert lost.wait(10)
        client.rset()
    assert not logged()


def test_a_hook_that_reads_may_stop_the_server():
    class Handler:
        def stream(self, session, envelope, body):
            server.stop()
            body.read()

    server = mailwire.Server(Handler()).start()
    ended = server._run.ended
    with begun(server) as client:
        assert data(client, b"x\r\n")[0] == 250
        assert ended.wait(10)
        # It says 421 by itself.
        client.close()


def reading():
    """The threads that `stream` hooks run in."""
    return [thread for thread in threading.enumerate() if thread.name == "mailwire-stream"]


def gone(server):
    """Waits until the server has seen all its clients go."""
    until = time.monotonic() + 20
    while server.stats["open_sessions"]:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("by_name", [False, True])
def test_clients_that_hang_up_have_no_more_threads_than_there_may_be_connections(by_name):
    begins, goes_on = threading.Semaphore(0), threading.Event()

    class Handler:
        def stream(self, session, envelope, body):
            next(body)
            begins.release()
            assert goes_on.wait(20)

    others = set(reading())
    given = {"options": {"max_connections": "2"}} if by_name else {"limits": mailwire.Limits(connections=2)}
    with mailwire.Server(Handler(), **given) as server:
        for _ in range(2):
            client = begun(server)
            client.docmd("DATA")
            client.send(b"half\r\n")
            assert begins.acquire(timeout=10)
            client.close()
            gone(server)
        for _ in range(3):
            with begun(server) as client:
                code, text = client.docmd("DATA")
                assert code == 452 and text.startswith(b"4.3.2 Too many messages are being read")
                assert client.noop()[0] == 250
            gone(server)
        ours = set(reading()) - others
        assert len(ours) == 2
        goes_on.set()
        for thread in ours:
            thread.join(10)
        with begun(server) as client:
            for _ in range(3):
                # One after the other has one place.
                assert data(client, b"x\r\n")[0] == 250
                client.mail("a@example.org")
                client.rcpt("b@example.org")


def test_what_the_client_was_told_451_to_is_asked_of_no_hook(logged):
    calls, goes_on, over = [], threading.Event(), threading.Event()

    class Handler:
        def stream(self, session, envelope, body):
            assert goes_on.wait(20)

        def mail(self, session, sender, options):
            calls.append(sender)

        def reset(self, session):
            calls.append("reset")
            over.set()

    with mailwire.Server(Handler(), limits=mailwire.Limits(answer_timeout=LATE)) as server, begun(server) as client:
        assert client.docmd("DATA")[0] == 451
        assert client.rset()[0] == 250
        assert client.mail("late@example.org")[0] == 451
        goes_on.set()
        assert over.wait(10)
        assert client.mail("next@example.org")[0] == 250
    assert calls == ["a@example.org", "reset", "next@example.org"]
    assert not logged()


def test_a_hook_may_stop_the_server(message):
    class Handler:
        def data(self, session, envelope):
            server.stop()

    def send():
        while server._run is None:
            time.sleep(0.01)
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}")

    server = mailwire.Server(Handler())
    sending = threading.Thread(target=send)
    sending.start()
    server.serve_forever()
    sending.join(10)
    with pytest.raises(mailwire.Misuse):
        _ = server.port


def test_a_hook_that_never_ends_does_not_hold_up_stop(message):
    begun, forever = threading.Event(), threading.Event()
    server = mailwire.Server(lambda envelope: begun.set() or forever.wait(60)).start()
    sending = threading.Thread(
        target=lambda: pytest.raises(smtplib.SMTPException, mailwire.send, message, f"smtp://127.0.0.1:{server.port}")  # noqa: RUF061
    )
    sending.start()
    assert begun.wait(10)
    at = time.monotonic()
    server.stop(grace=0.3)
    assert time.monotonic() - at < 30
    forever.set()
    sending.join(10)

"""One server after another: what is left of the one before, what ends with it, and hooks that are too slow for their clients."""

import smtplib
import socket
import subprocess
import sys
import threading
from functools import partial

import mailwire
import pytest
from conftest import free_port
from loops import LATE


def connect(server):
    """A client that has said who it is."""
    client = smtplib.SMTP("127.0.0.1", server.port, timeout=20)
    client.helo("client.example.org")
    return client


def refuses(port):
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Slow:
    """Waits at MAIL for as long as the test wants; one for each connection."""

    entered = release = calls = None

    @classmethod
    def fresh(cls):
        """A class of its own for one test."""
        return type(
            "Handler",
            (cls,),
            {"entered": threading.Event(), "release": threading.Event(), "calls": [], "gone": threading.Event()},
        )

    def mail(self, session, sender, options):
        """Waits for a sender that is called slow."""
        self.calls.append(("begins", sender))
        self.state = session.state.setdefault("sender", sender)
        if sender.startswith("slow"):
            self.entered.set()
            assert self.release.wait(20)
        self.calls.append(("ends", sender))

    def reset(self, session):
        """Is told."""
        self.calls.append(("reset", session.state["sender"]))

    def disconnect(self, session):
        """Is told, with what was kept."""
        self.calls.append(("gone", session.state.get("sender"), self.state))
        if session.state.get("sender", "").startswith("slow"):
            self.gone.set()


def test_a_server_started_again_knows_no_session_of_the_one_before():
    handler = Slow.fresh()
    server = mailwire.Server(handler).start()
    first = connect(server)
    first.putcmd("MAIL FROM:<slow@example.org>")
    assert handler.entered.wait(10)
    server.stop(grace=0)
    with server, connect(server) as second:
        assert second.mail("second@example.org")[0] == 250
        # Both are session 1, each of its own server. The first is told as gone once its hook has returned.
        handler.release.set()
        assert handler.gone.wait(10)
        assert second.rset()[0] == 250
        second.quit()
    first.close()
    assert handler.calls == [
        ("begins", "slow@example.org"),
        ("begins", "second@example.org"),
        ("ends", "second@example.org"),
        ("ends", "slow@example.org"),
        ("gone", "slow@example.org", "slow@example.org"),
        ("reset", "second@example.org"),
        ("gone", "second@example.org", "second@example.org"),
    ]


def test_the_end_of_one_run_is_not_that_of_the_next():
    class Handler:
        def helo(self, session, name):
            if name == "stop.example.org":
                server.stop(grace=60)
                stopped.set()

    stopped = threading.Event()
    server = mailwire.Server(Handler()).start()
    with connect(server) as busy, connect(server) as client:
        # It holds the end up until it is gone.
        busy.mail("a@example.org")
        client.putcmd("HELO stop.example.org")
        assert stopped.wait(10)
        (ending,) = (thread for thread in threading.enumerate() if thread.name == "mailwire-stop")
        server.start()
        forever = threading.Thread(target=server.serve_forever)
        forever.start()
        assert ending.is_alive()
        # The clients are of the server before, which ends with them.
        busy.close()
        client.close()
        ending.join(30)
        assert not ending.is_alive()
    forever.join(0.3)
    assert forever.is_alive()
    with connect(server) as client:
        assert client.noop()[0] == 250
    server.stop()
    forever.join(10)
    assert not forever.is_alive()


def test_no_two_hooks_of_a_session_run_at_the_same_time_and_it_takes_one_thread():
    handler = Slow.fresh()
    handler.rcpt = handler.mail
    limits = mailwire.Limits(answer_timeout=LATE)
    with (
        mailwire.Server(handler, threads=2, limits=limits) as server,
        connect(server) as slow,
        connect(server) as other,
    ):
        assert slow.mail("first@example.org")[0] == 250
        assert slow.rcpt("slow@example.org")[0] == 451
        assert slow.rcpt("late@example.org")[0] == 451
        assert slow.rset()[0] == 250
        # The second thread is there for others.
        assert other.mail("other@example.org")[0] == 250
        handler.release.set()
        assert slow.mail("next@example.org")[0] == 250
    calls = [call for call in handler.calls if "other@example.org" not in call and call[0] != "gone"]
    # Nobody waits for the answer to the second RCPT; RSET is told all the same.
    assert calls == [
        ("begins", "first@example.org"),
        ("ends", "first@example.org"),
        ("begins", "slow@example.org"),
        ("ends", "slow@example.org"),
        ("reset", "first@example.org"),
        ("begins", "next@example.org"),
        ("ends", "next@example.org"),
    ]


def test_a_handler_that_cannot_be_made_holds_no_client_up():
    class Handler:
        def __init__(self):
            raise LookupError("not now")

        def stream(self, session, envelope, body):
            pass

    with mailwire.Server(Handler) as server, connect(server) as client:
        for _ in range(2):
            client.mail("a@example.org")
            client.rcpt("b@example.org")
            assert client.docmd("DATA")[0] == 451
            assert client.rset()[0] == 250


def test_a_socket_of_the_program_closes_when_the_program_closes_it():
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        server = mailwire.Server(lambda envelope: None, sockets=[own])
        for _ in range(2):
            with server, connect(server):
                pass
    assert refuses(port)
    socket.create_server(("127.0.0.1", port)).close()
    with pytest.raises(mailwire.InvalidArgument, match="closed"):
        server.start()


def test_a_server_that_nobody_keeps_runs_until_the_program_ends():
    code = """
import gc, mailwire, sys
print(mailwire.Server(lambda envelope: None).start().port, flush=True)
gc.collect()
sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        port = int(program.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer, peer.makefile("rb") as lines:
            assert lines.readline().startswith(b"220 ")
            program.communicate(b"\n", timeout=20)
            assert lines.readline() == b"421 4.3.2 Shutting down\r\n"
        assert program.returncode == 0


@pytest.mark.parametrize("name", ["mailwire-handler-2", "mailwire-loop"])
def test_without_all_its_threads_a_server_does_not_start(monkeypatch, name):
    def start(thread):
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        begin(thread)

    begin = threading.Thread.start
    server = mailwire.Server(Later(), port=free_port())
    with server:
        port = server.port
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            server.start()
    assert refuses(port)
    with pytest.raises(mailwire.Misuse):
        _ = server.port
    with server, connect(server) as client:
        assert client.noop()[0] == 250


class Later:
    """Of a coroutine, which needs a loop."""

    async def data(self, session, envelope):
        """Takes it."""


@pytest.mark.parametrize("name", ["mailwire-handler-2", "mailwire-loop"])
def test_a_server_that_is_stopped_while_its_threads_start(name):
    def start(thread):
        if thread.name == name and not runs:
            # As the handler of a signal may do.
            runs.append(server._run)
            server.stop(grace=0)
        begin(thread)

    runs, begin = [], threading.Thread.start
    server = mailwire.Server(Later(), port=free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        server.start()
    (run,) = runs
    assert run.ended.wait(10)
    with pytest.raises(mailwire.Misuse):
        _ = server.port
    for thread in threading.enumerate():
        if thread.name.startswith("mailwire-"):
            thread.join(10)
            assert not thread.is_alive()


def test_a_server_that_cannot_end_holds_nobody_up_who_waits_for_its_end():
    class Failing:
        def shutdown(self, grace):
            raise OSError("not now")

    with mailwire.Server(lambda envelope: None) as server:
        run = server._run
        native, run.native = run.native, Failing()
        with pytest.raises(OSError, match="not now"):
            run.end(0)
        assert run.ended.is_set()
        run.native = native


def broken(server_of):
    """A server that runs, whose socket somebody else makes of no use."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = server_of(sockets=[taken]).start()
        taken.shutdown(socket.SHUT_RDWR)
    return server


ENDED = "the server has ended by itself: no more connections can be accepted: "


@pytest.mark.parametrize(
    "server_of", [partial(mailwire.Server, print), partial(mailwire.Server, disposition="discard", threads=1)]
)
def test_a_server_that_ends_by_itself_says_so(server_of, logged):
    server = broken(server_of)
    with pytest.raises(mailwire.Error, match=ENDED) as raised:
        server.serve_forever()
    assert isinstance(raised.value, OSError)
    with pytest.raises(mailwire.Misuse, match="was stopped"):
        _ = server.port
    told = [(one.message, str(one.exc_info[1])[: len(ENDED)]) for one in logged()]
    assert told == [("the server serves no more", ENDED)]


def test_a_server_without_a_handler_that_ends_by_itself_says_so_to_who_waits_for_messages(logged):
    server = broken(mailwire.Server)
    with server, pytest.raises(mailwire.Error, match=ENDED):
        list(server.messages())
    server = broken(mailwire.Server)

    def wait():
        with pytest.raises(mailwire.Error, match=ENDED):
            list(server.messages())

    waiting = threading.Thread(target=wait)
    waiting.start()
    with pytest.raises(mailwire.Error, match=ENDED):
        server.serve_forever()
    waiting.join()
    assert [one.message for one in logged()] == ["the server serves no more"] * 2


def test_what_is_wrong_with_a_call_for_messages_ends_no_server(logged):
    with mailwire.Server() as server:
        for timeout in (-1, float("inf"), float("nan")):
            with pytest.raises(mailwire.InvalidArgument, match="timeout"):
                list(server.messages(timeout=timeout))
        assert not server._run.over.is_set()
    assert logged() == []

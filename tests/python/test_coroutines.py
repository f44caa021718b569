"""Hooks that are `async def`: on which loop they run, in which order, and what becomes of those that nobody waits for."""

import asyncio
import base64
import contextvars
import functools
import subprocess
import sys
import threading
import time
from contextlib import suppress

import mailwire
import pytest
from loops import LATE, LOOPS, connect, decorated, gone, later, plain, run, threads
from mailwire import Reject
from peers import wait_for

REPLY = mailwire.Reply(550, "no", "5.7.1")


def bound(hook):
    """As a `partial` of a coroutine."""
    return functools.partial(later(hook))


class Called:
    """As an object that is called."""

    def __init__(self, hook):
        """Of this hook."""
        self.hook = hook

    async def __call__(self, *arguments):
        """A coroutine."""
        await asyncio.sleep(0)
        return self.hook(*arguments)


def future(hook):
    """As a `def` that gives back something else to await."""

    class Awaited:
        def __init__(self, answer):
            self.answer = answer

        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return self.answer

    return lambda *arguments: Awaited(hook(*arguments))


def hooks(calls):
    """One of each, but `stream`."""

    def hook(name, answer=None):
        def called(session, *arguments):
            calls.append((name, *arguments))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return called

    def data(session, envelope):
        calls.append(("data", envelope.body))
        if envelope.sender == "bad@example.org":
            raise LookupError("no disk")
        return "250 2.0.0 kept"

    def error(session, exception):
        calls.append(("error", str(exception)))

    names = ("connect", "helo", "mail", "reset", "quit", "verify", "etrn", "disconnect")
    return {
        **{name: hook(name) for name in names},
        "auth": hook("auth", True),
        "lookup": hook("lookup", "secret"),
        "rcpt": lambda session, recipient, options: calls.append(("rcpt", recipient)) or recipient != "no@example.org",
        "expand": hook("expand", REPLY),
        "help": hook("help", Reject(504, "5.5.4 none")),
        "unknown": hook("unknown"),
        "data": data,
        "error": error,
    }


FORMS = [later, decorated, bound, Called, future]


@pytest.mark.parametrize("loop", [None, *LOOPS])
@pytest.mark.parametrize("forms", [[later], FORMS, [plain, later], [later, plain], [decorated, plain]])
def test_every_hook_may_be_a_coroutine(forms, loop):
    calls = []
    handler = type("Handler", (), {})()
    for place, (name, hook) in enumerate(hooks(calls).items()):
        setattr(handler, name, forms[place % len(forms)](hook))
    server = mailwire.Server(handler, allow_plaintext_auth=True, mechanisms=["SCRAM-SHA-256", "PLAIN"])

    def talk():
        url = f"smtp://tim:secret@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true&auth="
        for mechanism in ("PLAIN", "SCRAM-SHA-256"):
            mailwire.send(b"x\r\n", url + mechanism, sender="a@example.org", recipients=["b@example.org"])
        with connect(server) as client:
            assert client.verify("x")[0] == 252
            assert client.expn("x") == (550, b"5.7.1 no")
            assert client.docmd("HELP") == (504, b"5.5.4 none")
            assert client.docmd("ETRN", "node.example.org")[0] == 250
            assert client.docmd("XFOO")[0] == 500
            assert client.mail("bad@example.org")[0] == 250 and client.rset()[0] == 250
            client.send(b"MAIL FROM:<bad@example.org>\r\nRCPT TO:<no@example.org>\r\nRCPT TO:<b@example.org>\r\n")
            assert [client.getreply()[0] for _ in range(3)] == [250, 550, 250]
            assert client.data(b"x\r\n")[0] == 451

    if loop is None:
        with server:
            talk()
            assert len(threads("mailwire-loop")) == 1
    else:

        async def main():
            async with server:
                await asyncio.get_running_loop().run_in_executor(None, talk)
                assert threads("mailwire-loop") == []

        run(loop, main())
    gone("mailwire-")
    names = [call[0] for call in calls]
    assert {name: names.count(name) for name in names} == {
        **dict.fromkeys(("connect", "helo", "disconnect", "quit"), 3),
        **dict.fromkeys(("auth", "lookup", "verify", "expand", "help", "etrn", "unknown", "reset", "error"), 1),
        "mail": 4,
        "rcpt": 4,
        "data": 3,
    }
    assert ("error", "no disk") in calls


def test_where_there_is_no_coroutine_there_is_no_loop():
    code = """
import mailwire, sys, threading
class Handler:
    def data(self, session, envelope):
        raise ValueError
    def stream(self, session, envelope, body):
        body.read()
for leave in "data", "stream":
    delattr(Handler, leave)
    with mailwire.Server(Handler) as server:
        try:
            mailwire.send(b"x", f"smtp://127.0.0.1:{server.port}", sender="a@example.org", recipients=["b@example.org"])
        except mailwire.DataError:
            pass
        assert not [one for one in threading.enumerate() if one.name == "mailwire-loop"]
    if leave == "data":
        Handler.data = lambda self, session, envelope: 250
assert "asyncio" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


@pytest.mark.parametrize("loop", LOOPS)
def test_coroutines_run_on_the_loop_that_entered_and_others_in_threads(loop, message):
    variable = contextvars.ContextVar("variable")
    seen = []

    class Handler:
        async def mail(self, session, sender, options):
            seen.append((asyncio.get_running_loop(), threading.current_thread(), variable.get()))
            variable.set("changed")
            async with lock:
                raise KeyError("lost")

        async def rcpt(self, session, recipient, options):
            return True

        def data(self, session, envelope):
            threads_of_others.append(threading.current_thread().name)

        def error(self, session, exception):
            threads_of_others.append(threading.current_thread().name)

    threads_of_others, lock = [], asyncio.Lock()

    async def main():
        variable.set("entered")
        async with mailwire.Server(Handler()) as server:
            assert isinstance(server, mailwire.Server) and server.port
            here = asyncio.get_running_loop()
            url = f"smtp://127.0.0.1:{server.port}"
            with pytest.raises(mailwire.SenderRefused):
                await here.run_in_executor(None, mailwire.send, message, url)
            await here.run_in_executor(None, talk, server)
            assert [one[:2] for one in seen] == [(here, threading.current_thread())] * 2
        assert [one[2] for one in seen] == ["entered"] * 2
        with pytest.raises(mailwire.Misuse):
            _ = server.port

    def talk(server):
        with connect(server) as client:
            assert client.mail("a@example.org")[0] == 451

    run(loop, main())
    assert threads_of_others and all(name.startswith("mailwire-") for name in threads_of_others)


def test_sessions_that_wait_hold_up_nobody_and_take_no_thread(message):
    class Handler:
        async def data(self, session, envelope):
            if envelope.sender == "slow@example.org":
                waiting.append(session.id)
                await goes_on.wait()
                order.append(session.id)

    waiting, order, goes_on = [], [], asyncio.Event()
    with mailwire.Server(Handler(), threads=1) as server:
        slow = [connect(server) for _ in range(30)]
        before = threads("mailwire-")
        for client in slow:
            client.mail("slow@example.org")
            client.rcpt("b@example.org")
            assert client.docmd("DATA")[0] == 354
            client.send(b"x\r\n.\r\n")
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}")
        wait_for(lambda: len(waiting) >= 30)
        assert threads("mailwire-") == before and not order
        server._run._loop.call(goes_on.set)
        for client in slow:
            assert client.getreply()[0] == 250
            client.close()
    assert sorted(order) == sorted(waiting)


def test_the_hooks_of_one_session_do_not_overlap_and_late_ones_are_cancelled(logged):
    class Handler:
        def __init__(self):
            self.runs = 0

        async def rcpt(self, session, recipient, options):
            self.runs += 1
            assert self.runs == 1
            calls.append(recipient)
            try:
                if recipient.startswith("slow"):
                    await asyncio.sleep(60)
            except asyncio.CancelledError:
                # It may take its time.
                await asyncio.sleep(0.2)
                calls.append("cancelled")
                raise
            finally:
                self.runs -= 1

        def reset(self, session):
            assert self.runs == 0 and threading.current_thread().name != "mailwire-loop"
            calls.append("reset")

        def error(self, session, exception):
            calls.append(exception)

    calls = []
    with mailwire.Server(Handler, limits=mailwire.Limits(answer_timeout=LATE)) as server, connect(server) as client:
        assert client.mail("a@example.org")[0] == 250
        assert client.rcpt("slow@example.org")[0] == 451
        assert client.rset()[0] == 250
        assert client.mail("a@example.org")[0] == 250
        assert client.rcpt("fast@example.org")[0] == 250
    assert calls == ["slow@example.org", "cancelled", "reset", "fast@example.org"]
    (record,) = logged()
    assert record.levelname == "WARNING" and "too late" in record.message


def test_a_hook_in_a_thread_is_not_cancelled_and_the_next_one_waits_for_it():
    class Handler:
        async def rcpt(self, session, recipient, options):
            await asyncio.sleep(60)

        def verify(self, session, name):
            calls.append("begins")
            assert goes_on.wait(20)
            calls.append("ends")

        async def reset(self, session):
            calls.append("reset")

    calls, goes_on = [], threading.Event()
    with mailwire.Server(Handler(), limits=mailwire.Limits(answer_timeout=LATE)) as server, connect(server) as client:
        assert client.mail("a@example.org")[0] == 250
        assert client.rcpt("b@example.org")[0] == 451
        # It comes behind the coroutine, whose end it waits for.
        assert client.verify("x")[0] == 451
        client.putcmd("RSET")
        time.sleep(0.2)
        assert calls == ["begins"]
        goes_on.set()
        assert client.getreply()[0] == 250
    assert calls == ["begins", "ends", "reset"]


@pytest.mark.parametrize("form", [plain, later])
def test_an_answer_that_comes_too_late_is_no_failure(form, logged):
    def slow(session, name):
        assert goes_on.wait(20)
        return "550 5.7.1 no"

    errors, goes_on = [], threading.Event()
    handler = type("Handler", (), {"verify": staticmethod(form(slow)), "error": lambda *failed: errors.append(failed)})
    with mailwire.Server(handler(), limits=mailwire.Limits(answer_timeout=LATE)) as server, connect(server) as client:
        assert client.verify("x")[0] == 451
        goes_on.set()
        assert client.verify("x")[0] == 550
    assert not errors
    assert [(one.levelname, "too late" in one.message) for one in logged()] == [("WARNING", True)]


@pytest.mark.parametrize("form", [plain, later])
def test_what_is_looked_up_too_late_is_no_failure(form, logged):
    def slow(session, username):
        assert goes_on.wait(20)
        over.set()
        return "secret"

    goes_on, over = threading.Event(), threading.Event()
    handler = type("Handler", (), {"lookup": staticmethod(form(slow))})
    limits = mailwire.Limits(answer_timeout=LATE, auth_delay=0)
    server = mailwire.Server(handler(), limits=limits, allow_plaintext_auth=True, mechanisms=["SCRAM-SHA-256"])
    with server, connect(server) as client:
        first = base64.b64encode(b"n,,n=tim,r=nonce").decode()
        assert client.docmd("AUTH SCRAM-SHA-256", first)[0] == 454
        goes_on.set()
        assert over.wait(10) and client.noop()[0] == 250
    # It is told when the hook has returned.
    gone("mailwire-")
    assert [(one.levelname, "too late" in one.message) for one in logged()] == [("WARNING", True)]


@pytest.mark.parametrize(
    "error", [ValueError("broken"), asyncio.CancelledError(), SystemExit(), GeneratorExit(), StopIteration()]
)
def test_an_exception_is_451_and_goes_to_error_and_the_log(error, logged):
    class Handler:
        async def verify(self, session, name):
            await asyncio.sleep(0)
            raise error

        async def error(self, session, exception):
            await asyncio.sleep(0)
            seen.append(exception)
            raise RuntimeError("and this too")

    seen = []
    with mailwire.Server(Handler()) as server, connect(server) as client:
        assert client.verify("x")[0] == 451
        assert client.verify("x")[0] == 451
    assert len(seen) == 2 and all(type(one) in (type(error), RuntimeError) for one in seen)
    assert len([one for one in logged() if "error hook failed" in one.message]) == 2


def test_no_more_coroutines_say_goodbye_than_there_may_be_connections(logged):
    waiting, cancelled = [], []

    class Handler:
        async def disconnect(self, session):
            waiting.append(session.id)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(session.id)
                raise

    with mailwire.Server(Handler(), limits=mailwire.Limits(connections=2)) as server:
        for count in range(1, 6):
            wait_for(lambda: server.stats["open_sessions"] <= 1)
            connect(server).close()
            wait_for(lambda count=count: (len(waiting), len(cancelled)) == (count, max(0, count - 2)))
            assert (len(waiting), cancelled) == (count, waiting[: max(0, count - 2)])
        server.stop(grace=0)
    assert [record.levelname for record in logged()] == ["WARNING"]


def test_those_that_go_on_when_they_are_cancelled_count_and_in_the_end_none_is_called(logged):
    begun, ended, released = [], [], threading.Event()

    class Handler:
        async def disconnect(self, session):
            begun.append(session.id)
            while not released.is_set():
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)
            ended.append(session.id)

    def hang_up(server, begins, warnings):
        connect(server).close()
        wait_for(lambda: len(begun) == begins and len(logged()) == warnings and not server.stats["open_sessions"])

    with mailwire.Server(Handler(), limits=mailwire.Limits(connections=1)) as server:
        hang_up(server, 1, 0)
        hang_up(server, 2, 1)
        hang_up(server, 2, 2)
        released.set()
        wait_for(lambda: len(ended) == 2)
        hang_up(server, 3, 2)
    first = begun[0]
    assert begun == [first, first + 1, first + 3]
    assert [record.message.rpartition(": ")[2] for record in logged()] == [
        "those that began before the others are cancelled",
        "those that were cancelled do not end, and no other is called",
    ]


def test_one_that_is_cancelled_before_the_loop_has_come_to_it_never_begins(logged):
    begun, entered, held = [], threading.Event(), threading.Event()

    class Handler:
        async def mail(self, session, sender, options):
            begun.append(session.id)
            entered.set()
            held.wait(60)

        async def disconnect(self, session):
            begun.append(session.id)
            await asyncio.sleep(3600)

    with (
        mailwire.Server(Handler(), limits=mailwire.Limits(connections=2), options={"grace": 0}) as server,
        connect(server) as client,
    ):
        client.putcmd("MAIL FROM:<a@example.org>")
        assert entered.wait(60)
        for _ in range(3):
            connect(server).close()
            wait_for(lambda: server.stats["open_sessions"] == 1)
        wait_for(logged)
        held.set()
        assert client.getreply()[0] == 250
        wait_for(lambda: len(begun) == 3)
        first = begun[0]
        assert begun == [first, first + 2, first + 3]


def test_what_a_hook_still_does_when_it_was_given_up_is_not_cut_short_by_the_end():
    from mailwire._run import LAST_GRACE

    left = []

    class Handler:
        async def mail(self, session, sender, options):
            try:
                await asyncio.sleep(3600)
            finally:
                left.append("begun")
                # Longer than what runs is waited for before it is cancelled, and not as long as that is waited for then.
                await asyncio.sleep(1.5 * LAST_GRACE)
                left.append("done")

    with mailwire.Server(Handler(), limits=mailwire.Limits(answer_timeout=0.2)) as server, connect(server) as client:
        client.ehlo("client.example.org")
        assert client.mail("a@example.org")[0] == 451
        client.close()
        wait_for(lambda: left)
        server.stop(grace=0)
    assert left == ["begun", "done"]


def test_a_hook_behind_one_that_was_given_up_is_cancelled_at_the_end():
    seen = []

    class Handler:
        async def mail(self, session, sender, options):
            await asyncio.sleep(3600)

        async def disconnect(self, session):
            seen.append("begun")
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    async def main():
        async with mailwire.Server(Handler()) as server:
            with await asyncio.to_thread(connect, server) as client:
                await asyncio.to_thread(client.ehlo, "client.example.org")
                client.putcmd("MAIL FROM:<a@example.org>")
                await asyncio.sleep(0.2)
                client.close()
            until = time.monotonic() + 60
            while not seen and time.monotonic() < until:
                await asyncio.sleep(0.01)
        return list(seen)

    assert asyncio.run(main()) == ["begun", "cancelled"]

"""The loop that coroutine hooks run on, and its end: by `stop`, by a hook, with the program, or before its server's."""

import asyncio
import subprocess
import sys
import threading
import time

import mailwire
import pytest
from loops import LATE, LOOPS, connect, data, gone, run, threads, transacting
from mailwire._loop import Loop


@pytest.mark.parametrize("loop", [None, *LOOPS])
def test_what_runs_at_the_end_is_cancelled_and_awaited(loop, logged):
    class Handler:
        async def data(self, session, envelope):
            aside.append(asyncio.ensure_future(asyncio.sleep(60)))
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                await ends("data")

        async def disconnect(self, session):
            await ends("disconnect")

    async def ends(name):
        try:
            await asyncio.sleep(0.05)
        finally:
            # A loop that is late may cancel it here once more.
            ended.append(name)

    aside, begun, ended, server = [], threading.Event(), [], mailwire.Server(Handler())

    def leave_it():
        client = connect(server)
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        client.docmd("DATA")
        client.send(b"x\r\n.\r\n")
        assert begun.wait(10)
        return client

    if loop is None:
        server.start()
        client = leave_it()
        at = time.monotonic()
        server.stop(grace=0.1)
        assert time.monotonic() - at < 30 and ended == ["data", "disconnect"]
        # What hooks began beside themselves ends with the loop.
        assert aside[0].cancelled()
        gone("mailwire-")
        # It starts again, with another one.
        with server, connect(server):
            assert len(threads("mailwire-loop")) == 1
    else:

        async def main():
            nonlocal client
            async with server:
                here = asyncio.get_running_loop()
                client = await here.run_in_executor(None, leave_it)
                # On the loop it returns at once, and leaving waits for it.
                run_ended = server._run.ended
                server.stop(grace=0.1)
                assert not run_ended.is_set()
            assert ended == ["data", "disconnect"] and not aside[0].cancelled()

        client = None
        run(loop, main())
    client.close()
    assert [one.levelname for one in logged()] == ["WARNING"]


@pytest.mark.parametrize("loop", [None, *LOOPS])
def test_what_nobody_waits_for_is_cancelled_a_second_after_the_end(loop):
    class Handler:
        async def disconnect(self, session):
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.05)
                ended.append(time.monotonic())

    begun, ended, server = threading.Event(), [], mailwire.Server(Handler())

    def hang_up():
        connect(server).close()
        assert begun.wait(10)
        return time.monotonic()

    async def main():
        async with server:
            at = await asyncio.get_running_loop().run_in_executor(None, hang_up)
        return at, list(ended)

    if loop is None:
        with server:
            at = hang_up()
        over = ended
    else:
        at, over = run(loop, main())
    assert len(over) == 1 and 1 <= over[0] - at < 20


@pytest.mark.parametrize("loop", [None, *LOOPS])
def test_a_coroutine_may_stop_the_server(loop):
    class Handler:
        async def verify(self, session, name):
            server.stop(grace=1)
            await asyncio.sleep(0.01)
            return "252 2.0.0 stopped"

    server = mailwire.Server(Handler())

    def talk():
        with connect(server) as client:
            assert client.verify("x") == (252, b"2.0.0 stopped")
            client.close()

    async def main():
        async with server:
            run_ended = server._run.ended
            await asyncio.get_running_loop().run_in_executor(None, talk)
        assert run_ended.is_set()

    if loop is None:
        ended = server.start()._run.ended
        talk()
        assert ended.wait(10)
    else:
        run(loop, main())
    gone("mailwire-")


def test_stop_from_elsewhere_does_not_wait_for_a_loop_that_is_blocked():
    class Handler:
        async def verify(self, session, name):
            begun.set()
            assert goes_on.wait(30)

    begun, goes_on = threading.Event(), threading.Event()
    server = mailwire.Server(Handler()).start()
    client = connect(server)
    client.putcmd("VRFY x")
    assert begun.wait(10)
    at = time.monotonic()
    server.stop(grace=0)
    assert time.monotonic() - at < 15
    goes_on.set()
    client.close()
    gone("mailwire-")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_is_closed_before_its_server_is_a_clear_error(loop, caplog):
    class Handler:
        async def verify(self, session, name):
            return True

        async def stream(self, session, envelope, body):
            await body.read()

        async def error(self, session, exception):
            pass

    async def enter():
        await server.__aenter__()

    server = mailwire.Server(Handler())
    run(loop, enter())
    with server, connect(server) as client:
        at = time.monotonic()
        assert client.verify("x")[0] == 451
        assert data(client, b"x\r\n")[0] == 451
        assert client.noop()[0] == 250
    assert time.monotonic() - at < 60
    assert "`async with` has to be left" in caplog.text and "never awaited" not in caplog.text
    gone("mailwire-")


def test_what_waits_for_a_loop_when_that_is_closed_hides_it_from_nobody():
    class Handler:
        async def verify(self, session, name):
            return True

    server, loop = mailwire.Server(Handler()), asyncio.new_event_loop()
    loop.run_until_complete(server.__aenter__())
    with server, connect(server) as first, connect(server) as second:
        # The loop does not run. It may yet, until it is closed.
        first.putcmd("VRFY x")
        while not server._run._loop._jobs:
            time.sleep(0.01)
        loop.close()
        assert second.verify("x")[0] == 451
        first.close()
    gone("mailwire-")


def test_a_program_may_end_while_coroutines_run():
    code = """
import asyncio, mailwire, smtplib, sys
class Handler:
    async def mail(self, session, sender, options):
        print("begun", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            print("cancelled", flush=True)
server = mailwire.Server(Handler()).start()
client = smtplib.SMTP("127.0.0.1", server.port)
client.ehlo()
client.putcmd("MAIL FROM:<a@example.org>")
sys.stdin.readline()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as program:
        assert program.stdout.readline() == "begun\n"
        out, err = program.communicate("\n", timeout=30)
    assert program.returncode == 0 and out == "cancelled\n"
    assert "Traceback" not in err and "Task" not in err


def test_leaving_is_given_up_and_the_server_ends_all_the_same():
    class Handler:
        async def mail(self, session, sender, options):
            return True

    server = mailwire.Server(Handler())

    async def main():
        await server.__aenter__()
        ended = server._run.ended
        client = await asyncio.get_running_loop().run_in_executor(None, transacting, server)
        leaving = asyncio.ensure_future(server.__aexit__(None, None, None))
        await asyncio.sleep(0.01)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        client.close()
        while not ended.is_set():
            await asyncio.sleep(0.01)

    asyncio.run(main())
    gone("mailwire-")


def test_a_hook_in_a_thread_that_outlives_its_loop_is_let_go_of(logged, monkeypatch):
    class Handler:
        def rcpt(self, session, recipient, options):
            if recipient.startswith("bad"):
                raise ValueError("no such disk")
            begun.set()
            assert goes_on.wait(30)

        async def error(self, session, exception):
            await asyncio.sleep(0)

    def ask():
        client = connect(server)
        client.mail("a@example.org")
        # What follows the coroutine goes on on the loop, with the hook in a thread.
        client.send(b"RCPT TO:<bad@example.org>\r\nRCPT TO:<b@example.org>\r\n")
        assert begun.wait(10)
        return client

    async def main():
        async with server:
            here = asyncio.get_running_loop()
            client = await here.run_in_executor(None, ask)
            await here.run_in_executor(None, server.stop, 0)
            client.close()

    begun, goes_on, raised, server = threading.Event(), threading.Event(), [], mailwire.Server(Handler())
    monkeypatch.setattr(threading, "excepthook", raised.append)
    asyncio.run(main())
    goes_on.set()
    gone("mailwire-")
    assert not [one for one in raised if one.thread.name.startswith("mailwire-")]
    assert [str(one.exc_info[1]) for one in logged() if one.levelname == "ERROR"] == ["no such disk"]


@pytest.mark.parametrize("loop", LOOPS)
def test_leaving_that_fails_says_so(loop, monkeypatch):
    class Handler:
        async def mail(self, session, sender, options):
            return True

    def start(thread):
        if thread.name == "mailwire-stop":
            raise RuntimeError("can't start new thread")
        begin(thread)

    async def main():
        await server.__aenter__()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                await asyncio.wait_for(server.__aexit__(None, None, None), 30)
        await asyncio.get_running_loop().run_in_executor(None, server.stop, 0)
        with pytest.raises(mailwire.Misuse, match="stopped"):
            _ = server.port

    server, begin = mailwire.Server(Handler()), threading.Thread.start
    run(loop, main())
    gone("mailwire-")


@pytest.mark.parametrize("is_on_the_loop", [False, True])
def test_what_a_late_hook_gives_to_await_is_not_awaited(is_on_the_loop, caplog):
    class Handler:
        async def mail(self, session, sender, options):
            if is_on_the_loop:
                await asyncio.sleep(60)

        def verify(self, session, name):
            begun.set()
            assert goes_on.wait(20)
            return asyncio.sleep(60)

        def disconnect(self, session):
            over.set()

    begun, goes_on, over = threading.Event(), threading.Event(), threading.Event()
    with mailwire.Server(Handler(), limits=mailwire.Limits(answer_timeout=LATE)) as server:
        client = connect(server)
        client.mail("a@example.org")
        # Behind a coroutine that was cancelled it is called for the loop, else where it came.
        assert client.verify("x")[0] == 451 and begun.is_set()
        client.close()
        (turn,) = server._run._dispatcher._turns.values()
        until = time.monotonic() + 10
        while not turn.left:
            assert time.monotonic() < until
            time.sleep(0.01)
        if is_on_the_loop:
            # The loop has heard that it is late.
            heard = threading.Event()
            server._run._loop.call(heard.set)
            assert heard.wait(10)
        goes_on.set()
        assert over.wait(10)
    assert "failed" not in caplog.text and "never awaited" not in caplog.text


def test_no_loop_begins_when_the_server_was_stopped(caplog):
    class Handler:
        def verify(self, session, name):
            begun.set()
            assert goes_on.wait(20)
            return asyncio.sleep(60)

    begun, goes_on, server = threading.Event(), threading.Event(), mailwire.Server(Handler()).start()
    client = connect(server)
    client.putcmd("VRFY x")
    assert begun.wait(10)
    server.stop(grace=0)
    goes_on.set()
    gone("mailwire-")
    client.close()
    assert "the server was stopped" in caplog.text and "never awaited" not in caplog.text


def test_a_job_that_fails_is_not_the_end_of_those_behind_it():
    async def main():
        loop, told, done = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        ours = Loop(loop)
        for job in (done.append, int, done.append, int, done.append):
            ours.call(job, "x")
        await asyncio.sleep(0.01)
        return done, [type(error) for error in told]

    assert asyncio.run(main()) == (["x"] * 3, [ValueError] * 2)

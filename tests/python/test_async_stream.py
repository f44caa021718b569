"""The hook `stream` as `async def`: a message that a coroutine reads while it comes."""

import asyncio
import os
import signal
import threading

import mailwire
import pytest
from loops import LOOPS, connect, data, decorated, run, threads
from mailwire import Discarded
from peers import wait_for


async def in_one(body):
    """All at once."""
    return await body.read()


async def by_pieces(body):
    """As they come."""
    return b"".join([piece async for piece in body])


async def by_octets(body):
    """By small reads, which go across the pieces."""
    parts = []
    while part := await body.read(1000):
        parts.append(part)
    return b"".join(parts)


def hang_up_within_a_message(server, begun):
    """A client that goes once the hook of its message has begun."""
    client = connect(server)
    client.mail("a@example.org")
    client.rcpt("b@example.org")
    client.docmd("DATA")
    client.send(b"half\r\n")
    assert begun.acquire(timeout=60)
    client.close()


@pytest.mark.parametrize("loop", [None, *LOOPS])
@pytest.mark.parametrize("read", [in_one, by_pieces, by_octets])
def test_a_message_is_read_while_it_comes(read, loop):
    class Handler:
        async def stream(self, session, envelope, body):
            kept.append(await read(body))
            assert await body.read() == b"" and [one async for one in body] == []
            assert isinstance(body, mailwire.AsyncBody) and envelope.size == len(kept[-1])
            assert not threads("mailwire-stream")
            bodies.append(body)
            return f"250 2.0.0 {len(kept[-1])}"

    kept, bodies, server = [], [], mailwire.Server(Handler())
    message = b"Subject: x\r\n\r\n" + b".dots and letters\r\n" * 60_000

    def talk():
        url = f"smtp://127.0.0.1:{server.port}"
        result = mailwire.send(message, url, sender="a@example.org", recipients=["b@example.org"])
        assert result.reply.text == str(len(message)) and kept == [message]
        with pytest.raises(mailwire.Misuse, match="the hook has returned"):
            bodies[0].read().send(None)

    async def main():
        async with server:
            await asyncio.get_running_loop().run_in_executor(None, talk)

    if loop is None:
        with server:
            talk()
    else:
        run(loop, main())


def test_the_client_sends_no_faster_than_a_coroutine_reads():
    class Handler:
        async def stream(self, session, envelope, body):
            await body.__anext__()
            begun.set()
            await goes_on.wait()
            async for _ in body:
                pass

    def pieces():
        yield b"Subject: large\r\n\r\n"
        line = b"x" * 65534 + b"\r\n"
        for _ in range(512):
            sent.append(len(line))
            yield line

    begun, goes_on, sent, done = threading.Event(), asyncio.Event(), [], []
    limits = mailwire.Limits(size=64 * 1024 * 1024, body_memory=1024 * 1024)
    with mailwire.Server(Handler(), limits=limits) as server:

        def send():
            url = f"smtp://127.0.0.1:{server.port}?transfer=data"
            done.append(mailwire.send(pieces(), url, sender="a@example.org", recipients=["b@example.org"]))

        sending = threading.Thread(target=send)
        sending.start()
        assert begun.wait(60)
        sending.join(0.5)
        # Most of it has not left yet, however long this takes.
        assert sending.is_alive() and len(sent) < 256
        server._run._loop.call(goes_on.set)
        sending.join(60)
    assert done and len(sent) == 512


@pytest.mark.parametrize("reads", [0, 1, None])
@pytest.mark.parametrize(
    ("answer", "code"), [("554 5.6.0 no", 554), (ValueError("no disk"), 451), (None, 250), (3.5, 451)]
)
def test_a_coroutine_answers_before_in_and_behind_a_message(reads, answer, code):
    class Handler:
        async def stream(self, session, envelope, body):
            await body.read(reads)
            if isinstance(answer, Exception):
                raise answer
            return answer

    with mailwire.Server(Handler()) as server, connect(server) as client:
        for _ in range(2):
            assert data(client, b"x" * 60 + b"\r\n")[0] == code
            client.rset()


@pytest.mark.parametrize("loop", LOOPS)
def test_clients_that_hang_up_and_the_messages_that_they_leave(loop, logged):
    class Handler:
        async def stream(self, session, envelope, body):
            begun.release()
            try:
                await body.read()
            except Discarded:
                lost.append(session.id)
                raise
            finally:
                assert not over

        async def disconnect(self, session):
            if session.id in lost:
                over.append(session.id)

    begun, lost, over = threading.Semaphore(0), [], []

    async def main():
        async with mailwire.Server(Handler(), limits=mailwire.Limits(connections=2)) as server:
            here = asyncio.get_running_loop()
            await here.run_in_executor(None, hang_up_within_a_message, server, begun)
            while not over:
                await asyncio.sleep(0.01)

    run(loop, main())
    assert len(lost) == 1 and over == lost
    assert not logged()


def test_no_more_coroutines_read_than_there_may_be_connections():
    class Handler:
        async def stream(self, session, envelope, body):
            await body.read(1)
            begun.release()
            await goes_on.wait()

    begun, goes_on = threading.Semaphore(0), asyncio.Event()
    with mailwire.Server(Handler(), limits=mailwire.Limits(connections=2)) as server:
        for _ in range(2):
            hang_up_within_a_message(server, begun)
            wait_for(lambda: not server.stats["open_sessions"])
        with connect(server) as client:
            assert data(client, b"x\r\n")[0] == 452
        server._run._loop.call(goes_on.set)
        wait_for(lambda: not server._run._dispatcher._streaming)
        with connect(server) as client:
            assert data(client, b"x\r\n")[0] == 250


def test_what_wraps_a_stream_hook_without_being_a_coroutine_is_told_so():
    class Handler:
        @decorated
        def stream(self, session, envelope, body):
            pass

        def error(self, session, exception):
            errors.append(exception)

    errors = []
    with mailwire.Server(Handler()) as server, connect(server) as client:
        assert data(client, b"x\r\n")[0] == 451
    (error,) = errors
    assert isinstance(error, TypeError) and "async def" in str(error)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_the_child_of_a_fork_nothing_is_read():
    class Handler:
        async def stream(self, session, envelope, body):
            child = os.fork()
            if child == 0:
                # A child that waits for what never comes is ended by this.
                signal.alarm(60)
                try:
                    with pytest.raises(mailwire.Misuse, match="fork"):
                        body.read().send(None)
                    os._exit(0)
                finally:
                    os._exit(1)
            ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            await body.read()

    ended = []
    with mailwire.Server(Handler()) as server, connect(server) as client:
        assert data(client, b"x\r\n")[0] == 250
    assert ended == [0]


@pytest.mark.parametrize("size", [-1, 20])
def test_a_read_that_is_given_up_loses_nothing(size):
    class Handler:
        async def stream(self, session, envelope, body):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(body.read(size), 0.3)
            given_up.set()
            kept.append(await body.read(7))
            kept.append(await body.read())

    given_up, kept = threading.Event(), []
    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        client.docmd("DATA")
        client.send(b"first part\r\n")
        assert given_up.wait(60)
        client.send(b"second part\r\n.\r\n")
        assert client.getreply()[0] == 250
    assert kept == [b"first p", b"art\r\nsecond part\r\n"]


def test_a_hook_in_a_thread_whose_failure_a_coroutine_is_told_holds_up_no_loop():
    class Handler:
        def stream(self, session, envelope, body):
            body.read(1)
            raise ValueError("no disk")

        async def error(self, session, exception):
            await asyncio.sleep(0)
            server._run._loop.call(told.set)

        async def verify(self, session, name):
            await asyncio.sleep(0)

    told = threading.Event()
    with mailwire.Server(Handler()) as server, connect(server) as client, connect(server) as other:
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        client.docmd("DATA")
        client.send(b"half\r\n")
        assert told.wait(60)
        assert other.verify("x")[0] == 252
        client.send(b"whole\r\n.\r\n")
        assert client.getreply()[0] == 451

"""The hook `stream`: a message that a handler reads while it comes, and what becomes of one that it does not."""

import hashlib
import io
import os
import shutil
import signal
import threading

import mailwire
import pytest
from mailwire import Reject, Reply
from peers import begun, data, url

MANY = 64 * 1024 * 1024


class Kept:
    """Reads all, and keeps it by the way of reading that it is given."""

    def __init__(self, read=lambda body: b"".join(body)):
        """With nothing kept."""
        self.read = read
        self.kept = []
        self.errors = []

    def stream(self, session, envelope, body):
        """Reads."""
        with pytest.raises(mailwire.Misuse, match="third argument"):
            _ = envelope.body
        assert envelope.size == 0 and envelope.session is session
        self.kept.append((envelope, self.read(body)))
        self.body = body
        assert body.read() == b"" and list(body) == []

    def error(self, session, exception):
        """Keeps what failed."""
        self.errors.append(exception)


def by_octets(body):
    """By small reads, which go across the pieces."""
    parts = iter(lambda: body.read(7), b"")
    return b"".join(parts)


def by_file(body):
    """As the standard library copies files."""
    file = io.BytesIO()
    shutil.copyfileobj(body, file, 1000)
    return file.getvalue()


def mixed(body):
    """A read, a piece, the rest."""
    return body.read(5) + next(body) + body.read()


@pytest.mark.parametrize("read", [lambda body: b"".join(body), lambda body: body.read(), by_octets, by_file, mixed])
@pytest.mark.parametrize("transfer", ["data", "bdat"])
def test_a_message_is_read_while_it_comes(read, transfer):
    handler = Kept(read)
    message = b"Subject: x\r\n\r\n" + b".dots and letters\r\n" * 20_000
    with mailwire.Server(handler, received=True) as server:
        result = mailwire.send(
            message, f"{url(server)}&transfer={transfer}", sender="a@example.org", recipients=["b@example.org"]
        )
    assert handler.errors == []
    for read_more in (handler.body.read, lambda: next(handler.body)):
        with pytest.raises(mailwire.Misuse, match="the hook has returned"):
            read_more()
    ((envelope, kept),) = handler.kept
    assert (envelope.sender, envelope.recipients) == ("a@example.org", ("b@example.org",))
    assert kept.startswith(b"Received: ") and kept.endswith(message) and envelope.size == len(kept)
    assert result.queue_id == envelope.queue_id and envelope.queue_id.encode() in kept


def pieces(count):
    """A message of so many octets that nobody holds."""
    head = b"Subject: large\r\n\r\n"
    yield head
    line = (b"x" * 1022 + b"\r\n") * 64
    left = count - len(head)
    while left > len(line):
        yield line
        left -= len(line)
    yield b"y" * (left - 2) + b"\r\n"


def test_the_client_sends_no_faster_than_the_hook_reads():
    digest, most, waits, goes_on = hashlib.sha256(), [0], threading.Event(), threading.Event()

    class Handler:
        def stream(self, session, envelope, body):
            digest.update(next(body))
            waits.set()
            assert goes_on.wait(20)
            for piece in body:
                most[0] = max(most[0], len(piece))
                digest.update(piece)

    sent = [0]

    def counted():
        for piece in pieces(MANY):
            sent[0] += len(piece)
            yield piece

    limits = mailwire.Limits(size=MANY, body_memory=1024 * 1024)
    with mailwire.Server(Handler(), limits=limits) as server:
        done = []
        sending = threading.Thread(
            target=lambda: done.append(
                mailwire.send(
                    counted(), f"{url(server)}&transfer=data", sender="a@b.example", recipients=["c@d.example"]
                )
            )
        )
        sending.start()
        assert waits.wait(20)
        # What is under way is in the buffers of the system; most of the message has not left yet, however long this takes.
        sending.join(0.5)
        assert sending.is_alive() and sent[0] < MANY / 2
        goes_on.set()
        sending.join(60)
        assert done and server.stats["octets"] == MANY
    expected = hashlib.sha256()
    for piece in pieces(MANY):
        expected.update(piece)
    assert digest.digest() == expected.digest() and most[0] <= 256 * 1024


@pytest.mark.parametrize("answer", [False, 554, "554 5.6.0 no", Reply(554, "no"), Reject(554, "no")])
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_a_message_is_refused_before_it_comes_in_its_middle_and_at_its_end(answer, reads):
    class Handler:
        def stream(self, session, envelope, body):
            read_some(body, reads)
            if isinstance(answer, Reject):
                raise answer
            return answer

    with mailwire.Server(Handler()) as server, begun(server) as client:
        if reads == 0:
            assert client.docmd("DATA")[0] == 554
        else:
            assert data(client, b"x" * 60 + b"\r\n")[0] == 554
        # The session goes on, and its next message is as new.
        client.rset()
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        assert (client.docmd("DATA") if reads == 0 else data(client, b"y\r\n"))[0] == 554
        assert server.stats["messages"] == 0


def test_nothing_is_kept_of_what_comes_behind_a_refusal():
    refused = threading.Event()

    class Handler:
        def stream(self, session, envelope, body):
            next(body)
            refused.set()
            return "552 5.3.4 enough"

    with mailwire.Server(Handler(), limits=mailwire.Limits(size=MANY, body_memory=1024 * 1024)) as server:
        with pytest.raises(mailwire.DataError) as caught:
            mailwire.send(
                pieces(MANY), f"{url(server)}&transfer=data", sender="a@b.example", recipients=["c@d.example"]
            )
        assert refused.is_set() and caught.value.reply.code == 552


def read_some(body, reads):
    """Reads nothing, a piece, or all."""
    if reads == 1:
        next(body)
    elif reads == 2:
        body.read()


@pytest.mark.parametrize("reads", [0, 1, 2])
def test_an_exception_is_451_and_nothing_more(reads, caplog):
    failed = []

    class Handler:
        def stream(self, session, envelope, body):
            read_some(body, reads)
            if envelope.sender == "a@example.org":
                raise ValueError("no disk")
            body.read()

        def error(self, session, exception):
            failed.append(exception)

    with mailwire.Server(Handler()) as server, begun(server) as client:
        assert (client.docmd("DATA") if reads == 0 else data(client, b"x\r\n"))[0] == 451
        client.rset()
        client.mail("other@example.org")
        client.rcpt("b@example.org")
        assert data(client, b"x\r\n")[0] == 250
    assert [str(one) for one in failed] == ["no disk"]
    assert "no disk" in caplog.text


@pytest.mark.parametrize("answer", [42, 354, 3.5, "550 a\r\nb", Reply(550, "a\rb"), Reply(550, "x", "2.0.0")])
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_what_is_no_answer_is_451(answer, reads):
    failed = []

    class Handler:
        def stream(self, session, envelope, body):
            read_some(body, reads)
            return answer

        def error(self, session, exception):
            failed.append(exception)

    with mailwire.Server(Handler()) as server, begun(server) as client:
        reply = client.docmd("DATA")
        if reply[0] == 354:
            client.send(b"x\r\n.\r\n")
            reply = client.getreply()
        assert reply[0] == 451 and client.noop()[0] == 250
    assert len(failed) == 1


@pytest.mark.parametrize("reads", [0, 1])
def test_what_a_hook_accepts_without_reading_it_is_read_and_dropped(reads):
    calls = []

    class Handler:
        def stream(self, session, envelope, body):
            calls.extend(next(body) for _ in range(reads))
            return "250 2.0.0 taken"

    message = b"".join(pieces(3_000_000))
    with mailwire.Server(Handler()) as server, begun(server) as client:
        assert data(client, message) == (250, b"2.0.0 taken")
        client.mail("a@example.org")
        client.rcpt("b@example.org")
        assert data(client, message) == (250, b"2.0.0 taken")
    assert len(calls) == 2 * reads


def test_slow_clients_hold_up_nobody(message):
    taken = []

    class Handler:
        def rcpt(self, session, recipient, options):
            return True

        def stream(self, session, envelope, body):
            taken.append((envelope.sender, body.read()))

    with mailwire.Server(Handler(), threads=1) as server:
        slow = [begun(server) for _ in range(6)]
        for client in slow:
            client.docmd("DATA")
            client.send(b"half\r\n")
        mailwire.send(message, url(server))
        assert taken == [("ada@example.org", message)]
        for client in slow:
            client.send(b"whole\r\n.\r\n")
            assert client.getreply()[0] == 250
            client.close()
    assert taken[1:] == [("a@example.org", b"half\r\nwhole\r\n")] * 6


def test_many_at_once_and_none_is_mixed_up():
    class Handler:
        def __init__(self):
            self.messages = 0

        def stream(self, session, envelope, body):
            digest = hashlib.sha256()
            for piece in body:
                digest.update(piece)
            return f"250 2.0.0 {digest.hexdigest()}"

    with mailwire.Server(Handler, threads=4, workers=2) as server, mailwire.Client(url(server)) as client:

        def send(letter):
            for length in range(1, 6):
                message = (letter * 76 + b"\r\n") * (length * 3000)
                result = client.send(message, sender="a@b.example", recipients=["c@d.example"])
                good.append(hashlib.sha256(message).hexdigest() in result.reply.text)

        good = []
        threads = [threading.Thread(target=send, args=(bytes([letter]),)) for letter in b"abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert good == [True] * 40


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("reads", [0, 1])
def test_in_the_child_of_a_fork_nothing_is_read(reads):
    ended = []

    class Handler:
        def stream(self, session, envelope, body):
            for _ in range(reads):
                next(body)
            child = os.fork()
            if child == 0:
                # A child that waits for what never comes is ended by this.
                signal.alarm(60)
                try:
                    with pytest.raises(mailwire.Misuse, match="fork") as caught:
                        body.read()
                    assert caught.value.status == 4
                    os._exit(0)
                finally:
                    os._exit(1)
            ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            body.read()

    with mailwire.Server(Handler()) as server, begun(server) as client:
        client.docmd("DATA")
        client.send(b"half\r\n")
        client.send(b"whole\r\n.\r\n")
        assert client.getreply()[0] == 250
    assert ended == [0]


def test_a_message_goes_to_one_hook():
    class Both:
        def data(self, session, envelope):
            pass

        def stream(self, session, envelope, body):
            pass

    with pytest.raises(TypeError, match="`data` or to `stream`"):
        mailwire.Server(Both)

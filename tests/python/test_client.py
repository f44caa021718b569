"""The pooled client: it keeps its connections, is shared by threads, and survives a fork."""

import os
import signal
import threading

import mailwire
import pytest


def test_connections_are_kept(sink, message):
    with mailwire.Client(sink.url) as client:
        for _ in range(3):
            client.send(message)
    assert len(sink.inbox.envelopes) == 3 and len(sink.inbox.peers) == 1
    for _ in range(2):
        mailwire.send(message, sink.url)
    assert len(sink.inbox.peers) == 3


def test_a_closed_client_says_so(sink, message):
    client = mailwire.Client(sink.url)
    client.close()
    client.close()
    with pytest.raises(mailwire.Misuse, match="closed"):
        client.send(message)


def test_many_messages_in_order(sink, message):
    items = [
        message,
        {"message": message, "sender": "x@example.org", "recipients": ["good@example.org", "refused@example.org"]},
        {"message": message, "recipients": "refused@example.org"},
        {"message": b"From: a@example.org\n\n"},
        {"message": 42},
        {"message": message + b"last\r\n"},
    ]
    with mailwire.Client(sink.url) as client:
        results = list(client.send_many(iter(items)))
    assert [result.index for result in results] == list(range(6))
    kinds = [type(result) for result in results]
    assert kinds == [
        mailwire.SendResult,
        mailwire.SendResult,
        mailwire.RecipientsRefused,
        mailwire.InvalidArgument,
        TypeError,
        mailwire.SendResult,
    ]
    assert [envelope.mail_from for envelope in sink.inbox.envelopes] == [
        "ada@example.org",
        "x@example.org",
        "ada@example.org",
    ]


def test_more_messages_than_are_read_ahead(sink, message):
    with mailwire.Client(sink.url) as client:
        results = list(client.send_many(message + f"{number}\r\n".encode() for number in range(150)))
    assert [result.index for result in results] == list(range(150))
    assert all(isinstance(result, mailwire.SendResult) for result in results)
    bodies = [envelope.content.splitlines()[-1] for envelope in sink.inbox.envelopes]
    assert bodies == [str(number).encode() for number in range(150)]


def test_what_the_callers_iterator_raises_comes_after_what_it_gave(sink, message):
    def items():
        yield message
        raise KeyError("no more")

    seen = []
    with mailwire.Client(sink.url) as client, pytest.raises(KeyError):
        for result in client.send_many(items()):
            seen.append(result)
    assert len(seen) == len(sink.inbox.envelopes) == 1


def test_no_connection_is_told_for_every_message(message):
    with mailwire.Client("smtp://127.0.0.1:1") as client:
        results = list(client.send_many([message] * 3))
    assert [type(result) for result in results] == [mailwire.ConnectError] * 3


def test_threads_share_a_client(sink, message):
    failures = []

    def work(client):
        try:
            for _ in range(10):
                client.send(message)
        except Exception as error:
            failures.append(error)

    with mailwire.Client(sink.url, max_connections=3) as client:
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == [] and len(sink.inbox.envelopes) == 80
    assert len(sink.inbox.peers) <= 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parent_and_child_go_on_after_a_fork(listener, localhost, ca_file, message):
    sink = listener(cert=localhost)
    client = mailwire.Client(sink.url, ca=ca_file, tls="required", timeout=10)
    client.send(message)
    child = os.fork()
    if child == 0:
        # A child that waits for what never comes is ended by this.
        signal.alarm(60)
        status = 1
        try:
            client.send(message)
            client.send(message)
            client.close()
            status = 0
        finally:
            os._exit(status)
    client.send(message)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.send(message)
    client.close()
    assert len(sink.inbox.envelopes) == 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_that_only_drops_the_client_does_the_parent_no_harm(sink, message):
    client = mailwire.Client(sink.url)
    client.send(message)
    child = os.fork()
    if child == 0:
        del client
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.send(message)
    client.close()
    assert len(sink.inbox.envelopes) == 2

"""Each hook with each kind of answer: what its client is told, what the log and the `error` hook are, and that the session goes on."""

import base64
import functools
import socket

import mailwire
import pytest
from mailwire import Reject, Reply
from peers import connect

PLAIN = base64.b64encode(b"\0user\0secret").decode()
SCRAM = base64.b64encode(b"n,,n=user,r=abcdefghijklmnopqrstuvwx").decode()


def recipient(client):
    """The answer to RCPT."""
    client.mail("a@example.org")
    return client.rcpt("b@example.org")


def message(client):
    """The answer to a message."""
    recipient(client)
    reply = client.docmd("DATA")
    if reply[0] == 354:
        client.send(b"x\r\n.\r\n")
        reply = client.getreply()
    return reply


def reset(client):
    """The answer to RSET in a transaction."""
    client.mail("a@example.org")
    return client.rset()


# How a client that has said EHLO comes to what a hook is asked.
ASKED = {
    "helo": lambda client: client.docmd("EHLO", "asks.example.org"),
    "auth": lambda client: client.docmd("AUTH", f"PLAIN {PLAIN}"),
    "lookup": lambda client: client.docmd("AUTH", f"SCRAM-SHA-256 {SCRAM}"),
    "mail": lambda client: client.mail("a@example.org"),
    "rcpt": recipient,
    "data": message,
    "stream": message,
    "verify": lambda client: client.docmd("VRFY", "somebody"),
    "expand": lambda client: client.docmd("EXPN", "list"),
    "help": lambda client: client.docmd("HELP"),
    "etrn": lambda client: client.docmd("ETRN", "node.example.org"),
    "unknown": lambda client: client.docmd("XFOO"),
    "reset": reset,
    "quit": lambda client: client.docmd("QUIT"),
    "disconnect": lambda client: client.docmd("QUIT"),
}

# What False is, and what is no answer. Greetings and answers to EHLO have no enhanced status codes (RFC 2034 section 4).
REFUSED = {
    "connect": ("554", "421"),
    "helo": ("550", "451"),
    "auth": ("535 5.7.8", "454 4.7.0"),
    # The exchange goes on with keys of nobody.
    "lookup": ("334", "454 4.7.0"),
    "mail": ("550 5.7.1", "451 4.3.0"),
    "rcpt": ("550 5.1.1", "451 4.3.0"),
    "data": ("554 5.7.1", "451 4.3.0"),
    "stream": ("554 5.7.1", "451 4.3.0"),
    "verify": ("550 5.1.1", "451 4.3.0"),
    "expand": ("550 5.1.1", "451 4.3.0"),
    "help": ("502 5.5.1", "451 4.3.0"),
    "etrn": ("459 4.7.1", "451 4.3.0"),
    "unknown": ("500 5.5.1", "451 4.3.0"),
}

# Hooks that only hear: their client is told so, whatever they say.
TOLD = {"reset": "250 2.0.0", "quit": "221 2.0.0", "disconnect": "221 2.0.0"}

# Answers that are replies, and what they say.
REPLIES = [
    (Reply(452, "told", "4.2.2"), "452 4.2.2 told"),
    (452, "452 4.0.0 Try again later"),
    ("550 5.7.27 told", "550 5.7.27 told"),
    (Reject(550, "5.7.27 told"), "550 5.7.27 told"),
]
FAILURES = [ValueError("broken"), SystemExit(), KeyboardInterrupt()]
NONSENSE = [3.5, 42, 354, "no code", ["550"], b"550 5.7.27 no"]

# A text is a password where a user is looked up.
NO_ANSWERS = [
    (hook, answer)
    for hook in REFUSED
    for answer in [*FAILURES, *NONSENSE]
    if hook != "lookup" or not isinstance(answer, str)
]


class Asked:
    """What came of asking a hook once."""

    def __init__(self, hook, answer, form=lambda hook: hook):
        """Asks a hook that answers so."""
        self.told = []

        def answering(session, *arguments):
            if isinstance(answer, BaseException):
                raise answer
            return answer

        hooks = {hook: staticmethod(form(answering)), "error": lambda handler, session, error: self.told.append(error)}
        limits = mailwire.Limits(auth_delay=0)
        with mailwire.Server(type("Handler", (), hooks)(), allow_plaintext_auth=True, limits=limits) as server:
            if hook == "connect":
                # The next client is served.
                for _ in range(2):
                    with socket.create_connection(server.address, 20) as peer, peer.makefile("r") as lines:
                        self.reply, self.goes_on = lines.readline().rstrip(), None
            else:
                with connect(server) as client:
                    if hook != "helo":
                        client.ehlo("client.example.org")
                    code, text = ASKED[hook](client)
                    self.reply = f"{code} {text.decode()}"
                    self.goes_on = code != 221 and client.noop()[0] == 250


def begins(reply, words):
    """Whether a reply has these codes, and another one no more of them."""
    return f"{reply} ".startswith(f"{words} ")


def later(hook):
    """As a coroutine."""

    @functools.wraps(hook)
    async def called(*arguments):
        return hook(*arguments)

    return called


@pytest.mark.parametrize("form", [lambda hook: hook, later], ids=["def", "async def"])
@pytest.mark.parametrize(("hook", "answer"), NO_ANSWERS, ids=repr)
def test_what_fails_or_is_no_answer_is_told_as_temporary_and_goes_to_log_and_error(hook, answer, form, logged):
    asked = Asked(hook, answer, form)
    assert begins(asked.reply, REFUSED[hook][1]), asked.reply
    assert asked.goes_on in (True, None)
    greetings = 2 if hook == "connect" else 1
    assert len(asked.told) == len(logged()) == greetings
    for error, record in zip(asked.told, logged(), strict=True):
        assert record.exc_info[1] is error and record.levelname == "ERROR"
        assert error is answer or (type(error) in (TypeError, ValueError) and "answering" in record.getMessage())


@pytest.mark.parametrize("hook", REFUSED)
def test_false_refuses(hook, logged):
    asked = Asked(hook, False)
    assert begins(asked.reply, REFUSED[hook][0]), asked.reply
    assert asked.goes_on in (hook != "lookup", None) and asked.told == logged() == []


@pytest.mark.parametrize(("answer", "reply"), REPLIES, ids=repr)
@pytest.mark.parametrize("hook", [hook for hook in REFUSED if hook != "lookup"])
def test_a_reply_is_told_as_it_is(hook, answer, reply, logged):
    code, enhanced, text = reply.split(" ", 2)
    asked = Asked(hook, answer)
    assert asked.reply == (f"{code} {text}" if hook in ("connect", "helo") else f"{code} {enhanced} {text}")
    assert asked.goes_on in (True, None) and asked.told == logged() == []


@pytest.mark.parametrize("answer", [Reply(452, "told", "4.2.2"), 452, b"550 5.7.27 told"], ids=repr)
def test_a_reply_is_nothing_that_is_kept_of_a_user(answer, logged):
    asked = Asked("lookup", answer)
    assert begins(asked.reply, "454 4.7.0") and asked.goes_on and len(asked.told) == len(logged()) == 1


@pytest.mark.parametrize("answer", [*FAILURES, *NONSENSE, False, *(answer for answer, _ in REPLIES)], ids=repr)
@pytest.mark.parametrize("hook", TOLD)
def test_who_only_hears_changes_nothing_by_what_it_says(hook, answer, logged):
    asked = Asked(hook, answer)
    assert begins(asked.reply, TOLD[hook]) and asked.goes_on == (hook == "reset")
    # But a failure is one.
    failed = [answer] if answer in FAILURES else []
    assert asked.told == failed and [record.exc_info[1] for record in logged()] == failed


@pytest.mark.parametrize("form", [lambda hook: hook, later], ids=["def", "async def"])
def test_an_error_hook_that_fails_is_told_to_the_log(form, logged):
    class Handler:
        def mail(self, session, sender, options):
            raise ValueError("first")

        error = form(lambda handler, session, error: {}["second"])

    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.ehlo("client.example.org")
        assert client.mail("a@example.org")[0] == 451
        assert client.noop()[0] == 250
    assert [type(record.exc_info[1]) for record in logged()] == [ValueError, KeyError]


def test_every_hook_is_here():
    from mailwire._hooks import ARGUMENTS

    assert set(ARGUMENTS) == {"error", *REFUSED, *TOLD} and ASKED.keys() | {"connect"} == REFUSED.keys() | TOLD.keys()

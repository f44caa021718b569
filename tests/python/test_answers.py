"""What the answers of hooks do, and what becomes of their exceptions."""

import re

import mailwire
import pytest
from mailwire import Reject, Reply
from mailwire._run import Run
from peers import connect


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (None, 250, b""),
        (True, 250, b""),
        (False, 550, b"5.1.1 No such recipient here"),
        (Reply(551, "not here", "5.1.6"), 551, b"5.1.6 not here"),
        (Reply(452, "two lines", lines=("one", "two")), 452, b"4.0.0 one\n4.0.0 two"),
        (Reply(550, "one\ntwo", "5.1.1"), 550, b"5.1.1 one\n5.1.1 two"),
        (450, 450, b"4.0.0 Try again later"),
        ("550 5.1.1 No such user", 550, b"5.1.1 No such user"),
        ("550 No such user", 550, b"5.0.0 No such user"),
        ("250 2.1.5 fine", 250, b"2.1.5 fine"),
        (Reject(550, "5.1.1 No such user"), 550, b"5.1.1 No such user"),
        (Reject(553, "bad", "5.1.3"), 553, b"5.1.3 bad"),
        # A reply is ASCII.
        ("550 5.1.1 <j\xf6rg@\u20ac.example>: nobody", 550, b"5.1.1 <j?rg@?.example>: nobody"),
        (Reject(550, "5.1.1 j\xf6rg\nis \udcff"), 550, b"5.1.1 j?rg\n5.1.1 is ?"),
        ("550 \u0665.\u0661.\u0661 x", 550, b"5.0.0 ?.?.? x"),
        # What cannot be an answer.
        (42, 451, b"4.3.0 "),
        (354, 451, b"4.3.0 "),
        (3.5, 451, b"4.3.0 "),
        ("no code", 451, b"4.3.0 "),
        ("\u0665\u0665\u0660 x", 451, b"4.3.0 "),
        ("550 smuggled\r\n250 OK", 451, b"4.3.0 "),
        (Reply(550, "smuggled\r\n250 OK"), 451, b"4.3.0 "),
        (Reply(550, "nul\0"), 451, b"4.3.0 "),
        (Reply(550, "class", "4.1.1"), 451, b"4.3.0 "),
        (RuntimeError("broken"), 451, b"4.3.0 "),
        (KeyboardInterrupt(), 451, b"4.3.0 "),
        (SystemExit(), 451, b"4.3.0 "),
        (GeneratorExit(), 451, b"4.3.0 "),
    ],
    ids=repr,
)
def test_answers(answer, code, text, logged):
    class Handler:
        def rcpt(self, session, recipient, options):
            if isinstance(answer, BaseException):
                raise answer
            return answer

    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.ehlo()
        client.mail("a@example.org")
        said = client.rcpt("b@example.org")
        assert said[0] == code and said[1].startswith(text), said
        assert client.noop()[0] == 250
    assert bool(logged()) == (text == b"4.3.0 ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (-1, "answered -1: a reply has a code from 200"),
        (10**5000, "answered with int: a reply has a code from 200"),
        ("hello\r\n" * 50, r"answered 'hello\\r\\n.{50,90}'...: a reply begins with three digits"),
        (Reply(354, "go on"), "answered with Reply: a reply has a code from 200"),
        (["550"], "answered with list: a hook returns None"),
        (Reply(550, "a\rb"), "gave an answer that is none here: reply: "),
        (Reply(550, "x", "9.9.9"), "gave an answer that is none here: reply: "),
    ],
    ids=lambda value: str(type(value)),
)
def test_an_answer_that_is_none_is_told_with_the_hook_that_gave_it(answer, words, logged):
    told = []

    class Handler:
        def rcpt(self, session, recipient, options):
            return answer

        def error(self, session, error):
            told.append(str(error))

    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.ehlo()
        client.mail("a@example.org")
        assert client.rcpt("b@example.org")[0] == 451
    (text,) = told
    assert re.match(rf"the hook \S+Handler\.rcpt {words}", text) and "\r" not in text, text
    assert [one.getMessage().split(" failed")[0] for one in logged()] == [text[: text.index(" ", 9)]]


@pytest.mark.parametrize("code", [0, 250, 354, 399, 600])
def test_what_refuses_has_a_code_that_refuses(code):
    with pytest.raises(mailwire.InvalidArgument, match=f"^code: {code} refuses nothing"):
        Reject(code, "2.0.0 fine")


def test_a_code_is_a_number_and_a_text_is_text():
    for made in (Reject, Reply):
        with pytest.raises(TypeError, match=r"^code: int is needed, not str"):
            made("550", "no")
    with pytest.raises(TypeError, match=r"^text: str is needed, not bytes"):
        Reply(550, b"no")


def test_a_hook_that_refuses_with_a_code_that_accepts_does_not_accept():
    class Handler:
        def rcpt(self, session, recipient, options):
            raise Reject(250, "ok")

    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.ehlo()
        client.mail("a@example.org")
        assert client.rcpt("b@example.org")[0] == 451


def test_recipients_of_one_read_are_answered_one_by_one(message):
    class Handler:
        def rcpt(self, session, recipient, options):
            if recipient.startswith("error"):
                raise ValueError(recipient)
            return not recipient.startswith("no")

    with mailwire.Server(Handler()) as server:
        recipients = [f"{name}@example.org" for name in ("yes", "no", "error", "yes2")]
        result = mailwire.send(message, f"smtp://127.0.0.1:{server.port}", recipients=recipients)
    assert list(result.accepted) == ["yes@example.org", "yes2@example.org"]
    assert (list(result.refused), list(result.deferred)) == (["no@example.org"], ["error@example.org"])


def test_an_answer_that_is_none_is_that_of_its_recipient_alone(message, logged):
    class Handler:
        def rcpt(self, session, recipient, options):
            return Reply(550, "nul\0") if recipient.startswith("bad") else not recipient.startswith("no")

    with mailwire.Server(Handler()) as server:
        recipients = [f"{name}@example.org" for name in ("yes", "bad", "no", "bad2", "yes2")]
        result = mailwire.send(message, f"smtp://127.0.0.1:{server.port}", recipients=recipients)
    assert list(result.accepted) == ["yes@example.org", "yes2@example.org"]
    assert (list(result.refused), list(result.deferred)) == (
        ["no@example.org"],
        ["bad@example.org", "bad2@example.org"],
    )
    assert len(logged()) == 2


@pytest.mark.parametrize("hook", ["data", "stream"])
def test_of_lmtps_answers_one_that_is_none_is_that_of_its_recipient_alone(hook, message, logged):
    answers = {"bad@example.org": Reply(550, "nul\0"), "no@example.org": "550 5.1.1 j\xf6rg"}
    handler = type("Handler", (), {hook: lambda *_: answers})
    with mailwire.Server(handler(), protocol="lmtp") as server:
        recipients = ["yes@example.org", *answers, "yes2@example.org"]
        result = mailwire.send(message, f"lmtp://127.0.0.1:{server.port}", recipients=recipients)
    assert list(result.accepted) == ["yes@example.org", "yes2@example.org"]
    assert [one.reply.text for one in result.refused.values()] == ["j?rg"]
    assert list(result.deferred) == ["bad@example.org"]
    assert len(logged()) == 1


def test_no_exception_ends_the_thread_that_serves_everybody(logged):
    class Handler:
        def rcpt(self, session, recipient, options):
            raise GeneratorExit

        def error(self, session, exception):
            raise GeneratorExit

    with mailwire.Server(Handler(), threads=1) as server:
        for _ in range(2):
            with connect(server) as client:
                client.ehlo()
                client.mail("a@example.org")
                assert client.rcpt("b@example.org")[0] == 451
    assert len(logged()) == 4


def test_what_cannot_be_handled_at_all_is_logged_and_the_next_is_served(logged):
    class Stub:
        def __init__(self):
            self.events = ["one", "two"]

        def serve(self):
            return self.events.pop() if self.events else None

        def handle(self, event):
            raise GeneratorExit

    Run(None, Stub(), None, 0)._serve(Stub())
    assert len(logged()) == 2


def test_an_exception_goes_to_the_error_hook_and_the_log_and_ends_nothing(message, logged):
    seen = []

    class Handler:
        def data(self, session, envelope):
            raise KeyError("lost")

        def error(self, session, exception):
            seen.append((session.peer, exception))
            raise RuntimeError("and this too")

    with mailwire.Server(Handler()) as server:
        for _ in range(6):
            with pytest.raises(mailwire.DataError) as caught:
                mailwire.send(message, f"smtp://127.0.0.1:{server.port}")
            assert (caught.value.smtp_code, caught.value.temporary) == (451, True)
    assert [type(exception) for _, exception in seen] == [KeyError] * 6
    assert [type(record.exc_info[1]) for record in logged()] == [KeyError, RuntimeError] * 6

"""Handlers: which hooks are called with what, what their answers do, and what becomes of their exceptions."""

import base64
import re
import smtplib
import threading
import time

import mailwire
import pytest
from mailwire import Reject, Reply


def connect(server):
    """A client."""
    return smtplib.SMTP("127.0.0.1", server.port, timeout=20)


def test_every_hook_is_called_in_its_turn(message):
    calls = []

    class Handler:
        def connect(self, session):
            calls.append(("connect", session.helo))

        def helo(self, session, name):
            calls.append(("helo", name))

        def mail(self, session, sender, options):
            session.state["sender"] = sender
            calls.append(("mail", sender, options))

        def rcpt(self, session, recipient, options):
            calls.append(("rcpt", recipient, options))

        def data(self, session, envelope):
            calls.append(("data", session.state["sender"], envelope.recipients, envelope.session is session))

        def reset(self, session):
            calls.append(("reset", session.helo))

        def verify(self, session, name):
            calls.append(("verify", name))

        def expand(self, session, name):
            calls.append(("expand", name))
            return "250 2.0.0 a@example.org"

        def help(self, session, topic):
            calls.append(("help", topic))
            return "214 2.0.0 Ask somebody else"

        def etrn(self, session, node):
            calls.append(("etrn", node))

        def unknown(self, session, verb, argument):
            calls.append(("unknown", verb, argument))
            return 250 if verb == "XFOO" else None

        def quit(self, session):
            calls.append(("quit", session.user))

        def disconnect(self, session):
            calls.append(("disconnect", session.state["sender"]))

    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.ehlo("client.example.org")
        client.verify("somebody")
        assert client.expn("list") == (250, b"2.0.0 a@example.org")
        assert client.docmd("HELP", "me") == (214, b"2.0.0 Ask somebody else")
        assert "etrn" in client.esmtp_features
        assert client.docmd("ETRN", "node.example.org")[0] == 250
        assert client.docmd("XFOO", "bar")[0] == 250
        assert client.docmd("XBAR") == (500, b"5.5.1 Unknown command")
        client.mail("x@example.org")
        client.rset()
        client.sendmail("a@example.org", ["b@example.org", "c@example.org"], message)
        client.quit()
        size = {"SIZE": str(len(message))}
        deadline = time.monotonic() + 60
        while calls[-1][0] != "disconnect" and time.monotonic() < deadline:
            time.sleep(0.01)
    assert calls == [
        ("connect", None),
        ("helo", "client.example.org"),
        ("verify", "somebody"),
        ("expand", "list"),
        ("help", "me"),
        ("etrn", "node.example.org"),
        ("unknown", "XFOO", "bar"),
        ("unknown", "XBAR", ""),
        ("mail", "x@example.org", {}),
        ("reset", "client.example.org"),
        ("mail", "a@example.org", size),
        ("rcpt", "b@example.org", {}),
        ("rcpt", "c@example.org", {}),
        ("data", "a@example.org", ("b@example.org", "c@example.org"), True),
        ("quit", None),
        ("disconnect", "a@example.org"),
    ]


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (None, 250, b""),
        (True, 250, b""),
        (False, 550, b"5.7.1 Recipient refused"),
        (Reply(551, "not here", "5.1.6"), 551, b"5.1.6 not here"),
        (Reply(452, "two lines", lines=("one", "two")), 452, b"4.0.0 one\n4.0.0 two"),
        (Reply(550, "one\ntwo", "5.1.1"), 550, b"5.1.1 one\n5.1.1 two"),
        (450, 450, b"4.0.0 Try again later"),
        ("550 5.1.1 No such user", 550, b"5.1.1 No such user"),
        ("550 No such user", 550, b"5.0.0 No such user"),
        ("250 2.1.5 fine", 250, b"2.1.5 fine"),
        (Reject(550, "5.1.1 No such user"), 550, b"5.1.1 No such user"),
        (Reject(553, "bad", "5.1.3"), 553, b"5.1.3 bad"),
        # What cannot be an answer.
        (42, 451, b"4.3.0 "),
        (354, 451, b"4.3.0 "),
        (3.5, 451, b"4.3.0 "),
        ("no code", 451, b"4.3.0 "),
        ("550 smuggled\r\n250 OK", 451, b"4.3.0 "),
        (Reply(550, "smuggled\r\n250 OK"), 451, b"4.3.0 "),
        (Reply(550, "nul\0"), 451, b"4.3.0 "),
        (Reply(550, "class", "4.1.1"), 451, b"4.3.0 "),
        (RuntimeError("broken"), 451, b"4.3.0 "),
        (KeyboardInterrupt(), 451, b"4.3.0 "),
        (SystemExit(), 451, b"4.3.0 "),
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


def test_a_class_is_made_for_each_session_and_a_function_takes_the_envelope(message):
    made = []

    class Handler:
        def __init__(self):
            self.count = 0
            made.append(self)

        def data(self, session, envelope):
            self.count += 1
            assert session.handler is self

    with mailwire.Server(Handler) as server:
        for _ in range(2):
            with connect(server) as client:
                client.sendmail("a@example.org", "b@example.org", message)
                client.sendmail("a@example.org", "b@example.org", message)
        # One that says nothing needs no handler.
        with connect(server):
            pass
    assert [one.count for one in made] == [2, 2]

    envelopes = []
    with mailwire.Server(envelopes.append) as server:
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}")
    assert [envelope.body for envelope in envelopes] == [message]
    with mailwire.Server(lambda envelope: "550 5.7.1 no") as server, pytest.raises(mailwire.DataError, match="no"):
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, 535),
        (False, 535),
        ("535 5.7.8 no", 535),
        (454, 454),
        (RuntimeError("database"), 454),
        (250, 454),
        (235, 454),
        (1, 454),
        ("235 ok", 454),
        (Reply(235, "ok"), 454),
    ],
    ids=repr,
)
def test_only_true_lets_somebody_in(answer, code, message, logged):
    class Handler:
        def auth(self, session, credentials):
            if (credentials.username, credentials.password) == ("user", "secret"):
                return True
            if isinstance(answer, Exception):
                raise answer
            return answer

        def data(self, session, envelope):
            assert session.user == "user"

    options = {"allow_plaintext_auth": True, "auth_required": True}
    with mailwire.Server(Handler(), **options) as server:
        url = "smtp://user:{}@127.0.0.1:{}?tls=none&allow_plaintext_auth=true"
        with pytest.raises(mailwire.AuthenticationError) as caught:
            mailwire.send(message, url.format("wrong", server.port))
        assert caught.value.smtp_code == code
        mailwire.send(message, url.format("secret", server.port))
    assert bool(logged()) == (code == 454 and answer != 454)


def test_each_mechanism_that_proves_a_password(message, certificate, ca_file):
    seen, tls = [], mailwire.TLS.from_files(*certificate("localhost"))
    with mailwire.Server(seen.append, tls=tls, auth={"user": "secret"}, auth_required=True) as server:
        url = f"smtp://localhost:{server.port}"
        for auth in ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "LOGIN", ["PLAIN", "SCRAM-SHA-1"], "PLAIN,LOGIN", None):
            options = {"tls": "required", "ca": ca_file, "auth": auth, "username": "user"}
            mailwire.send(message, url, password="secret", **options)
            assert seen.pop().session.user == "user" and not seen
            with pytest.raises(mailwire.AuthenticationError, match="535"):
                mailwire.send(message, url, password="Secret", **options)
        # Known here, and not offered there.
        with pytest.raises(mailwire.AuthenticationError, match="CRAM-MD5"):
            mailwire.send(message, url, password="secret", **options | {"auth": "CRAM-MD5"})
        for wrong in ("KERBEROS", ["PLAIN", "KERBEROS"], []):
            with pytest.raises(mailwire.InvalidArgument, match="auth"):
                mailwire.send(message, url, password="secret", **options | {"auth": wrong})


def test_auth_by_a_function(message):
    seen = []

    def check(session, credentials):
        seen.append((repr(credentials), session.peer))
        return credentials.password == "secret"

    with mailwire.Server(seen.append, auth=check, allow_plaintext_auth=True) as server:
        mailwire.send(message, f"smtp://user:secret@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true")
    assert seen[0][0] == "<Credentials of 'user'>" and seen[1].session.user == "user"


@pytest.mark.parametrize(
    "kept", ["secret", mailwire.scram_keys("secret"), mailwire.scram_keys("secret", mechanism="SCRAM-SHA-1")]
)
def test_what_is_kept_of_a_user_is_looked_up(kept, message):
    asked = []

    class Handler:
        def lookup(self, session, username):
            asked.append((username, session.user))
            return kept if username == "tim" else None

        def data(self, session, envelope):
            asked.append(session.user)

    mechanism = "SCRAM-SHA-1" if kept.startswith("SCRAM-SHA-1$") else "SCRAM-SHA-256"
    options = {"mechanisms": [mechanism], "allow_plaintext_auth": True, "auth_required": True}
    with mailwire.Server(Handler(), **options) as server:
        url = f"smtp://{{}}@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true"
        mailwire.send(message, url.format("tim:secret"))
        for wrong in ("tim:other", "kurt:secret"):
            with pytest.raises(mailwire.AuthenticationError, match="535"):
                mailwire.send(message, url.format(wrong))
    assert asked == [("tim", None), "tim", ("tim", None), ("kurt", None)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, 535),
        ("", 454),
        (b"secret", 454),
        (True, 454),
        (False, 454),
        (235, 454),
        (Reply(235, "come in"), 454),
        ("SCRAM-SHA-256$4096:no keys", 454),
        (Reject(454, "4.7.0 no database"), 454),
        (RuntimeError("broken"), 454),
        (SystemExit(), 454),
    ],
    ids=repr,
)
def test_only_a_clear_value_lets_somebody_in(answer, code, message):
    class Handler:
        def lookup(self, session, username):
            if isinstance(answer, BaseException):
                raise answer
            return answer

    limits = mailwire.Limits(auth_delay=0)
    with mailwire.Server(Handler(), allow_plaintext_auth=True, limits=limits) as server:
        for password in ("secret", "SCRAM-SHA-256$4096:no keys", "True"):
            options = {"username": "tim", "password": password, "tls": "none", "allow_plaintext_auth": True}
            with pytest.raises(mailwire.AuthenticationError) as caught:
                mailwire.send(message, f"smtp://127.0.0.1:{server.port}", **options)
            assert caught.value.smtp_code == code


def test_a_password_that_is_no_text_is_no_other_text():
    seen = []

    def check(session, credentials):
        seen.append(credentials.password)
        return False

    with mailwire.Server(seen.append, auth=check, allow_plaintext_auth=True) as server, connect(server) as client:
        client.ehlo()
        for said in ("AUTH LOGIN", base64.b64encode(b"user").decode(), base64.b64encode(b"caf\xe9").decode()):
            client.docmd(said)
    assert seen == ["caf\udce9"]


def test_lmtp_answers_for_each_recipient(message, tmp_path):
    class Handler:
        def data(self, session, envelope):
            return {"b@example.org": "550 5.2.2 full", "c@example.org": False, "d@example.org": 452}

    recipients = [f"{name}@example.org" for name in "abcd"]
    with mailwire.Server(Handler(), unix=tmp_path / "socket", protocol="lmtp") as server:
        result = mailwire.send(message, f"lmtp+unix://{server.address}", recipients=recipients)
    assert list(result.accepted) == ["a@example.org"]
    assert {address: one.smtp_code for address, one in result.refused.items()} == {
        "b@example.org": 550,
        "c@example.org": 554,
    }
    assert result.deferred["d@example.org"].smtp_code == 452
    with mailwire.Server(Handler()) as server, pytest.raises(mailwire.DataError) as caught:
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}", recipients=recipients)
    assert caught.value.smtp_code == 451


def lmtp(server):
    """A message to two of LMTP: the codes of the answers."""
    with smtplib.LMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo("client.example.org")
        client.mail("a@example.org")
        for recipient in ("Tim@example.ORG", "kurt@example.org"):
            client.rcpt(recipient)
        assert client.docmd("DATA")[0] == 354
        client.send(b"x\r\n.\r\n")
        return [client.getreply()[0] for _ in range(2)]


@pytest.mark.parametrize("hook", ["data", "stream"])
@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ({"Tim@Example.org": False}, [554, 250]),
        ({"Tim@EXAMPLE.ORG": 552, "Tim@example.ORG": 550, "kurt@example.org": True}, [550, 250]),
        ({}, [250, 250]),
        # Nobody is called so: an answer must not be lost.
        ({"tim@example.org": False}, [451, 451]),
        ({"kurt@example.org": False, "nobody@typo.example": False}, [451, 451]),
        ({"kurt@example.org": False, 7: False}, [451, 451]),
        ({"kurt@example.org": 3.5}, [451, 451]),
    ],
)
def test_an_answer_to_a_recipient_is_by_its_address(hook, answers, codes):
    errors = []
    hooks = {
        "data": lambda self, session, envelope: answers,
        "stream": lambda self, session, envelope, body: body.read() and answers,
    }
    hooks = {hook: hooks[hook], "error": lambda self, session, error: errors.append(error)}
    with mailwire.Server(type("Handler", (), hooks), protocol="lmtp") as server:
        assert lmtp(server) == codes
    assert len(errors) == codes.count(451) // 2


def test_a_slow_hook_holds_up_nobody_else(message):
    release, names = threading.Event(), set()

    def handler(envelope):
        names.add(threading.current_thread().name)
        if envelope.sender.startswith("slow"):
            release.wait(60)

    with mailwire.Server(handler, threads=2) as server:
        url = f"smtp://127.0.0.1:{server.port}"
        slow = threading.Thread(target=mailwire.send, args=(message, url), kwargs={"sender": "slow@example.org"})
        slow.start()
        fast = [threading.Thread(target=mailwire.send, args=(message, url)) for _ in range(20)]
        for thread in fast:
            thread.start()
        for thread in fast:
            thread.join(30)
        assert not any(thread.is_alive() for thread in fast)
        assert slow.is_alive()
        release.set()
        slow.join(10)
    assert all(name.startswith("mailwire-handler-") for name in names)


def test_many_clients_at_once(message):
    envelopes = []
    with mailwire.Server(envelopes.append) as server:
        client = mailwire.Client(f"smtp://127.0.0.1:{server.port}")
        threads = [threading.Thread(target=lambda: [client.send(message) for _ in range(25)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        client.close()
        assert server.stats["messages"] == 200
    assert len(envelopes) == 200 and all(envelope.body == message for envelope in envelopes)


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


def test_the_log_is_not_imported_before_something_fails():
    import subprocess
    import sys

    code = """
import mailwire, sys
with mailwire.Server(lambda envelope: None) as server:
    mailwire.send(b"From: a@example.org\\nTo: b@example.org\\n\\nx\\n", f"smtp://127.0.0.1:{server.port}")
assert "logging" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


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


def test_what_a_handler_keeps_takes_no_memory_of_the_server():
    class Handler:
        def __init__(self):
            self.kept = []

        def data(self, session, envelope):
            self.kept.append(envelope)

    limits = mailwire.Limits(size=300_000, body_memory=700_000)
    content = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 2900
    handler, kept = Handler(), []
    for asked, handed in ((handler, handler.kept), (kept.append, kept)):
        with mailwire.Server(asked, limits=limits) as server, connect(server) as client:
            for _ in range(6):
                client.sendmail("a@example.org", ["b@example.org"], content)
            client.quit()
        assert [envelope.body for envelope in handed] == [content] * 6


def test_what_a_handler_does_not_keep_is_not_copied(monkeypatch):
    kept = []
    monkeypatch.setattr(mailwire.Envelope, "_keep", kept.append)
    sizes = []

    class Handler:
        def data(self, session, envelope):
            sizes.append(envelope.size)

        async def helo(self, session, name):
            """Has all of it run on a loop."""

    with mailwire.Server(Handler()) as server, connect(server) as client:
        client.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\nx\r\n")
    with mailwire.Server(lambda envelope: sizes.append(envelope.size)) as server, connect(server) as client:
        client.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\nx\r\n")
    assert (sizes, kept) == ([17, 17], [])


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


def test_values_for_a_handlers_own_tests():
    envelope = mailwire.Envelope("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\ny\r\n", options={"SIZE": "1"})
    assert (envelope.body, envelope.size, envelope.as_message()["Subject"]) == (b"Subject: x\r\n\r\ny\r\n", 17, "x")
    assert mailwire.Credentials("u", "p").password == "p"
    assert Reject(550, "5.1.1 no").reply == Reply(550, "no", "5.1.1")
    assert str(Reply(550, "no", "5.1.1")) == "550 5.1.1 no"
    assert Reply(250, "x")._replace(code=251).code == 251

"""Handlers: which hooks are called, with what, in which threads, and what is kept of it."""

import threading

import mailwire
import pytest
from mailwire import Reject, Reply
from peers import connect, data, wait_for


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
        wait_for(lambda: calls[-1][0] == "disconnect")
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


@pytest.mark.parametrize("hook", ["data", "stream"])
def test_what_mail_and_rcpt_have_said_comes_with_the_envelope(hook):
    seen = []

    class Handler:
        def mail(self, session, sender, options):
            seen.append(options)

        def rcpt(self, session, recipient, options):
            seen.append(options)

    def take(self, session, envelope, *body):
        seen.append((envelope.options, envelope.rcpt_options))

    setattr(Handler, hook, take)
    more = [("mail_parameter", "X-Class"), ("rcpt_parameter", "X-Folder"), ("extensions", "SIZE,8BITMIME,DSN")]
    with mailwire.Server(Handler(), options=more) as server, connect(server) as client:
        client.ehlo()
        assert client.mail("a@example.org", ["size=9", "body=8bitmime", "ret=HDRS", "x-class"])[0] == 250
        assert client.rcpt("b@example.org", ["notify=never", "X-Folder=In-box"])[0] == 250
        assert client.rcpt("c@example.org")[0] == 250
        assert data(client, b"x\r\n")[0] == 250
    of_mail = {"SIZE": "9", "BODY": "8BITMIME", "RET": "HDRS", "X-CLASS": None}
    of_first = {"NOTIFY": "NEVER", "X-FOLDER": "In-box"}
    assert seen == [of_mail, of_first, {}, (of_mail, (of_first, {}))]


@pytest.mark.parametrize("connects", [False, True])
def test_another_client_of_one_connection_has_nothing_of_the_one_before(connects):
    seen = []

    class Handler:
        def __init__(self):
            self.of_mine = []

        def mail(self, session, sender, options):
            seen.append((session.peer, sender, dict(session.state), list(self.of_mine)))
            session.state["sender"] = sender
            self.of_mine.append(sender)

        def disconnect(self, session):
            seen.append((session.peer, dict(session.state)))

    if connects:
        Handler.connect = lambda self, session: seen.append(session.peer)
    with mailwire.Server(Handler, xclient="127.0.0.1") as server, connect(server) as client:
        for address in ("192.0.2.1", "192.0.2.2"):
            assert client.docmd("XCLIENT", f"ADDR={address} PORT=25")[0] == 220
            client.ehlo()
            client.mail(f"{address[-1]}@example.org")
            client.rset()
            client.mail("again@example.org")
            client.rset()
        proxy = "{}:{}".format(*client.sock.getsockname())
    first, second = (
        [
            *([f"192.0.2.{n}:25"] if connects else []),
            (f"192.0.2.{n}:25", f"{n}@example.org", {}, []),
            (f"192.0.2.{n}:25", "again@example.org", {"sender": f"{n}@example.org"}, [f"{n}@example.org"]),
        ]
        for n in (1, 2)
    )
    gone = ("192.0.2.2:25", {"sender": "again@example.org"})
    assert seen == [*([proxy] if connects else []), *first, *second, gone]


def test_values_for_a_handlers_own_tests():
    envelope = mailwire.Envelope("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\ny\r\n", options={"SIZE": "1"})
    assert envelope.rcpt_options == ({},)
    assert (envelope.body, envelope.size, envelope.as_message()["Subject"]) == (b"Subject: x\r\n\r\ny\r\n", 17, "x")
    assert mailwire.Credentials("u", "p").password == "p"
    assert Reject(550, "5.1.1 no").reply == Reply(550, "no", "5.1.1")
    assert str(Reply(550, "no", "5.1.1")) == "550 5.1.1 no"
    assert Reply(250, "x")._replace(code=251).code == 251

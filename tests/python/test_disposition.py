"""Messages that the engine delivers, while the hooks of a handler are asked."""

import mailwire
import pytest


def test_a_disposition_delivers_and_hooks_are_asked(message, tmp_path):
    class Hooks:
        def rcpt(self, session, recipient, options):
            return not recipient.startswith("nobody")

    path = tmp_path / "mail"
    with mailwire.Server(Hooks(), disposition=f"maildir:{path}") as server:
        url = f"smtp://127.0.0.1:{server.port}?tls=none"
        mailwire.send(message, url, recipients=["b@example.net"])
        (kept,) = (path / "new").iterdir()
        assert kept.read_bytes().startswith(b"Return-Path: <")
        with pytest.raises(mailwire.RecipientsRefused):
            mailwire.send(message, url, recipients=["nobody@example.net"])
    with mailwire.Server(disposition="discard") as server:
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.net"])
        assert server.stats["messages"] == 1
        with pytest.raises(mailwire.Misuse):
            server.messages()


def test_a_disposition_relays_only_for_some(message):
    envelopes = []
    inbox = mailwire.Server(envelopes.append)
    with inbox:
        relay = f"relay:smtp://127.0.0.1:{inbox.port}?tls=none"
        with mailwire.Server(disposition=relay, domains=["example.net"]) as server:
            mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.net"])
    assert [envelope.recipients for envelope in envelopes] == [("b@example.net",)]
    with pytest.raises(mailwire.InvalidArgument, match="domains"), mailwire.Server(disposition=relay):
        pass
    with pytest.raises(mailwire.InvalidArgument, match="disposition"):
        mailwire.Server(disposition="mbox:/var/mail/tim")


def test_the_recipients_of_the_envelope_are_written_where_that_is_asked_for(message, tmp_path):
    with mailwire.Server(disposition=f"folder:{tmp_path}?delivered_to=true") as server:
        mailwire.send(
            message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.net", "c@example.net"]
        )
    (kept,) = tmp_path.glob("*.eml")
    fields = b"\r\nDelivered-To: b@example.net\r\nDelivered-To: c@example.net\r\n"
    assert fields + message in kept.read_bytes()
    with pytest.raises(mailwire.InvalidArgument, match="question mark"):
        mailwire.Server(disposition=f"folder:{tmp_path}?delivered_to=perhaps")

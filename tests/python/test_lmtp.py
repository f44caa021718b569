"""LMTP: a message has an answer for each of its recipients."""

import smtplib

import mailwire
import pytest


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


def test_by_lmtp_each_recipient_has_its_answer(tmp_path):
    class Handler:
        def stream(self, session, envelope, body):
            body.read(1)
            return {"full@example.org": "452 4.2.2 full"}

    path = str(tmp_path / "lmtp")
    with mailwire.Server(Handler(), unix=path, protocol="lmtp"):
        result = mailwire.send(
            b"x\r\n",
            f"lmtp+unix://{path}",
            sender="a@example.org",
            recipients=["b@example.org", "full@example.org"],
            on_refused="never",
        )
    assert list(result.accepted) == ["b@example.org"] and list(result.deferred) == ["full@example.org"]

"""Logins: what `auth` and `lookup` say, and which of it lets somebody in."""

import base64

import mailwire
import pytest
from mailwire import Reject, Reply
from peers import connect


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
        (False, 535),
        ("", 454),
        (b"secret", 454),
        (True, 454),
        (0, 454),
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


def test_a_password_that_is_no_text_is_nobodys_and_no_hook_is_asked():
    seen = []

    def check(session, credentials):
        seen.append(credentials.password)
        return True

    options = {"allow_plaintext_auth": True, "limits": mailwire.Limits(auth_delay=0)}
    with mailwire.Server(seen.append, auth=check, **options) as server, connect(server) as client:
        client.ehlo()
        for said in ("AUTH LOGIN", base64.b64encode(b"user").decode(), base64.b64encode(b"caf\xe9").decode()):
            reply = client.docmd(said)
        assert reply == (535, b"5.7.8 Authentication credentials invalid")
    assert seen == []

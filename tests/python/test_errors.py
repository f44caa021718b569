"""What goes wrong: which exception, what it says, what it carries, and that it pickles."""

import datetime
import pickle
import smtplib
import socket

import mailwire
import pytest
import trustme
from conftest import free_port

BAD_PASSWORD = {"username": "user", "password": "wrong"}


def failing(expected, message, url, **options):
    """The exception of a send that must fail."""
    with pytest.raises(expected) as caught:
        mailwire.send(message, url, **options)
    error = caught.value
    assert isinstance(error, mailwire.Error) and "\n" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    for name in ("status", "temporary", "phase", "reply", "peer", "tls", "errno"):
        assert getattr(again, name) == getattr(error, name), name
    return error


def test_a_closed_port(message):
    port = free_port()
    error = failing(smtplib.SMTPConnectError, message, f"smtp://127.0.0.1:{port}")
    assert isinstance(error, mailwire.ConnectError) and isinstance(error, OSError)
    assert (error.temporary, error.phase, error.peer) == (True, "connect", f"127.0.0.1:{port}")
    assert error.smtp_code == -1


def test_a_wrong_host(message):
    error = failing(mailwire.ConnectError, message, "smtp://no-such-host.invalid")
    assert (error.phase, "no-such-host.invalid" in str(error)) == ("resolve", True)


def test_a_wrong_password(listener, localhost, ca_file, message):
    sink = listener(cert=localhost, auth=True)
    error = failing(smtplib.SMTPAuthenticationError, message, sink.url, ca=ca_file, **BAD_PASSWORD)
    assert (error.smtp_code, error.reply.code, error.phase, error.temporary) == (535, 535, "auth", False)
    assert error.tls.version == "TLSv1.3"
    assert "wrong" not in str(error) and "user" not in repr(error.__dict__.get("password"))


def test_a_good_password_over_starttls_and_implicit_tls(listener, localhost, ca_file, message):
    for implicit in (False, True):
        sink = listener(cert=localhost, auth=True, implicit=implicit)
        url = sink.url.replace("://", "://user:secret@")
        mailwire.send(message, f"{url}?ca={ca_file}")
        assert len(sink.inbox.envelopes) == 1


def test_a_password_never_travels_in_clear_unasked(listener, message):
    sink = listener(auth=True)
    good = {"username": "user", "password": "secret"}
    failing(mailwire.TLSNotOffered, message, sink.url, **good)
    error = failing(mailwire.AuthenticationError, message, sink.url, tls="none", **good)
    assert error.status == 303
    mailwire.send(message, sink.url, tls="none", allow_plaintext_auth=True, **good)


def test_credentials_that_nobody_asked_for(sink, message):
    options = {"tls": "none", "allow_plaintext_auth": True, "username": "u", "password": "p"}
    error = failing(smtplib.SMTPNotSupportedError, message, sink.url, **options)
    assert isinstance(error, mailwire.AuthNotOffered)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("kind", ["expired", "not yet valid", "untrusted", "other name"])
def test_a_bad_certificate_is_never_accepted(listener, certificate, ca_file, message, kind, implicit):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    cert = {
        "expired": lambda: certificate("localhost", not_before=now - 9 * day, not_after=now - day),
        "not yet valid": lambda: certificate("localhost", not_before=now + day, not_after=now + 9 * day),
        "untrusted": lambda: certificate("localhost", issuer=trustme.CA()),
        "other name": lambda: certificate("mail.example.org"),
    }[kind]()
    sink = listener(cert=cert, implicit=implicit)
    # Opportunistic decides whether to encrypt, never whether to verify.
    tls = None if implicit else "opportunistic"
    error = failing(mailwire.CertificateError, message, sink.url, ca=ca_file, tls=tls)
    assert error.phase == "tls" and not error.temporary
    assert error.status == {"expired": 203, "not yet valid": 204, "untrusted": 205, "other name": 206}[kind]
    assert sink.inbox.envelopes == []
    mailwire.send(message, sink.url, verify=False, tls=tls)


def test_required_tls_that_is_not_offered(sink, message):
    error = failing(smtplib.SMTPNotSupportedError, message, sink.url, tls="required")
    assert isinstance(error, mailwire.TLSNotOffered) and sink.inbox.envelopes == []


def test_a_refused_sender(sink, message):
    error = failing(smtplib.SMTPSenderRefused, message, sink.url, sender="refused@example.org")
    assert (error.smtp_code, error.sender, error.reply.enhanced) == (553, "refused@example.org", "5.1.8")
    assert error.result.not_tried == () and list(error.result.refused) == ["charles@example.net"]


def test_refused_recipients(sink, message):
    recipients = ["refused@example.org", "refused2@example.org"]
    error = failing(smtplib.SMTPRecipientsRefused, message, sink.url, recipients=recipients)
    assert error.recipients == dict.fromkeys(recipients, (550, b"no such mailbox"))
    assert (error.temporary, error.phase) == (False, "rcpt")
    error = failing(mailwire.RecipientsRefused, message, sink.url, recipients=["deferred@example.org"])
    assert error.temporary


def test_a_refused_message(sink, message):
    error = failing(smtplib.SMTPDataError, message + b"refuse this\r\n", sink.url)
    assert (error.smtp_code, error.phase) == (554, "end_of_data")


def test_a_message_that_is_too_large(listener, message):
    sink = listener(data_size_limit=100)
    assert failing(mailwire.TooLarge, message + b"x" * 200, sink.url).status == 501


def test_a_lost_reply_leaves_the_result_unknown(script, message):
    url = script("220 hi", "250 hi", "250 ok", "250 ok", "354 go", None)
    error = failing(mailwire.DeliveryUnknown, message, url)
    assert isinstance(error, smtplib.SMTPServerDisconnected)
    assert error.result.unknown == ("charles@example.net",)
    assert (error.phase, error.temporary) == ("end_of_data", False)


def test_a_connection_lost_earlier_is_not_unknown(script, message):
    error = failing(mailwire.Disconnected, message, script("220 hi", "250 hi", "250 ok", None))
    assert error.result.not_tried == ("charles@example.net",)


def test_a_server_that_turns_us_away(script, message):
    error = failing(smtplib.SMTPConnectError, message, script("554 not you", None))
    assert (error.smtp_code, error.phase) == (554, "greeting")
    failing(smtplib.SMTPHeloError, message, script("220 hi", "550 no", "550 no", None))


def test_nonsense_is_a_protocol_error(script, message):
    failing(mailwire.ProtocolError, message, script("HTTP/1.1 400 Bad Request"))


def test_a_silent_server_runs_into_the_timeout(message):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        error = failing(TimeoutError, message, url, timeout=0.2)
        assert isinstance(error, mailwire.Timeout) and error.phase == "greeting"
        assert failing(mailwire.Timeout, message, url, deadline=0.2).temporary


def test_every_exception_is_the_smtplib_class_of_its_meaning():
    classes = [getattr(mailwire, name) for name in mailwire.__all__]
    errors = [one for one in classes if isinstance(one, type) and issubclass(one, mailwire.Error)]
    assert len(errors) == 22
    for one in errors:
        error = one("text")
        assert isinstance(error, smtplib.SMTPException) and str(error) == "text"
        again = pickle.loads(pickle.dumps(error))
        assert again.__dict__ == error.__dict__


def test_results_pickle(sink, message):
    recipients = ["good@example.org", "refused@example.org"]
    result = mailwire.send(message, sink.url, recipients=recipients)
    again = pickle.loads(pickle.dumps(result))
    assert again.accepted == result.accepted and list(again.refused) == ["refused@example.org"]
    assert (again.reply, again.queue_id, again.tls) == (result.reply, "ABC123", None)
    assert pickle.loads(pickle.dumps(result.refused["refused@example.org"])).recipient == "refused@example.org"
    with mailwire.Client(sink.url) as client, pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(client)

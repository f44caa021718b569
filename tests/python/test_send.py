"""`send` and `send_mail`: what they take, what leaves, and what they give back."""

import io
import os
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import default

import mailwire
import pytest


def arrived(sink):
    """The one message that arrived."""
    (envelope,) = sink.inbox.envelopes
    return envelope


def test_bytes_are_sent_as_they_are(sink, message):
    result = mailwire.send(message, sink.url)
    envelope = arrived(sink)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ada@example.org", ["charles@example.net"])
    assert envelope.content == message
    assert list(result.accepted) == ["charles@example.net"]
    assert (result.accepted["charles@example.net"].code, result.reply.code, result.queue_id) == (250, 250, "ABC123")
    assert (result.refused, result.deferred, result.unknown, result.not_tried) == ({}, {}, (), ())


@pytest.mark.parametrize(
    "make",
    [
        lambda data, folder: data.decode(),
        lambda data, folder: bytearray(data),
        lambda data, folder: memoryview(data),
        lambda data, folder: io.BytesIO(data),
        lambda data, folder: [data[:10], b"", data[10:]],
        lambda data, folder: (data[at : at + 1] for at in range(len(data))),
        lambda data, folder: write(folder, data),
        lambda data, folder: open(write(folder, data), "rb"),  # noqa: SIM115
    ],
    ids=["str", "bytearray", "memoryview", "BytesIO", "list", "generator", "path", "file"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_kind_of_message(sink, message, tmp_path, make):
    mailwire.send(make(message, tmp_path), sink.url)
    assert arrived(sink).content == message


def write(folder, data):
    """A file with it."""
    path = folder / "message.eml"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", [EmailMessage, Message])
def test_message_objects(sink, kind):
    message = kind()
    message["From"], message["To"], message["Bcc"] = (
        "Ada <ada@example.org>",
        "charles@example.net",
        "hidden@example.org",
    )
    message["Subject"], message["Message-ID"] = "test", "<1@example.org>"
    message.set_payload("Hello.\n")
    result = mailwire.send(message, sink.url)
    envelope = arrived(sink)
    assert envelope.rcpt_tos == ["charles@example.net", "hidden@example.org"]
    assert b"hidden" not in envelope.content and envelope.content.endswith(b"\r\n\r\nHello.\r\n")
    assert message["Bcc"] == "hidden@example.org"
    assert result.message_id == "<1@example.org>"


@pytest.mark.parametrize("stream", [False, True])
def test_bcc_never_leaves_and_a_stream_is_no_exception(sink, stream):
    message = b"From: a@example.org\nBcc: b@example.org,\n c@example.org\nTo: d@example.org\n\nBcc: body\n"
    mailwire.send(io.BytesIO(message) if stream else message, sink.url)
    envelope = arrived(sink)
    assert sorted(envelope.rcpt_tos) == ["b@example.org", "c@example.org", "d@example.org"]
    assert envelope.content == b"From: a@example.org\r\nTo: d@example.org\r\n\r\nBcc: body\r\n"


def test_a_given_envelope_goes_before_the_header(sink, message):
    mailwire.send(message, sink.url, sender="", recipients=["x@example.org", "y@example.org"])
    envelope = arrived(sink)
    assert (envelope.mail_from, envelope.rcpt_tos) == ("<>", ["x@example.org", "y@example.org"])


def test_the_server_may_come_from_the_environment(sink, message, monkeypatch):
    monkeypatch.setenv("SMTP_URL", sink.url)
    mailwire.send(message)
    assert arrived(sink).content == message
    monkeypatch.delenv("SMTP_URL")
    with pytest.raises(mailwire.InvalidArgument, match="SMTP_URL"):
        mailwire.send(message)


def test_refused_recipients_do_not_sink_the_good_ones(sink, message):
    recipients = ["good@example.org", "refused@example.org", "deferred@example.org", "also@example.org"]
    result = mailwire.send(message, sink.url, recipients=recipients)
    assert arrived(sink).rcpt_tos == ["good@example.org", "also@example.org"]
    assert list(result.accepted) == ["good@example.org", "also@example.org"]
    refused, deferred = result.refused["refused@example.org"], result.deferred["deferred@example.org"]
    assert (refused.reply.code, refused.reply.enhanced, refused.temporary, refused.phase) == (
        550,
        "5.1.1",
        False,
        "rcpt",
    )
    assert (deferred.smtp_code, deferred.temporary) == (450, True)
    with pytest.raises(mailwire.PartialDelivery) as caught:
        mailwire.send(message, sink.url, recipients=recipients, on_refused="raise_if_any")
    assert list(caught.value.result.accepted) == ["good@example.org", "also@example.org"]


def test_options_of_mail_are_sent(sink, message):
    mailwire.send(message, sink.url, mail_options=["BODY=8BITMIME"])
    assert "BODY=8BITMIME" in arrived(sink).mail_options


def test_line_ends_become_crlf_or_are_refused(sink):
    text = b"From: a@example.org\nTo: b@example.org\n\none\rtwo\n"
    mailwire.send(text, sink.url)
    assert arrived(sink).content.endswith(b"\r\n\r\none\r\ntwo\r\n")
    with pytest.raises(mailwire.InvalidArgument, match="line_ends"):
        mailwire.send(text, sink.url, line_ends="refuse")
    assert len(sink.inbox.envelopes) == 1


def test_lines_that_begin_with_dots(sink, message):
    body = b"".join(b"." * count + b"x" * (count % 3) + b"\r\n" for count in range(12))
    mailwire.send(message + body, sink.url)
    assert arrived(sink).content == message + body


def test_thirty_mebibytes_from_memory_and_from_a_file(listener, message, tmp_path):
    sink = listener(data_size_limit=64 << 20)
    lines = os.urandom(38 * 1024).hex().encode()
    block = b"".join(lines[at : at + 76] + b"\r\n" for at in range(0, len(lines), 76))
    large = message + block * (30 * (1 << 20) // len(block) + 1)
    assert len(large) > 30 << 20
    path = tmp_path / "large.eml"
    path.write_bytes(large)
    mailwire.send(path, sink.url)
    mailwire.send(large, sink.url)
    assert [envelope.content == large for envelope in sink.inbox.envelopes] == [True, True]


def test_a_broken_stream_raises_what_it_raised_and_sends_nothing(sink, message):
    def broken():
        yield message
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        mailwire.send(broken(), sink.url)
    with pytest.raises(TypeError, match="binary mode"):
        mailwire.send(io.StringIO(message.decode()), sink.url)
    with pytest.raises(TypeError, match="message: "):
        mailwire.send(42, sink.url)
    with pytest.raises(FileNotFoundError):
        mailwire.send(type("P", (), {"__fspath__": lambda self: "/no/such/file"})(), sink.url)
    assert sink.inbox.envelopes == []


def test_send_mail_builds_what_its_arguments_say(sink, tmp_path):
    (tmp_path / "engine.pdf").write_bytes(b"%PDF-1.7\x00\xff")
    mailwire.send_mail(
        "Grüße",
        "Text.\n.\n",
        html='<img src="cid:logo">',
        sender="Ada Lovelace <ada@example.org>",
        to=["Charles <charles@example.net>", "x@example.org"],
        cc="y@example.org",
        bcc="hidden@example.org",
        reply_to="answers@example.org",
        attachments=[tmp_path / "engine.pdf", ("a.bin", bytes(range(256))), ("b.csv", b"1,2\n", "text/csv")],
        inline={"logo": (b"\x89PNG", "image/png")},
        headers={"X-Kind": "test"},
        server=sink.url,
    )
    envelope = arrived(sink)
    assert envelope.mail_from == "ada@example.org"
    assert set(envelope.rcpt_tos) == {"charles@example.net", "x@example.org", "y@example.org", "hidden@example.org"}
    assert b"hidden" not in envelope.content
    parsed = BytesParser(policy=default).parsebytes(envelope.content)
    assert (parsed["Subject"], parsed["Reply-To"], parsed["X-Kind"]) == ("Grüße", "answers@example.org", "test")
    assert parsed["Date"] and parsed["Message-ID"]
    assert parsed.get_body(("plain",)).get_content().splitlines() == ["Text.", "."]
    files = {part.get_filename(): part.get_payload(decode=True) for part in parsed.iter_attachments()}
    assert files == {"engine.pdf": b"%PDF-1.7\x00\xff", "a.bin": bytes(range(256)), "b.csv": b"1,2\n"}


def test_letters_outside_ascii_before_the_at_need_smtputf8(listener):
    # An answer's address is in no envelope, so only the mail itself can say what it needs.
    mail = {"subject": "s", "text": "t", "sender": "a@example.org", "to": "b@example.org"}
    able, unable = listener(), listener(enable_SMTPUTF8=False)
    for more in {}, {"mail_options": ["SMTPUTF8", "body=8bitmime"]}:
        mailwire.send_mail(**mail, reply_to="zoë@example.org", server=able.url, **more)
    for envelope in able.inbox.envelopes:
        assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(envelope.mail_options)
        assert "Reply-To: <zoë@example.org>\r\n".encode() in envelope.content
    assert len(able.inbox.envelopes) == 2

    for shown in {"reply_to": "zoë@example.org"}, {"cc": "zoë@example.org"}, {"sender": "zoë@example.org"}:
        with pytest.raises(mailwire.NotSupported, match="does not offer SMTPUTF8"):
            mailwire.send_mail(**{**mail, **shown}, server=unable.url)
    assert unable.inbox.envelopes == []
    result = mailwire.send_mail(**mail, bcc="zoë@example.org", server=unable.url)
    assert (list(result.accepted), list(result.refused)) == (["b@example.org"], ["zoë@example.org"])
    assert arrived(unable).rcpt_tos == ["b@example.org"]


def test_an_unknown_option_is_an_error(sink, message):
    with pytest.raises(TypeError, match="no option 'time_out'"):
        mailwire.send(message, sink.url, time_out=3)
    with mailwire.Client(sink.url) as client, pytest.raises(TypeError, match="timeout"):
        mailwire.send(message, client, timeout=3)


@pytest.mark.parametrize(
    ("message", "recipients", "words"),
    [
        (b"To: a@example.org\n\n", None, "From"),
        (b"From: a@example.org\n\n", None, "recipients"),
        (b"From: a@example.org\n\n", [], "recipients"),
        (b"From: a@example.org\n\n", ["nobody"], "nobody"),
        (b"From: a@example.org\nTo: Smith, J <j@example.org>\n\n", None, "To"),
    ],
)
def test_what_is_missing_is_named(sink, message, recipients, words):
    with pytest.raises(ValueError, match=words):
        mailwire.send(message, sink.url, recipients=recipients)

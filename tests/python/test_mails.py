"""Whatever a mail is built of, what arrives parses back equal with Python's own email package."""

import re
from datetime import datetime, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from email.utils import getaddresses

import mailwire
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# No control characters, which are refused, nor lone surrogates, which are no text.
LETTERS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"
# Header text arrives without white space at its ends, as it always did in mail (RFC 5322 section 3.2.2).
WORDS = st.text(LETTERS, min_size=1, max_size=120).map(str.strip).filter(bool)
SUBJECTS = st.one_of(st.text(PLAIN + ' .,;:@<>"()=?_-', min_size=1, max_size=300).map(str.strip).filter(bool), WORDS)
ASCII_LOCAL_PARTS = st.text(PLAIN + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
# About one in six, so that a mail often has none and sometimes several. Of what is not ASCII only letters and digits.
FOREIGN = st.text(
    st.one_of(st.sampled_from(PLAIN), st.characters(min_codepoint=0x80, categories=["L", "N"])), min_size=1, max_size=20
)
LOCAL_PARTS = st.one_of(*[ASCII_LOCAL_PARTS] * 5, FOREIGN)
MAILBOXES = st.builds("{}@{}.example".format, LOCAL_PARTS, st.text(PLAIN, min_size=1, max_size=20))
ADDRESSES = st.tuples(st.one_of(st.just(""), WORDS), MAILBOXES)
TEXTS = st.text(st.one_of(st.sampled_from("\n\n\r\t .-=:"), st.characters(exclude_categories=["Cs"])), max_size=2000)
OCTETS = st.one_of(
    st.binary(max_size=3000), st.lists(st.sampled_from([b"\r\n", b".", b"\n", b"x", b"\r\n.\r\n"])).map(b"".join)
)
FILE_NAMES = st.text(LETTERS, min_size=1, max_size=60).map(str.strip).filter(bool)
TYPES = st.sampled_from(["application/pdf", "image/png", "application/octet-stream", "text/csv"])
NAMES = st.sampled_from(["X-Tag", "Comments", "Keywords", "X-Long-Name-Of-A-Field"])

MAILS = st.fixed_dictionaries(
    {
        "subject": SUBJECTS,
        "text": TEXTS,
        "sender": ADDRESSES,
        "to": st.lists(ADDRESSES, min_size=1, max_size=4),
        "cc": st.lists(ADDRESSES, max_size=3),
        "bcc": st.lists(MAILBOXES, max_size=2),
        "reply_to": st.lists(ADDRESSES, max_size=1),
        "html": st.one_of(st.none(), TEXTS),
        "attachments": st.lists(st.tuples(FILE_NAMES, OCTETS, TYPES), max_size=3),
        "headers": st.dictionaries(NAMES, WORDS, max_size=3),
        "inline": st.dictionaries(st.text(PLAIN, min_size=1, max_size=12), OCTETS, max_size=2),
    }
)


@pytest.fixture(scope="module")
def link():
    """A listener of ours, and a client that is connected to it."""
    arrived = []

    class Inbox:
        def data(self, session, envelope):
            arrived.append(envelope)

    with (
        mailwire.Server(Inbox()) as server,
        mailwire.Client(f"smtp://127.0.0.1:{server.port}?tls=none", max_messages=1_000_000) as client,
    ):
        yield arrived, client


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(mail=MAILS)
def test_what_is_sent_parses_back_equal(link, mail):
    arrived, client = link
    inline = mail["inline"] if mail["html"] is not None else {}
    mailwire.send_mail(
        mail["subject"],
        mail["text"],
        html=mail["html"],
        sender=written(mail["sender"]),
        to=[written(address) for address in mail["to"]],
        cc=[written(address) for address in mail["cc"]],
        bcc=mail["bcc"],
        reply_to=[written(address) for address in mail["reply_to"]],
        attachments=mail["attachments"],
        headers=mail["headers"],
        inline={name: (octets, "image/png") for name, octets in inline.items()},
        server=client,
    )
    envelope = arrived.pop()
    message = BytesParser(policy=default).parsebytes(envelope.body)

    assert not [part.defects for part in message.walk() if part.defects]
    assert addresses(message, "From") == [mail["sender"]]
    assert addresses(message, "To") == mail["to"]
    assert addresses(message, "Cc") == mail["cc"]
    assert addresses(message, "Reply-To") == mail["reply_to"]
    assert message["Bcc"] is None
    everyone = [mailbox for _, mailbox in mail["to"] + mail["cc"]] + mail["bcc"]
    assert sorted(envelope.recipients) == sorted(set(everyone))
    assert message["Subject"] == mail["subject"]
    for name, value in mail["headers"].items():
        assert message[name] == value
    assert abs((message["Date"].datetime - datetime.now(timezone.utc)).total_seconds()) < 60
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", message["Message-ID"])

    assert text_of(message, "plain") == canonical(mail["text"])
    if mail["html"] is not None:
        assert text_of(message, "html") == canonical(mail["html"])
    images = {
        part["Content-ID"]: part.get_payload(decode=True) for part in message.walk() if part["Content-ID"] is not None
    }
    assert images == {f"<{name}>": octets for name, octets in inline.items()}
    attached = [
        (part.get_filename(), part.get_payload(decode=True), part.get_content_type())
        for part in message.walk()
        if part.get_content_disposition() == "attachment"
    ]
    assert attached == mail["attachments"]

    # Only mailboxes that stand in the header make it UTF-8, and these alone.
    shown = [mailbox for _, mailbox in [mail["sender"], *mail["to"], *mail["cc"], *mail["reply_to"]]]
    foreign = {mailbox for mailbox in shown if not mailbox.isascii()}
    head = envelope.body.partition(b"\r\n\r\n")[0].decode()
    assert head.isascii() == (not foreign)
    for mailbox in foreign:
        assert f"<{mailbox}>" in head
        head = head.replace(f"<{mailbox}>", "")
    assert head.isascii()
    assert ("SMTPUTF8" in envelope.options) == bool(foreign or not "".join(mail["bcc"]).isascii())
    assert (envelope.options.get("BODY") == "8BITMIME") == bool(foreign)
    assert max(map(len, envelope.body.split(b"\r\n"))) <= 998
    rest = envelope.body.replace(b"\r\n", b"")
    assert b"\r" not in rest and b"\n" not in rest


def written(address):
    """The address as it is typed: its name in quotes."""
    name, mailbox = address
    if not name:
        return mailbox
    escaped = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{escaped}" <{mailbox}>'


def addresses(message, name):
    """The addresses of a field, with their names.

    Read by the older of the package's two readers: the newer one, up to Python 3.13, leaves the blank between two encoded
    words of a name, which RFC 2047 section 6.2 tells to ignore. What is not ASCII is in the raw fields as surrogates.
    """
    raw = [value.encode(errors="surrogateescape").decode() for key, value in message.raw_items() if key == name]
    fields = [value.replace("\r\n", "") for value in raw]
    return [(str(make_header(decode_header(name))), mailbox) for name, mailbox in getaddresses(fields)]


def canonical(text):
    """The text with each of its line ends a line feed, and one at its end if there is anything."""
    text = re.sub("\r\n|\r", "\n", text)
    return text if text.endswith("\n") or not text else text + "\n"


def text_of(message, subtype):
    """The text that is not an attachment, with its line ends as line feeds, and one at its end."""
    parts = [
        part
        for part in message.walk()
        if part.get_content_type() == f"text/{subtype}" and part.get_content_disposition() != "attachment"
    ]
    assert len(parts) == 1 and isinstance(parts[0], EmailMessage)
    return canonical(parts[0].get_payload(decode=True).decode(parts[0].get_content_charset()))

"""mailwire's client with Dovecot: LMTP through TCP and through a Unix socket, and submission, which passes on what it takes."""

import pytest

from . import corpus, mailwire_driver
from .mailwire_driver import Login
from .peers.base import DOMAIN
from .peers.dovecot import FULL, SHARED_TRACE
from .process import HOST

WAYS = {"tcp": "LMTP", "starttls": "LMTPS", "implicit": "LMTPS", "unix": "LMTP"}
"""How Dovecot must say that the mail came (RFC 3848), by the way to its LMTP server."""

UNKNOWN = f"nobody@{DOMAIN}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", corpus.NAMES)
def test_each_message_is_delivered_as_it_was_sent(peers, way, name):
    dovecot = peers.dovecot
    address, message = dovecot.new_mailbox(), corpus.message(name)
    assert send(peers, way, message, [address])[address].delivery == "accepted"
    assert dovecot.assert_delivered(address, message) == WAYS[way]


@pytest.mark.parametrize("transfer", ["data", "bdat"])
@pytest.mark.parametrize("way", WAYS)
def test_each_recipient_has_a_reply_of_its_own(peers, way, transfer):
    dovecot, message = peers.dovecot, corpus.message("dots")
    first, second = dovecot.new_mailbox(), dovecot.new_mailbox()
    fates = send(peers, way, message, [first, UNKNOWN, FULL, second], transfer=transfer)
    # Each reply names its recipient, so that one that is told to another shows.
    assert all(f"<{recipient}>" in fate.text for recipient, fate in fates.items())
    assert [fate[:2] for fate in fates.values()] == [
        ("accepted", 250),
        ("refused", 550),
        ("refused", 552),
        ("accepted", 250),
    ]
    assert (fates[UNKNOWN].enhanced, fates[FULL].enhanced) == ("5.1.1", "5.2.2")
    for recipient in (first, second):
        dovecot.assert_delivered(recipient, message, SHARED_TRACE)


@pytest.mark.parametrize("way", WAYS)
def test_when_nobody_gets_it_each_is_told_why(peers, way):
    fates = send(peers, way, corpus.message("plain"), [FULL, UNKNOWN])
    assert [fate[:2] for fate in fates.values()] == [("refused", 552), ("refused", 550)]


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("name", corpus.NAMES)
def test_submission_passes_on_what_was_sent(peers, name, implicit):
    dovecot, message = peers.dovecot, corpus.message(name)
    address = dovecot.new_address()
    mailwire_driver.log_in_and_send(
        message,
        dovecot.implicit_port if implicit else dovecot.mechanisms_port,
        address,
        Login(),
        authority=peers.certificates.authority,
        implicit=implicit,
    )
    assert dovecot.assert_arrived(address, message) == "ESMTP"


def send(peers, way: str, message: bytes, recipients: list[str], **options):
    """Sends to its LMTP server that way, and gives the fate of each recipient."""
    dovecot = peers.dovecot
    if way == "unix":
        url = f"lmtp+unix://{dovecot.lmtp_socket}"
    else:
        port = dovecot.lmtp_implicit_port if way == "implicit" else dovecot.lmtp_port
        tls = {"tcp": "none", "starttls": "required", "implicit": "implicit"}[way]
        url = f"lmtp://{HOST}:{port}?tls={tls}"
    return mailwire_driver.send_by_lmtp(message, url, recipients, authority=peers.certificates.authority, **options)

"""Foreign clients, and foreign servers that pass mail on, log in to mailwire's listeners by each mechanism that they have."""

import pytest

from . import corpus, senders
from .compare import assert_same
from .conftest import skip_if
from .peers import relays as relaying
from .peers.base import DELIVERY_SECONDS, USER
from .process import wait_for
from .senders.target import Target

SENDERS = {
    "smtplib": "CRAM-MD5 LOGIN PLAIN",
    "aiosmtplib": "CRAM-MD5 LOGIN PLAIN XOAUTH2",
    "nodemailer": "CRAM-MD5 LOGIN PLAIN XOAUTH2",
    "curl": "CRAM-MD5 EXTERNAL LOGIN OAUTHBEARER PLAIN XOAUTH2",
    "swaks": "CRAM-MD5 LOGIN PLAIN",
    "msmtp": "CRAM-MD5 EXTERNAL LOGIN OAUTHBEARER PLAIN SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2",
    "s-nail": "CRAM-MD5 EXTERNAL LOGIN PLAIN XOAUTH2",
    "go": "CRAM-MD5 PLAIN",
    "perl": "ANONYMOUS CRAM-MD5 EXTERNAL LOGIN PLAIN",
    "lettre": "LOGIN PLAIN XOAUTH2",
    "mail-send": "CRAM-MD5 LOGIN OAUTHBEARER PLAIN XOAUTH2",
}
"""What each client can log in by, of what mailwire has."""

RELAYS = {
    "Postfix": "ANONYMOUS CRAM-MD5 LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256",
    "Exim": "CRAM-MD5 EXTERNAL LOGIN PLAIN",
    "OpenSMTPD": "LOGIN PLAIN",
    "Dovecot": "PLAIN",
}
"""The same for the servers. Exim has SCRAM on the receiving side alone, and Dovecot uses nothing but PLAIN."""

NOT_IN_CLEAR = {("OpenSMTPD", "LOGIN"), ("OpenSMTPD", "PLAIN"), ("s-nail", "XOAUTH2")}
"""What is theirs behind TLS alone: OpenSMTPD takes no label of a user with `smtp://` in front, and s-nail shows a token to nobody in
clear. By EXTERNAL nobody logs in in clear, for there is no certificate."""


def each(table: dict[str, str]) -> list[tuple[str, str, str]]:
    """Each by name, with a mechanism, and the way to TLS: `plain` is in clear, which the listener has to be told to allow."""
    return [
        (name, mechanism, tls)
        for name, mechanisms in table.items()
        for mechanism in mechanisms.split()
        for tls in ("plain", "starttls", "implicit")
        if tls != "plain" or not ((name, mechanism) in NOT_IN_CLEAR or mechanism == "EXTERNAL")
    ]


@pytest.mark.parametrize(("sender", "mechanism", "tls"), each(SENDERS))
def test_a_client_logs_in(mechanism_listeners, loopback_certificates, tmp_path, sender, mechanism, tls):
    skip_if(senders.missing(sender))
    message, recipient = corpus.message("dots"), f"{sender}@inbox.test"
    target = Target(
        mechanism_listeners.ports[mechanism, tls],
        recipient,
        authority=loopback_certificates.authority if tls != "plain" else None,
        auth=True,
        implicit=tls == "implicit",
        mechanism=mechanism,
        certificate=loopback_certificates.user if mechanism == "EXTERNAL" else None,
    )
    senders.send(sender, message, target, tmp_path)
    user, received = mechanism_listeners.message(mechanism, tls, recipient)
    assert is_the_user(mechanism, user)
    assert_same(message, received)


@pytest.mark.parametrize(("relay", "mechanism", "tls"), each(RELAYS))
def test_a_server_logs_in(mechanism_listeners, relays, relay, mechanism, tls):
    target = f"{mechanism}.{tls}".lower()
    message, recipient = corpus.message("dots"), relays.recipient(relay.lower(), target)
    relays.hand_over(relay, target, recipient, message)
    try:
        user, received = wait_for(
            lambda: mechanism_listeners.message(mechanism, tls, recipient), DELIVERY_SECONDS, f"a mail for {recipient}"
        )
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{relays.logged(relay)}") from None
    assert is_the_user(mechanism, user)
    assert_same(message, received, trace=relaying.TRACE)


def is_the_user(mechanism: str, user: str) -> bool:
    """Whether that may be told of who has logged in: with ANONYMOUS it is any word."""
    return mechanism == "ANONYMOUS" or user == USER

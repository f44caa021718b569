"""mailwire's client logs in to each peer by every mechanism that the peer offers, under STARTTLS and with TLS from the start."""

import smtplib
import ssl

import pytest

from . import corpus, mailwire_driver
from .mailwire_driver import Login
from .peers.base import TOKEN
from .process import HOST

UNDERSTOOD = {
    "Postfix": "ANONYMOUS CRAM-MD5 LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256",
    "Postfix with Dovecot": "CRAM-MD5 LOGIN OAUTHBEARER PLAIN SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2",
    "Exim": "CRAM-MD5 EXTERNAL LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256",
    "Exim with Dovecot": "CRAM-MD5 EXTERNAL LOGIN OAUTHBEARER PLAIN SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2",
    "OpenSMTPD": "LOGIN PLAIN",
    "Dovecot": "CRAM-MD5 EXTERNAL LOGIN OAUTHBEARER PLAIN SCRAM-SHA-1 SCRAM-SHA-256 XOAUTH2",
    "aiosmtpd": "LOGIN PLAIN",
    "smtp-server": "CRAM-MD5 LOGIN PLAIN XOAUTH2",
}
"""What each peer offers of what mailwire has: all of it is tried."""

UNTRIED = {
    "DIGEST-MD5": "historic (RFC 6331)",
    "NTLM": "no SASL mechanism of an RFC",
    "SCRAM-SHA-224": "in no registry",
    "SCRAM-SHA-384": "in no registry",
    "SCRAM-SHA-512": "of a draft alone",
}
"""What peers offer and mailwire does not have, and why."""

EACH = [(name, mechanism) for name, mechanisms in UNDERSTOOD.items() for mechanism in mechanisms.split()]


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("name", UNDERSTOOD)
def test_each_mechanism_that_a_peer_offers_is_tried_here_or_named(peers, loopback_certificates, name, implicit):
    offered = set(_offered(peers.get(name), loopback_certificates, implicit=implicit))
    assert offered - set(UNTRIED) == set(UNDERSTOOD[name].split())


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize(("name", "mechanism"), EACH)
def test_the_right_login_is_accepted(peers, loopback_certificates, name, mechanism, implicit):
    peer, message = peers.get(name), corpus.message("plain")
    address = peer.new_address()
    mailwire_driver.log_in_and_send(
        message,
        peer.implicit_port if implicit else peer.mechanisms_port,
        address,
        _right(peers, name, mechanism),
        authority=loopback_certificates.authority,
        implicit=implicit,
    )
    assert peer.assert_arrived(address, message) == _PROTOCOL.get(name, "ESMTPSA")


@pytest.mark.parametrize(("name", "mechanism"), [(n, m) for n, m in EACH if m != "ANONYMOUS"])
def test_a_wrong_login_is_an_error_that_says_what_to_do(peers, loopback_certificates, name, mechanism):
    peer = peers.get(name)
    login = _wrong(peers, name, mechanism)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
        mailwire_driver.log_in_and_send(
            corpus.message("plain"),
            peer.mechanisms_port,
            peer.new_address(),
            login,
            authority=loopback_certificates.authority,
        )
    told = str(refusal.value)
    assert refusal.value.smtp_code == 535
    what = {"OAUTHBEARER": "token", "XOAUTH2": "token", "EXTERNAL": "certificate"}.get(
        mechanism, "user name or password"
    )
    assert f"the server did not accept the {what}" in told.replace("client's ", "")
    assert login.secret not in told


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_the_strongest_that_a_password_allows_is_chosen(peers, loopback_certificates, name):
    peer, message = peers.get(name), corpus.message("plain")
    address = peer.new_address()
    mailwire_driver.log_in_and_send(
        message, peer.mechanisms_port, address, Login(), authority=loopback_certificates.authority
    )
    assert peer.assert_arrived(address, message) == _PROTOCOL.get(name, "ESMTPSA")


_PROTOCOL = {"Dovecot": "ESMTP"}
"""How the mail comes, where it is not what our login was: what Dovecot passes on is in clear."""


def _right(peers, name: str, mechanism: str) -> Login:
    if mechanism in ("OAUTHBEARER", "XOAUTH2"):
        return Login(mechanism, secret=TOKEN if name == "smtp-server" else peers.dovecot.token())
    return Login(mechanism, certificate=peers.certificates.user if mechanism == "EXTERNAL" else None)


def _wrong(peers, name: str, mechanism: str) -> Login:
    if mechanism in ("OAUTHBEARER", "XOAUTH2"):
        return Login(mechanism, secret="not-it" if name == "smtp-server" else peers.dovecot.token(lasts=-5))
    if mechanism == "EXTERNAL":
        return Login(mechanism, certificate=peers.certificates.stranger)
    return Login(mechanism, secret="not it")


def _offered(peer, certificates, *, implicit: bool) -> list[str]:
    """The mechanisms of the reply to EHLO, to a client that shows a certificate."""
    context = ssl.create_default_context(cafile=certificates.authority)
    context.load_cert_chain(certificates.user)
    if implicit:
        client = smtplib.SMTP_SSL(HOST, peer.implicit_port, timeout=10, context=context)
    else:
        client = smtplib.SMTP(HOST, peer.mechanisms_port, timeout=10)
    with client:
        client.ehlo()
        if not implicit:
            client.starttls(context=context)
            client.ehlo()
        return client.esmtp_features["auth"].split()

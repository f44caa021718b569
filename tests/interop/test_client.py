"""mailwire's client sends to Postfix, Exim, OpenSMTPD, aiosmtpd and node's smtp-server, and each keeps exactly what was sent."""

import re
import smtplib

import pytest

from . import certificates, corpus, mailwire_driver
from .peers.base import USER

PROTOCOLS = {"plain": "ESMTP", "starttls": "ESMTPS", "auth": "ESMTPSA"}
"""How the peer must say that the mail came (RFC 3848), by the mode of sending."""


@pytest.mark.parametrize("mode", PROTOCOLS)
@pytest.mark.parametrize("name", corpus.NAMES)
def test_each_message_arrives_as_it_was_sent(peer, loopback_certificates, name, mode):
    address = peer.new_address()
    mailwire_driver.send(
        corpus.message(name),
        peer.port,
        address,
        authority=None if mode == "plain" else loopback_certificates.authority,
        user=USER if mode == "auth" else None,
    )
    assert peer.assert_arrived(address, corpus.message(name)) == PROTOCOLS[mode]


def test_the_queue_id_is_found(peer):
    """In the form of each peer that tells one; aiosmtpd and smtp-server have no queue."""
    forms = {"Postfix": r"[0-9A-F]{8,}", "Exim": r"\w{6}-\w{6,11}-\w{2,4}", "Opensmtpd": r"[0-9a-f]{8,}"}
    address = peer.new_address()
    queue_id = mailwire_driver.send(corpus.message("plain"), peer.port, address, authority=None)
    peer.assert_arrived(address, corpus.message("plain"))
    form = forms.get(type(peer).__name__)
    assert (queue_id is None) == (form is None), queue_id
    assert form is None or re.fullmatch(form, queue_id), queue_id


@pytest.mark.parametrize("name", [name for name in corpus.NAMES if name != "large"])
def test_it_does_so_with_tls_from_the_start(peer, loopback_certificates, name):
    address, message = peer.new_address(), corpus.message(name)
    authority = loopback_certificates.authority
    mailwire_driver.send(message, peer.implicit_port, address, authority=authority, implicit=True)
    assert peer.assert_arrived(address, message) == "ESMTPS"


def test_a_server_that_offers_login_alone_is_logged_in_to(peer, loopback_certificates):
    address = peer.new_address()
    mailwire_driver.send(
        corpus.message("plain"),
        peer.login_port,
        address,
        authority=loopback_certificates.authority,
        user=USER,
    )
    assert peer.assert_arrived(address, corpus.message("plain")) == "ESMTPSA"


def test_a_wrong_password_is_told_as_such(peer, loopback_certificates):
    with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
        mailwire_driver.send(
            corpus.message("plain"),
            peer.port,
            peer.new_address(),
            authority=loopback_certificates.authority,
            user=USER,
            password="not it",
        )
    assert refusal.value.smtp_code == 535


def test_a_certificate_of_another_authority_is_refused(peer, tmp_path):
    other = certificates.make(tmp_path)
    with pytest.raises(OSError, match=r"(?i)certificate"):
        mailwire_driver.send(corpus.message("plain"), peer.port, peer.new_address(), authority=other.authority)


@pytest.mark.parametrize("name", corpus.NAMES)
def test_the_rust_example_sends_the_same(peer, loopback_certificates, name):
    address = peer.new_address()
    mailwire_driver.send_with_rust_example(
        corpus.message(name), peer.port, address, authority=loopback_certificates.authority
    )
    assert peer.assert_arrived(address, corpus.message(name)) == "ESMTPSA"

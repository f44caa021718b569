"""Arguments of a server in their several forms, and what of it lasts from one start to the next."""

import ipaddress
import os
import smtplib
import socket
import ssl
from pathlib import Path

import mailwire
import pytest


def test_one_network_or_domain_stands_for_itself(message):
    network = ipaddress.ip_network("127.0.0.0/8")
    for networks in (network, [network], "127.0.0.1", ipaddress.ip_address("127.0.0.1")):
        with mailwire.Server(print, domains="example.net", trusted_networks=networks) as server:
            result = mailwire.send(message, f"smtp://127.0.0.1:{server.port}", recipients=["b@example.com"])
            assert list(result.accepted) == ["b@example.com"]


def test_the_counters_stay_when_it_is_stopped(message):
    server = mailwire.Server(print)
    with server:
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}")
    assert server.stats["messages"] == 1 and "messages" in server.metrics()
    with server:
        assert server.stats["messages"] == 0


def test_other_certificates_stay_when_it_is_started_again(localhost, certificate):
    def shown(server):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.starttls(context=context)
            return client.sock.getpeercert(True)

    server = mailwire.Server(print, tls=mailwire.TLS.from_files(*localhost))
    with server:
        first = shown(server)
        server.reload_tls(mailwire.TLS.from_files(*certificate("other.example")))
        second = shown(server)
    with server:
        assert shown(server) == second != first


def test_one_file_may_hold_certificate_and_key(localhost, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(one).read_text() for one in localhost))
    assert mailwire.TLS.from_files(both)


def test_a_user_has_keys_of_several_hashes():
    keys = [mailwire.scram_keys("secret", mechanism=name) for name in ("SCRAM-SHA-256", "SCRAM-SHA-1")]
    server = mailwire.Server(print, user_keys={"tim": keys}, allow_plaintext_auth=True)
    with server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert {"SCRAM-SHA-256", "SCRAM-SHA-1"} <= set(client.esmtp_features["auth"].split())
    with pytest.raises(mailwire.InvalidArgument, match="iterations: 1 "):
        mailwire.scram_keys("secret", iterations=1)


def test_a_place_among_the_options_is_the_only_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with mailwire.Server(print, options={"listen": f"127.0.0.1:{port}"}) as server:
        assert server.addresses == (("127.0.0.1", port),)


def test_what_options_say_comes_last(localhost, ca_file, tmp_path):
    certificate, key = localhost
    tls = mailwire.TLS.from_files(certificate, key)
    # What builds on a certificate finds that of the argument.
    options = {"client_ca": ca_file, "domains": "example.net"}
    server = mailwire.Server(print, tls=tls, domains=["example.org"], options=options)
    with server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        client.mail("a@example.com")
        assert client.rcpt("b@example.org")[0] == 550
        assert client.rcpt("b@example.net")[0] == 250


def test_nothing_stays_of_the_listener_when_it_is_stopped():
    # Each of them would keep descriptors of its own, those of its runtime among them.
    before, servers = len(os.listdir("/dev/fd")), [mailwire.Server() for _ in range(5)]
    for server in servers:
        with server:
            pass
    assert len(os.listdir("/dev/fd")) <= before
    assert all(server.stats["messages"] == 0 and "messages" in server.metrics() for server in servers)

"""Hosting a listener: what arrives, TLS and AUTH, limits, and how it ends. The clients are Python's own smtplib."""

import base64
import errno
import hashlib
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import mailwire
import pytest

USERS = {"user": "secret"}


def deliver(server, message, **options):
    """Sends with smtplib."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.sendmail(options.get("sender", "a@example.org"), options.get("recipients", ["b@example.org"]), message)


@contextmanager
def receiving(server):
    """Runs the server and gathers what arrives, in a thread: a client is told 250 when its message was taken."""
    envelopes = []

    def gather():
        for envelope in server.messages():
            envelopes.append(envelope)

    with server:
        thread = threading.Thread(target=gather)
        thread.start()
        yield envelopes
    thread.join(60)


def trusting(ca_file):
    """A TLS context of Python's own that trusts the test's authority."""
    return ssl.create_default_context(cafile=ca_file)


def test_messages_without_a_handler(message):
    server = mailwire.Server()
    with receiving(server) as envelopes:
        deliver(server, message, sender="", recipients=["b@example.org", "c@example.org"])
        deliver(server, message)
    first, second = envelopes
    assert (first.sender, first.recipients, first.size) == ("", ("b@example.org", "c@example.org"), len(message))
    assert first.body == message and first.body is first.body
    assert first.options["SIZE"] == str(len(message))
    assert first.as_message()["Subject"] == "test"
    assert (second.sender, second.session.helo is not None, second.session.tls, second.session.user) == (
        "a@example.org",
        True,
        None,
        None,
    )
    assert first.session.id != second.session.id and first.session.peer.startswith("127.0.0.1:")
    assert first.received_at.utcoffset().total_seconds() == 0
    assert abs(time.time() - first.received_at.timestamp()) < 60


def test_letters_outside_ascii_and_chunks_arrive():
    body = b"Subject: test\r\n\r\n.a dot\r\n"
    server = mailwire.Server()
    with receiving(server) as envelopes, smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo()
        assert client.has_extn("smtputf8") and client.has_extn("chunking")
        client.command_encoding = "utf-8"
        assert client.docmd("MAIL", "FROM:<jürgen@bücher.example> SMTPUTF8")[0] == 250
        assert client.docmd("RCPT", "TO:<中文@example.org>")[0] == 250
        for chunk, last in (body[:10], ""), (body[10:], " LAST"):
            client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            assert client.getreply()[0] == 250
    (envelope,) = envelopes
    assert (envelope.sender, envelope.recipients) == ("jürgen@bücher.example", ("中文@example.org",))
    assert envelope.body == body
    assert envelope.options["SMTPUTF8"] is None


def test_messages_wait_no_longer_than_they_should():
    with mailwire.Server() as server:
        begun = time.monotonic()
        assert list(server.messages(timeout=0.2)) == []
        assert 0.15 < time.monotonic() - begun < 20
        waiting = server.messages()
        threading.Timer(0.2, server.stop).start()
        assert list(waiting) == []


def test_lines_of_dots_arrive_as_they_were(message):
    body = message + b"".join(b"." * count + b"x" * (count % 3) + b"\r\n" for count in range(12))
    server = mailwire.Server()
    with receiving(server) as envelopes:
        deliver(server, body)
        mailwire.send(body, f"smtp://127.0.0.1:{server.port}")
    assert [envelope.body for envelope in envelopes] == [body, body]


def test_thirty_mebibytes(message):
    block = b"".join(os.urandom(36).hex().encode() + b"\r\n" for _ in range(1000))
    large = message + block * (30 * (1 << 20) // len(block) + 1)
    server = mailwire.Server()
    with receiving(server) as envelopes:
        deliver(server, large)
        assert server.stats["octets"] == len(large)
    (envelope,) = envelopes
    assert envelope.size > 30 << 20 and envelope.body == large


def test_starttls_and_auth(localhost, ca_file, message):
    tls = mailwire.TLS.from_files(*localhost)
    server = mailwire.Server(tls=tls, require_tls=True, auth=USERS, auth_required=True)
    with receiving(server) as envelopes:
        with smtplib.SMTP("localhost", server.port) as client:
            with pytest.raises(smtplib.SMTPSenderRefused) as caught:
                client.sendmail("a@example.org", "b@example.org", message)
            assert caught.value.smtp_code == 530
            client.starttls(context=trusting(ca_file))
            with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                client.login("user", "wrong")
            assert caught.value.smtp_code == 535
        result = mailwire.send(message, f"smtp://user:secret@localhost:{server.port}?ca={ca_file}")
    (envelope,) = envelopes
    assert (result.tls.version, result.tls.cipher) == ("TLSv1.3", envelope.session.tls.cipher)
    assert (envelope.session.user, envelope.session.tls.version) == ("user", "TLSv1.3")
    assert "secret" not in repr(envelope.session)


def test_implicit_tls_and_certificates_from_memory(localhost, ca_file, message):
    cert, key = (Path(path).read_bytes() for path in localhost)
    server = mailwire.Server(tls=mailwire.TLS.from_pem(cert, key), implicit_tls=True)
    with receiving(server) as envelopes:
        client = smtplib.SMTP_SSL("localhost", server.port, context=trusting(ca_file))
        client.sendmail("a@example.org", "b@example.org", message)
        client.quit()
    assert len(envelopes) == 1


def test_another_certificate_while_it_runs(localhost, certificate, ca_file, message):
    server = mailwire.Server(tls=mailwire.TLS.from_files(*certificate("mail.example.org")), implicit_tls=True)
    with receiving(server):
        url = f"smtps://localhost:{server.port}?ca={ca_file}"
        with pytest.raises(mailwire.CertificateError):
            mailwire.send(message, url)
        server.reload_tls(mailwire.TLS.from_files(*localhost))
        mailwire.send(message, url)


def test_a_client_certificate_is_asked_for(localhost, certificate, ca_file, message):
    server = mailwire.Server(tls=mailwire.TLS.from_files(*localhost, client_ca=ca_file), implicit_tls=True)
    with receiving(server) as envelopes:
        url = f"smtps://localhost:{server.port}?ca={ca_file}"
        mailwire.send(message, url, client_cert=certificate("client.example.org"))
        mailwire.send(message, url)
    first, second = envelopes
    assert first.session.tls.peer_certificate and second.session.tls.peer_certificate is None


def test_auth_in_clear_needs_a_word(message):
    with pytest.raises(mailwire.AuthenticationError, match="in clear"):
        mailwire.Server(auth=USERS).start()
    server = mailwire.Server(auth=USERS, allow_plaintext_auth=True)
    with receiving(server):
        url = f"smtp://user:secret@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true"
        mailwire.send(message, url)


def test_limits(message):
    limits = mailwire.Limits(size=1000, recipients=2, connections=5, idle=60.5)
    assert repr(limits) == "Limits(connections=5, idle=60.5, recipients=2, size=1000)"
    server = mailwire.Server(limits=limits)
    with receiving(server):
        with pytest.raises(smtplib.SMTPSenderRefused):
            deliver(server, message + b"x" * 2000)
        url = f"smtp://127.0.0.1:{server.port}"
        result = mailwire.send(message, url, recipients=[f"{name}@example.org" for name in "abc"])
        assert list(result.deferred) == ["c@example.org"] and len(result.accepted) == 2
    for bad in ({"size": 0}, {"size": -1}, {"recipients": "many"}, {"idle": 0}, {"workers": 0}):
        with pytest.raises(ValueError):
            mailwire.Server(limits=mailwire.Limits(**bad)) if "workers" not in bad else mailwire.Server(**bad)


def test_the_counters_are_told_in_the_text_of_prometheus(message):
    with mailwire.Server(take, domains=["example.org"]) as server:
        with pytest.raises(mailwire.RecipientsRefused):
            mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.com"])
        assert server.stats["denied_relays"] == 1 and "queued_events" in server.stats
        lines = server.metrics().splitlines()
    assert 'mailwire_refused_recipients_total{reason="relaying"} 1' in lines
    assert "# TYPE mailwire_refused_recipients_total counter" in lines


def test_limits_of_logins(message):
    limits = mailwire.Limits(auth_failures_per_account=1, auth_delay=0, auth_lockout=60, commands=100)
    with mailwire.Server(take, auth={"tim": "secret"}, allow_plaintext_auth=True, limits=limits) as server:
        url = f"smtp://tim:secret@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true"
        with pytest.raises(mailwire.AuthenticationError):
            mailwire.send(message, url.replace("secret", "other"))
        with pytest.raises(mailwire.Error, match="Too many failed logins to this account"):
            mailwire.send(message, url)


def take(envelope):
    """Accepts whatever comes."""


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_a_user_whose_keys_alone_are_kept(message, mechanism):
    keys = mailwire.scram_keys("secret", mechanism=mechanism)
    assert keys.startswith(f"{mechanism}$4096:") and keys != mailwire.scram_keys("secret", mechanism=mechanism)
    server = mailwire.Server(take, user_keys={"tim": keys}, allow_plaintext_auth=True, auth_required=True)
    with server:
        url = f"smtp://tim:secret@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true"
        mailwire.send(message, url)
        with pytest.raises(mailwire.AuthenticationError):
            mailwire.send(message, url.replace("secret", "other"))


def test_a_user_and_a_trusted_network_may_relay_and_a_user_has_its_own_sender(message):
    server = mailwire.Server(
        take, domains=["example.org"], auth={"tim": "secret"}, allow_plaintext_auth=True, bind_sender=True
    )
    with server:
        url = f"smtp://tim:secret@127.0.0.1:{server.port}?tls=none&allow_plaintext_auth=true"
        mailwire.send(message, url, sender="tim@example.org", recipients=["b@example.com"])
        with pytest.raises(mailwire.SenderRefused):
            mailwire.send(message, url, sender="kurt@example.org", recipients=["b@example.com"])
        with pytest.raises(mailwire.RecipientsRefused):
            mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.com"])
    with mailwire.Server(take, domains=["example.org"], trusted_networks=["127.0.0.0/8", "::1"]) as server:
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.com"])


def test_domains(message):
    server = mailwire.Server(domains=["example.net"])
    with receiving(server):
        result = mailwire.send(
            message, f"smtp://127.0.0.1:{server.port}", recipients=["a@example.net", "a@example.org"]
        )
        assert list(result.accepted) == ["a@example.net"] and list(result.refused) == ["a@example.org"]


def test_states(message):
    server = mailwire.Server()
    for use in (lambda: server.port, lambda: server.stats, lambda: server.messages()):
        with pytest.raises(mailwire.Misuse, match="not started"):
            use()
    server.stop()
    with server:
        port = server.port
        with pytest.raises(mailwire.Misuse, match="runs already"):
            server.start()
        with pytest.raises(mailwire.Error, match="another program listens there") as caught:
            mailwire.Server(port=port).start()
        assert isinstance(caught.value, OSError) and caught.value.errno == errno.EADDRINUSE
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with receiving(server) as envelopes:
        deliver(server, message)
    assert len(envelopes) == 1
    with mailwire.Server(print) as handled, pytest.raises(mailwire.Misuse, match="handler"):
        handled.messages()


def test_stop_tells_idle_clients_and_is_bounded():
    server = mailwire.Server().start()
    with socket.create_connection(("127.0.0.1", server.port)) as idle, idle.makefile("rb") as lines:
        assert lines.readline().startswith(b"220")
        begun = time.monotonic()
        server.stop(grace=60)
        assert lines.readline().startswith(b"421") and time.monotonic() - begun < 30


def test_serve_forever_ends_with_ctrl_c_and_with_stop():
    code = """
import mailwire, sys, threading, time
server = mailwire.Server(print)
def later():
    while server._run is None:
        time.sleep(0.01)
    time.sleep(0.3)
    {what}
try:
    threading.Thread(target=later).start()
    server.serve_forever()
except KeyboardInterrupt:
    print("interrupted")
print("end")
"""
    stop = code.format(what="server.stop()")
    interrupt = code.format(what="__import__('os').kill(__import__('os').getpid(), 2)")
    for text, said in ((stop, "end\n"), (interrupt, "interrupted\nend\n")):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
        assert (done.stdout, done.stderr) == (said, "")


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import sys; sys.exit(0)",
        "list(server.messages(timeout=0.1))",
        "import threading; threading.Thread(target=busy).start()",
    ],
)
def test_a_program_ends_while_its_server_runs(ending):
    code = f"""
import mailwire, smtplib, time
def busy():
    for _ in range(20):
        smtplib.SMTP("127.0.0.1", port).quit()
def handler(envelope):
    time.sleep(0.05)
server = mailwire.Server({"" if "messages" in ending else "handler"}).start()
port = server.port
client = smtplib.SMTP("127.0.0.1", port)
{"client.noop()" if "messages" in ending else 'client.sendmail("a@example.org", "b@example.org", "x")'}
{ending}
"""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and time.monotonic() - begun < 30


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_of_the_parent_is_dead_in_a_child(message):
    server = mailwire.Server().start()
    child = os.fork()
    if child == 0:
        # A child that waits for what never comes is ended by this.
        signal.alarm(60)
        status = 1
        try:
            with pytest.raises(mailwire.Misuse, match="fork"):
                server.messages(timeout=1)
            server.stop()
            with receiving(server) as envelopes:
                mailwire.send(message, f"smtp://127.0.0.1:{server.port}")
            assert len(envelopes) == 1
            del server
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with receiving(server) as envelopes:
        deliver(server, message)
    assert len(envelopes) == 1


def test_bad_arguments_are_named():
    for options, words in (
        ({"handler": object()}, "handler"),
        ({"handler": 42}, "handler"),
        ({"tls": "cert.pem"}, "tls"),
        ({"auth": lambda session, credentials: True}, "auth"),
        ({"host": "no such host"}, "^host: "),
        ({"trusted_networks": [""]}, "^trusted_networks: "),
        ({"auth": {"a": ""}, "allow_plaintext_auth": True}, "^auth: "),
        ({"limits": mailwire.Limits(size=0)}, "^size: "),
        ({"limits": mailwire.Limits(size=-1)}, "^size: -1 "),
        ({"limits": mailwire.Limits(commands=10**30)}, "^commands: "),
        ({"limits": mailwire.Limits(idle=0)}, "^idle: 0 seconds "),
        ({"options": {"idle_timeout": "0"}}, "^idle_timeout: "),
        ({"threads": 10**9}, "^threads: 1000000000 is not between 1 and 1000"),
        ({"unix": "/tmp/no", "port": 2525}, "^port: .*`unix`"),
        ({"unix": "/tmp/no", "host": "::1"}, "^host: .*`unix`"),
        ({"sockets": [socket.socket()], "port": 2525}, "^port: .*`sockets`"),
        ({"handler": print, "disposition": "discard"}, "^disposition: "),
        ({"port": 70000}, "port"),
        ({"protocol": "http"}, "protocol"),
        ({"threads": 0}, "threads"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            mailwire.Server(**options)
    with pytest.raises(mailwire.TLSError, match=r"none\.pem"):
        mailwire.TLS.from_files("none.pem", "none.pem")
    with pytest.raises(TypeError, match="from_files"):
        mailwire.TLS()
    with pytest.raises(mailwire.TLSError):
        mailwire.Server(require_tls=True).start()


def test_line_ends_and_strictness():
    commands = [b"HELO a.example", b"MAIL FROM: <a@b.example>", b"RCPT TO:<c@d.example>", b"DATA", b"QUIT"]
    for options, first, verdict in (
        ({}, b"250 2.1.0", b"554 5.6.0"),
        ({"line_ends": "normalise"}, b"250 2.1.0", b"250 2.0.0"),
        ({"strict_spaces": True}, b"501 5.5.4", None),
        ({"line_ends": "normalise", "lenient_line_ends": True}, b"250 2.1.0", b"250 2.0.0"),
    ):
        got = []
        end = b"\n" if "lenient_line_ends" in options else b"\r\n"
        with mailwire.Server(got.append, **options) as server, socket.create_connection(server.address, 20) as peer:
            lines = peer.makefile("rb")
            said = [lines.readline()]
            for command in commands:
                peer.sendall(command + end)
                said.append(lines.readline())
                if said[-1].startswith(b"354"):
                    peer.sendall(b"one\n.\ntwo\r\n.\r\n")
                    said.append(lines.readline())
        assert said[2].startswith(first)
        if verdict is not None:
            assert said[5].startswith(verdict)
        assert [one.body for one in got] == ([b"one\r\n.\r\ntwo\r\n"] if verdict == b"250 2.0.0" else [])


def test_a_proxy_tells_who_the_client_is():
    peers = []

    class Handler:
        def connect(self, session):
            peers.append(session.peer)

    networks = ["127.0.0.0/8"]
    with (
        mailwire.Server(Handler(), proxy_protocol=networks, xclient=["192.0.2.0/24"]) as server,
        socket.create_connection(server.address, timeout=20) as peer,
    ):
        peer.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n")
        replies = peer.makefile("rb")
        assert replies.readline().startswith(b"220 ")
        peer.sendall(b"EHLO proxy.example\r\n")
        while not (line := replies.readline()).startswith(b"250 "):
            assert line
            if line.startswith(b"250-XCLIENT"):
                break
        else:
            assert line.startswith(b"250 XCLIENT")
    assert peers == ["192.0.2.7:1234"]


def test_what_a_submitted_message_lacks_is_added():
    server = mailwire.Server(add_missing=True, hostname="mx.example.org")
    with receiving(server) as arrived:
        deliver(server, b"Subject: x\r\n\r\ntext\r\n")
        deliver(server, b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <a@b>\r\n\r\ntext\r\n")
    first, second = (envelope.as_message() for envelope in arrived)
    assert first["Subject"] == "x" and first["Date"].datetime and first["Message-ID"].endswith("@mx.example.org>")
    assert second["Message-ID"] == "<a@b>" and len(second.get_all("Date")) == 1


def test_a_received_field_and_a_message_in_circles(message):
    field = b"Received: from a.example by b.example; Thu, 1 Jan 1970 00:00:00 +0000\r\n"
    server = mailwire.Server(hostname="mx.example.org", received=True, limits=mailwire.Limits(max_hops=1))
    with receiving(server) as envelopes:
        deliver(server, message)
        with pytest.raises(smtplib.SMTPDataError) as caught:
            deliver(server, field * 2 + message)
        assert caught.value.smtp_code == 554
    (envelope,) = envelopes
    assert envelope.body.startswith(b"Received: from ") and b"by mx.example.org" in envelope.body
    assert envelope.body.endswith(message)
    assert len(envelope.queue_id) == 32 and f"id {envelope.queue_id} for".encode() in envelope.body


def test_the_id_of_a_message_is_what_its_client_is_told(message):
    told = []
    for received in (True, False):
        server = mailwire.Server(received=received)
        with receiving(server) as envelopes:
            told.append(mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none").queue_id)
        assert envelopes[0].queue_id == told[-1]
    assert len(told[0]) == 32 and told[1] is None


def test_mechanisms_are_those_that_are_named(message):
    server = mailwire.Server(take, auth=USERS, mechanisms=["CRAM-MD5", "PLAIN"], allow_plaintext_auth=True)
    with server, smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["CRAM-MD5", "PLAIN"]
        client.login("user", "secret")
    for mechanisms in ([], ["KERBEROS"]):
        with pytest.raises(mailwire.InvalidArgument, match="mechanisms"):
            mailwire.Server(take, auth=USERS, mechanisms=mechanisms)


KEPT = mailwire.scram_keys("secret")


def made_up(**arguments):
    """The salt that a server shows of somebody who is not there, in two runs of it."""
    server = mailwire.Server(take, user_keys={"tim": KEPT}, allow_plaintext_auth=True, **arguments)
    salts = []
    for _ in range(2):
        with server, smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
            client.ehlo()
            first = base64.b64encode(b"n,,n=nobody,r=abc").decode()
            code, challenge = client.docmd("AUTH SCRAM-SHA-256", first)
            assert code == 334 and client.docmd("*")[0] == 501
            salts.append(base64.b64decode(challenge).split(b",")[1])
    return salts


def test_who_is_not_there_looks_the_same_after_a_stop(localhost):
    tls = mailwire.TLS.from_files(*localhost)
    secret = {"decoy_secret": "07" * 32}
    one, again = made_up(options=secret)
    assert one == again
    assert made_up(options=secret, tls=tls) == [one, one]
    assert made_up(options={"decoy_secret": "08" * 32})[0] != one
    # Of the private key without it, and else random.
    one, again = made_up(tls=tls)
    assert one == again
    one, again = made_up()
    assert one != again
    with pytest.raises(mailwire.InvalidArgument, match="decoy_secret: 64 hexadecimal digits") as refused:
        mailwire.Server(take, options={"decoy_secret": "abcdef"})
    assert "abcdef" not in str(refused.value)


def shown(server, ca_file, name):
    """The certificate that a client sees who asks for this name."""
    context = trusting(ca_file)
    context.check_hostname = False
    with socket.create_connection(server.address, 20) as peer, context.wrap_socket(peer, server_hostname=name) as tls:
        return tls.getpeercert(binary_form=True)


def test_each_name_has_its_certificate(localhost, certificate, ca_file, message):
    made = {name: certificate(name) for name in ("one.example.org", "*.example.net")}
    der = {name: ssl.PEM_cert_to_DER_cert(Path(pair[0]).read_text()) for name, pair in made.items()}
    first = ssl.PEM_cert_to_DER_cert(Path(localhost[0]).read_text())
    server = mailwire.Server(tls=mailwire.TLS.from_files(*localhost, sni=made), implicit_tls=True)
    with receiving(server) as envelopes:
        assert shown(server, ca_file, "one.example.org") == der["one.example.org"]
        assert shown(server, ca_file, "any.example.net") == der["*.example.net"]
        assert shown(server, ca_file, "other.example.org") == first == shown(server, ca_file, None)
        url = f"smtps://127.0.0.1:{server.port}?ca={ca_file}&tls_name=one.example.org"
        result = mailwire.send(message, url)
        assert result.tls.peer_certificate == der["one.example.org"]
        server.reload_tls(mailwire.TLS.from_files(*made["one.example.org"]))
        assert shown(server, ca_file, "any.example.net") == der["one.example.org"]
    tls = envelopes[0].session.tls
    assert (tls.version, tls.cipher, tls.server_name) == ("TLSv1.3", result.tls.cipher, "one.example.org")
    with pytest.raises(mailwire.TLSError):
        mailwire.TLS.from_files(*localhost, sni={"two.example.org": made["one.example.org"]})
    with pytest.raises(mailwire.InvalidArgument, match="sni"):
        mailwire.TLS.from_files(*localhost, sni={"192.0.2.1": localhost})


def test_a_login_by_certificate(localhost, certificate, ca_file, message):
    mine, others = certificate("client.example.org"), certificate("other.example.org")
    der = ssl.PEM_cert_to_DER_cert(Path(mine[0]).read_text())
    seen = []

    class Handler:
        def auth(self, session, credentials):
            seen.append((credentials.proof, credentials.password, credentials.authorization_identity))
            # The session has the certificate too.
            fingerprint = "sha256:" + hashlib.sha256(session.tls.peer_certificate).hexdigest()
            assert credentials.username == fingerprint
            return session.tls.peer_certificate == der and credentials.authorization_identity in (None, "tim")

        def data(self, session, envelope):
            seen.append(session.user)

    tls = mailwire.TLS.from_files(*localhost, client_ca=ca_file)
    with mailwire.Server(Handler(), tls=tls, mechanisms=["EXTERNAL"], auth_required=True) as server:
        context = trusting(ca_file)
        context.load_cert_chain(*mine)
        with smtplib.SMTP("localhost", server.port, timeout=20) as client:
            client.starttls(context=context)
            client.ehlo()
            assert client.esmtp_features["auth"].split() == ["EXTERNAL"]
            assert client.docmd("AUTH", "EXTERNAL " + base64.b64encode(b"kurt").decode())[0] == 535
            assert client.docmd("AUTH", "EXTERNAL " + base64.b64encode(b"tim").decode())[0] == 235
            client.sendmail("a@example.org", "b@example.org", message)
        url = f"smtp://localhost:{server.port}?tls=required&ca={ca_file}&login=external"
        mailwire.send(message, url, client_cert=mine)
        with pytest.raises(mailwire.AuthenticationError):
            mailwire.send(message, url, client_cert=others)
        # Without a certificate nothing is offered.
        with smtplib.SMTP("localhost", server.port, timeout=20) as client:
            client.starttls(context=trusting(ca_file))
            client.ehlo()
            assert "auth" not in client.esmtp_features
    who = "sha256:" + hashlib.sha256(der).hexdigest()
    by = ("certificate", "")
    assert seen == [(*by, "kurt"), (*by, "tim"), "tim", (*by, None), who, (*by, None)]

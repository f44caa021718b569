"""A certificate that is made in memory: what it is for, who trusts it, and who does not."""

import smtplib
import ssl
from datetime import datetime, timedelta, timezone

import mailwire
import pytest

NAMES = ["localhost", "127.0.0.1"]


def trusting(tls, tmp_path):
    """The path of a file with what a client of ours has to trust."""
    path = tmp_path / "certificate.pem"
    path.write_text(tls.certificate)
    return path


def contents(server, tls):
    """What Python's own client, which trusts it, is told of the certificate, by STARTTLS."""
    with smtplib.SMTP("localhost", server.port, timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cadata=tls.certificate))
        return client.sock.getpeercert()


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("host", NAMES)
def test_a_client_that_has_it_trusts_it(implicit, host, message, tmp_path):
    tls, arrived = mailwire.TLS.self_signed(NAMES), []
    url = f"{'smtps' if implicit else 'smtp'}://{host}"
    with mailwire.Server(arrived.append, tls=tls, require_tls=not implicit, implicit_tls=implicit) as server:
        result = mailwire.send(message, f"{url}:{server.port}", ca=trusting(tls, tmp_path))
    assert result.tls.peer_certificate == ssl.PEM_cert_to_DER_cert(tls.certificate)
    assert [one.body for one in arrived] == [message] and arrived[0].session.tls.version == "TLSv1.3"


def test_all_others_are_told_what_is_wrong_with_it(message, tmp_path):
    tls, other = mailwire.TLS.self_signed("localhost"), mailwire.TLS.self_signed("localhost")
    with mailwire.Server(print, tls=tls, require_tls=True) as server:
        url = f"smtp://localhost:{server.port}?tls=required"
        with pytest.raises(mailwire.CertificateError, match="is self-signed"):
            mailwire.send(message, url)
        with pytest.raises(mailwire.CertificateError):
            mailwire.send(message, url, ca=trusting(other, tmp_path))
        # It is not for that name.
        with pytest.raises(mailwire.CertificateError, match="localhost"):
            mailwire.send(message, url.replace("localhost", "127.0.0.1", 1), ca=trusting(tls, tmp_path))
        with smtplib.SMTP("localhost", server.port, timeout=20) as client, pytest.raises(ssl.SSLError):
            client.starttls(context=ssl.create_default_context())


def test_what_stands_in_it():
    tls = mailwire.TLS.self_signed(
        ["localhost", "mx.example.org.", "bücher.example", "127.0.0.1", "::1", "[2001:db8::1]"]
    )
    with mailwire.Server(print, tls=tls) as server:
        told = contents(server, tls)
    assert told["subjectAltName"] == (
        ("DNS", "localhost"),
        ("DNS", "mx.example.org"),
        ("DNS", "xn--bcher-kva.example"),
        ("IP Address", "127.0.0.1"),
        ("IP Address", "0:0:0:0:0:0:0:1"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1"),
    )
    begins, ends = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(told[one]), timezone.utc) for one in ("notBefore", "notAfter")
    )
    now = datetime.now(timezone.utc)
    assert begins <= now - timedelta(minutes=30) and timedelta(days=29) < ends - now <= timedelta(days=30)
    assert "PRIVATE KEY" not in tls.certificate and tls.certificate.count("BEGIN CERTIFICATE") == 1


def test_another_one_may_take_its_place():
    first, second = (mailwire.TLS.self_signed("localhost") for _ in range(2))
    with mailwire.Server(print, tls=first) as server:
        before = contents(server, first)
        server.reload_tls(second)
        assert contents(server, second)["serialNumber"] != before["serialNumber"]
        with pytest.raises(ssl.SSLError):
            contents(server, first)


def test_what_came_from_elsewhere_is_known_there(localhost):
    assert mailwire.TLS.from_files(*localhost).certificate is None
    with open(localhost[0], "rb") as certificate, open(localhost[1], "rb") as key:
        assert mailwire.TLS.from_pem(certificate.read(), key.read()).certificate is None
    with pytest.raises(AttributeError):
        mailwire.TLS.self_signed("localhost").certificate = "other"


@pytest.mark.parametrize(
    "name",
    ["", "*", "*.example.org", "a b", "-a.example", "1.2.3", "127.0.0.256", "[x]", "[IPv6:::1]", "x" * 64, "a@b"],
)
def test_a_name_is_that_of_a_host_or_its_address(name):
    for names in (name, ["localhost", name]):
        with pytest.raises(mailwire.InvalidArgument) as told:
            mailwire.TLS.self_signed(names)
        assert str(told.value) == f"names: `{name}` is neither a host name nor an IP address"


def test_there_is_at_least_one():
    with pytest.raises(mailwire.InvalidArgument, match=r"^names: at least one is needed"):
        mailwire.TLS.self_signed([])
    for names in (None, 5, b"localhost", [5]):
        with pytest.raises(TypeError, match=r"^names: "):
            mailwire.TLS.self_signed(names)

"""Where a server listens, and options that it has by name alone."""

import smtplib
import socket

import mailwire
import pytest


def take(envelope):
    """Accepts whatever comes."""


def test_a_unix_socket_and_lmtp(tmp_path, message):
    path = tmp_path / "lmtp.sock"
    bodies = []
    with mailwire.Server(lambda envelope: bodies.append(envelope.body), unix=path, protocol="lmtp") as server:
        assert server.address == str(path)
        with pytest.raises(mailwire.Misuse):
            _ = server.port
        mailwire.send(message, f"lmtp+unix://{path}")
    assert bodies == [message]


def test_options_by_their_names_in_the_engine(tmp_path):
    path = tmp_path / "lmtp.sock"
    options = {"unix_mode": 0o600, "extensions": "DSN", "domains": "example.com"}
    with mailwire.Server(take, unix=path, protocol="lmtp", options=options):
        assert path.stat().st_mode & 0o777 == 0o600
        with smtplib.LMTP(str(path)) as client:
            client.ehlo()
            assert client.has_extn("DSN")
            client.mail("a@example.org")
            assert client.rcpt("b@example.net")[0] == 550 and client.rcpt("b@example.com")[0] == 250
    pairs = [("keyword", "XFIRST"), ("keyword", "XSECOND")]
    with mailwire.Server(take, options=pairs) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert client.has_extn("XFIRST") and client.has_extn("XSECOND")
    for name in ("unix_mod", "disposition", "stream"):
        with pytest.raises(mailwire.InvalidArgument, match=name):
            mailwire.Server(take, options={name: "discard"})


def greeting(address):
    """The first line that a server says."""
    with socket.create_connection(address, timeout=20) as peer, peer.makefile("rb") as lines:
        return lines.readline()


def test_several_addresses():
    with mailwire.Server(take, ["127.0.0.1", "127.0.0.2"]) as server:
        assert [host for host, _ in server.addresses] == ["127.0.0.1", "127.0.0.2"]
        assert server.address == server.addresses[0] and server.port == server.address[1]
        assert all(greeting(address).startswith(b"220 ") for address in server.addresses)
    with pytest.raises(mailwire.InvalidArgument, match="host"):
        mailwire.Server(take, [])


def test_sockets_of_the_program(message, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        server = mailwire.Server(take, sockets=[one, other])
        for _ in range(2):
            with server:
                assert server.addresses == (one.getsockname(), other.getsockname())
                assert all(greeting(address).startswith(b"220 ") for address in server.addresses)
                mailwire.send(message, f"smtp://127.0.0.1:{server.port}")
        # It is still the program's own, and listens.
        with socket.create_connection(other.getsockname(), timeout=20), other.accept()[0]:
            pass
        with pytest.raises(mailwire.InvalidArgument, match="already"):
            mailwire.Server(take, sockets=[one, one])
        with pytest.raises(TypeError, match="sockets"):
            mailwire.Server(take, sockets=[one], unix=tmp_path / "socket")
    path = str(tmp_path / "own.sock")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        with pytest.raises(mailwire.InvalidArgument, match="listen"):
            mailwire.Server(take, sockets=[unix])
        unix.listen()
        with mailwire.Server(take, sockets=[unix], protocol="lmtp") as server:
            assert (server.address, server.addresses) == (path, ())
            mailwire.send(message, f"lmtp+unix://{path}")
    for sockets in ([unix], []):
        with pytest.raises(mailwire.InvalidArgument, match="sockets"):
            mailwire.Server(take, sockets=sockets)


def test_a_port_is_shared_where_all_want_it():
    with mailwire.Server(take, reuse_port=True) as first:
        with mailwire.Server(take, port=first.port, reuse_port=True) as second:
            assert second.port == first.port and greeting(second.address).startswith(b"220 ")
        with pytest.raises(mailwire.Error, match="another program listens there"):
            mailwire.Server(take, port=first.port).start()

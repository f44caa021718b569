"""Values of a wrong type: each is told by the argument's name, in one line, before anything is sent."""

import mailwire
import pytest

URL = "smtp://127.0.0.1:1?tls=none"
MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\n\r\nHello.\r\n"


def named(call, name):
    """Calls what must fail with a type error that begins with the argument's name."""
    with pytest.raises(TypeError) as caught:
        call()
    told = str(caught.value)
    assert told.startswith(f"{name}:") and "\n" not in told, told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recipients", 5),
        ("recipients", [None]),
        ("recipients", b"a@example.org"),
        ("sender", 5),
        ("mail_options", 5),
        ("mail_options", "SIZE=1"),
        ("rcpt_options", None),
        ("timeout", "soon"),
        ("timeout", "5"),
        ("timeout", [1]),
        ("deadline", True),
        ("max_connections", 2.5),
        ("max_messages", "many"),
        ("max_messages_per_second", "14"),
        ("max_recipients_per_second", True),
        ("verify", "no"),
        ("verify", 0),
        ("allow_plaintext_auth", "false"),
        ("tls", True),
        ("ca", 5),
        ("client_cert", 5),
        ("client_cert", ("a", "b", "c")),
        ("client_cert", ("a", None)),
    ],
)
def test_of_send(name, value):
    named(lambda: mailwire.send(MESSAGE, URL, **{name: value}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", None),
        ("text", b"bytes"),
        ("html", 5),
        ("sender", None),
        ("to", None),
        ("to", 5),
        ("cc", None),
        ("bcc", [5]),
        ("reply_to", 5),
        ("attachments", None),
        ("attachments", "file.txt"),
        ("attachments", [5]),
        ("attachments", [("a.txt",)]),
        ("attachments", [("a.txt", "text")]),
        ("attachments", [("a.txt", 5)]),
        ("attachments", [(5, b"x")]),
        ("attachments", [("a.txt", b"x", 5)]),
        ("inline", ["a"]),
        ("inline", {"a": b"x"}),
        ("inline", {"a": (5, "image/png")}),
        ("headers", ["a"]),
        ("headers", {"X-A": 5}),
        ("headers", {5: "x"}),
    ],
)
def test_of_send_mail(name, value):
    good = {"subject": "s", "text": "t", "sender": "a@example.org", "to": "b@example.org"}
    named(lambda: mailwire.send_mail(**{**good, name: value}, server=URL), name)


@pytest.mark.parametrize("items", [5, None, "text", MESSAGE, {"message": MESSAGE}])
def test_of_send_many(items):
    with mailwire.Client(URL) as client:
        named(lambda: list(client.send_many(items)), "items")


@pytest.mark.parametrize("item", [{"sender": "a@example.org"}, {"message": MESSAGE, "timeout": 5}, {"message": 5}, 5])
def test_of_an_item_of_send_many(item):
    """It is told in its place, and the others are sent."""
    with mailwire.Client(URL) as client:
        wrong, other = client.send_many([item, MESSAGE])
    assert isinstance(wrong, TypeError) and str(wrong).startswith(("items: ", "message: ")), wrong
    assert isinstance(other, mailwire.ConnectError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", 5),
        ("port", "2525"),
        ("port", None),
        ("port", 2.5),
        ("unix", 5),
        ("host", [5]),
        ("sockets", 5),
        ("sockets", [5]),
        ("reuse_port", "no"),
        ("options", 5),
        ("options", "unix_mode"),
        ("options", ["unix_mode"]),
        ("options", {"grace": None}),
        ("options", {5: "660"}),
        ("received", 1),
        ("mechanisms", 5),
        ("mechanisms", [5]),
        ("protocol", None),
        ("domains", 5),
        ("domains", [5]),
        ("trusted_networks", 5),
        ("trusted_networks", [5]),
        ("proxy_protocol", b"127.0.0.1"),
        ("xclient", [5]),
        ("disposition", 5),
        ("bind_sender", "no"),
        ("tls", "cert.pem"),
        ("implicit_tls", "no"),
        ("require_tls", 1),
        ("auth", ["user"]),
        ("auth", "user:secret"),
        ("auth", {"user": 5}),
        ("user_keys", ["user"]),
        ("user_keys", {"user": 5}),
        ("auth_required", "no"),
        ("allow_plaintext_auth", "false"),
        ("limits", {"size": 5}),
        ("hostname", 5),
        ("workers", "2"),
        ("threads", "4"),
        ("threads", 1.5),
    ],
)
def test_of_a_server(name, value):
    named(lambda: mailwire.Server(print, **{name: value}), name)


def test_of_a_servers_methods(message):
    with mailwire.Server() as server:
        named(lambda: server.reload_tls(None), "tls")
        named(lambda: server.messages("soon"), "timeout")
        named(lambda: server.stop("now"), "grace")
        for grace in (-1, float("nan"), 1e30):
            with pytest.raises(mailwire.InvalidArgument, match="grace"):
                server.stop(grace)
        assert server.port, "it still runs"
    with pytest.raises(mailwire.Misuse):
        _ = server.port


def test_of_a_certificate():
    named(lambda: mailwire.TLS.from_files(1, 2), "cert")
    named(lambda: mailwire.TLS.from_pem("text", b""), "cert")
    for sni in (
        "a.example",
        {"a.example": "cert.pem"},
        {"a.example": ("cert.pem",)},
        {5: ("a", "b")},
        {"a.example": (5, "b")},
    ):
        named(lambda sni=sni: mailwire.TLS.from_files("cert.pem", "key.pem", sni=sni), "sni")

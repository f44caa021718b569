"""CR, LF and NUL in any string that a caller gives: refused before anything is sent (RFC 5321 section 4.1.2)."""

import mailwire
import pytest

BAD = ["\r", "\n", "\r\n", "\0"]
MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\n\r\nHello.\r\n"

# Every string argument of the sending side, with a value that would be good without what is put into it.
ARGUMENTS = {
    "sender": "a{}b@example.org",
    "sender domain": "a@example{}.org",
    "recipients": "b{}c@example.org",
    "recipients domain": "b@exa{}mple.org",
    "mail_options": "X-A{}B",
    "mail_options value": "X-A=b{}c",
    "mail_options SIZE": "SIZE=1{}0",
    "mail_options BODY": "BODY=7BIT{}",
    "rcpt_options": "X-A{}B",
    "rcpt_options value": "X-A=b{}c",
    "local_hostname": "local{}host.example.org",
    "username": "us{}er",
    "password": "sec{}ret",
    "auth": "PLA{}IN",
    "tls": "no{}ne",
    "line_ends": "nor{}malise",
    "on_refused": "nev{}er",
    "source_address": "127.0{}.0.1",
    "ca": "/tmp/no{}where.pem",
    "client_cert": "/tmp/no{}where.pem",
}


def send(url, argument, value):
    """A send with one bad argument."""
    name = argument.split()[0]
    options = {"tls": "none", "allow_plaintext_auth": True}
    if name in ("username", "password"):
        options.update(username="user", password="secret")
    options[name] = [value] if name.endswith("options") else value
    mailwire.send(MESSAGE, url, **options)


@pytest.mark.parametrize("bad", BAD, ids=repr)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_arguments_of_send(script, argument, bad):
    url = script("220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 ok").split("?")[0]
    for value in (ARGUMENTS[argument].format(bad), ARGUMENTS[argument].format("") + bad):
        with pytest.raises((mailwire.InvalidArgument, mailwire.TLSError)) as caught:
            send(url, argument, value)
        if argument not in ("ca", "client_cert"):
            assert bad not in str(caught.value)
    assert script.received == []


@pytest.mark.parametrize("bad", BAD, ids=repr)
@pytest.mark.parametrize("argument", ["sender", "recipients", "mail_options", "rcpt_options"])
def test_arguments_of_a_client(script, argument, bad):
    value = ARGUMENTS[argument].format(bad)
    item = {argument: [value] if argument.endswith("options") else value}
    with mailwire.Client(script("220 hi", "250 hi")) as client:
        with pytest.raises(mailwire.InvalidArgument):
            client.send(MESSAGE, **item)
        (result,) = client.send_many([{"message": MESSAGE, **item}])
        assert isinstance(result, mailwire.InvalidArgument)
    assert script.received == []


@pytest.mark.parametrize("bad", ["%0D", "%0A", "%0D%0A", "%00", *BAD])
@pytest.mark.parametrize(
    "url",
    [
        "smtp://us{}er:secret@localhost",
        "smtp://user:sec{}ret@localhost",
        "smtp://local{}host",
        "smtp://localhost?local_hostname=a{}b",
        "smtp://localhost?tls{}=none",
    ],
)
def test_urls(url, bad):
    with pytest.raises(mailwire.InvalidArgument):
        mailwire.Client(url.format(bad))


def test_the_path_of_a_socket():
    """It is never sent, so a line end may be in it; NUL cannot."""
    with pytest.raises(mailwire.InvalidArgument):
        mailwire.Client("lmtp+unix:///tmp/no%00where")


@pytest.mark.parametrize("bad", BAD, ids=repr)
@pytest.mark.parametrize(
    "arguments",
    [
        {"subject": "a{}b"},
        {"sender": "a{}b@example.org"},
        {"sender": "A{}B <a@example.org>"},
        {"to": "a{}b@example.org"},
        {"to": "A{}B <a@example.org>"},
        {"cc": "a{}b@example.org"},
        {"bcc": "a{}b@example.org"},
        {"reply_to": "a{}b@example.org"},
        {"headers": {"X-{}A": "b"}},
        {"headers": {"X-A": "b{}c"}},
        {"attachments": [("a{}b.txt", b"x")]},
        {"attachments": [("a.txt", b"x", "text/{}plain")]},
        {"inline": {"a{}b": (b"x", "image/png")}},
        {"inline": {"a": (b"x", "image/{}png")}},
    ],
    ids=str,
)
def test_arguments_of_send_mail(script, arguments, bad):
    def filled(value):
        if isinstance(value, str):
            return value.format(bad)
        if isinstance(value, dict):
            return {filled(key): filled(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(filled(one) for one in value)
        return value

    good = {"subject": "s", "text": "t", "sender": "a@example.org", "to": "b@example.org"}
    with pytest.raises(mailwire.InvalidArgument):
        mailwire.send_mail(**{**good, **filled(arguments)}, server=script("220 hi", "250 hi"))
    assert script.received == []


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_arguments_of_a_server(bad):
    for options in (
        {"hostname": f"a{bad}b"},
        {"domains": [f"a{bad}b.example"]},
        {"host": f"127.0.0.1{bad}"},
        {"protocol": f"smtp{bad}"},
        {"auth": {f"us{bad}er": "secret"}, "allow_plaintext_auth": True},
    ):
        with pytest.raises(mailwire.InvalidArgument):
            mailwire.Server(**options)

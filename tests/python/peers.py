"""What the tests of hooks share: clients of the standard library, a message that they bring, and how to wait for what comes of it."""

import smtplib
import time


def connect(server):
    """A client."""
    return smtplib.SMTP("127.0.0.1", server.port, timeout=20)


def url(server):
    """Where a client finds it."""
    return f"smtp://127.0.0.1:{server.port}?tls=none"


def begun(server, recipients=("b@example.org",)):
    """A client whose message is to come next."""
    client = connect(server)
    client.ehlo("client.example.org")
    client.mail("a@example.org")
    for recipient in recipients:
        client.rcpt(recipient)
    return client


def data(client, content):
    """Sends a message behind DATA, and gives the reply to its end."""
    assert client.docmd("DATA")[0] == 354
    client.send(content + b".\r\n")
    return client.getreply()


def wait_for(what):
    """What comes on another thread, soon."""
    until = time.monotonic() + 60
    while not (come := what()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return come

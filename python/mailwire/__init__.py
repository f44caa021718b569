"""SMTP inside your program: send mail, or be the server that receives it.

    import mailwire

    mailwire.send(message, "smtp://user:secret@mail.example.org")

    with mailwire.Server(print, port=2525) as server:
        server.serve_forever()

Importing this takes no noticeable time: what needs smtplib or threads is loaded when it is first used.
"""

from ._client import Client, send, send_mail
from ._native import __version__
from ._results import Reply, SendResult, TLSInfo

__all__ = [
    "TLS",
    "AsyncBody",
    "AuthNotOffered",
    "AuthenticationError",
    "Body",
    "CertificateError",
    "Client",
    "ConnectError",
    "Credentials",
    "DataError",
    "DeliveryUnknown",
    "Discarded",
    "Disconnected",
    "Envelope",
    "Error",
    "HelloError",
    "InvalidArgument",
    "Limits",
    "Misuse",
    "NotSupported",
    "PartialDelivery",
    "ProtocolError",
    "RecipientRefused",
    "RecipientsRefused",
    "Reject",
    "Reply",
    "ResponseError",
    "SendResult",
    "SenderRefused",
    "Server",
    "Session",
    "TLSError",
    "TLSInfo",
    "TLSNotOffered",
    "Timeout",
    "TooLarge",
    "__version__",
    "scram_keys",
    "send",
    "send_mail",
]

# What is loaded when it is first used, and from where; the other names are exceptions.
_LATER = {
    "AsyncBody": "_stream",
    "Body": "_stream",
    "Credentials": "_session",
    "Discarded": "_session",
    "Envelope": "_session",
    "Limits": "_settings",
    "Reject": "_session",
    "Server": "_server",
    "Session": "_session",
    "TLS": "_settings",
    "scram_keys": "_settings",
}


def __getattr__(name):
    """Loads a name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_LATER.get(name, '_errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    """All public names, whether they were used yet or not."""
    return __all__

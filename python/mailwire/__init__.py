"""SMTP inside your program: send mail.

    import mailwire

    mailwire.send(message, "smtp://user:secret@mail.example.org")

Importing this takes no noticeable time: what needs smtplib is loaded when it is first used.
"""

from ._client import Client, send, send_mail
from ._native import __version__
from ._results import Reply, SendResult, TLSInfo

__all__ = [
    "AuthNotOffered",
    "AuthenticationError",
    "CertificateError",
    "Client",
    "ConnectError",
    "DataError",
    "DeliveryUnknown",
    "Disconnected",
    "Error",
    "HelloError",
    "InvalidArgument",
    "Misuse",
    "NotSupported",
    "PartialDelivery",
    "ProtocolError",
    "RecipientRefused",
    "RecipientsRefused",
    "Reply",
    "ResponseError",
    "SendResult",
    "SenderRefused",
    "TLSError",
    "TLSInfo",
    "TLSNotOffered",
    "Timeout",
    "TooLarge",
    "__version__",
    "send",
    "send_mail",
]


def __getattr__(name):
    """Loads a name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("._errors", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    """All public names, whether they were used yet or not."""
    return __all__

"""The exceptions of the package, each a subclass of the smtplib class of the same meaning.

This module is imported at the first error, or when one of its names is used: smtplib takes its time.
"""

import smtplib


class Error(smtplib.SMTPException):
    """Anything that went wrong. The text is one line: peer, phase, TLS, what happened, what the server said.

    `temporary`: the same may work later. `phase`: where in the session. `reply`: what the server said. `result`: what
    became of the message, once it had begun. `status`: the number that is the same in every language.
    """

    _status = 900

    def __init__(
        self,
        message="",
        *,
        status=None,
        temporary=False,
        phase=None,
        reply=None,
        peer=None,
        tls=None,
        result=None,
        errno=None,
        sender=None,
        recipient=None,
    ):
        """A text, and what is known about it."""
        OSError.__init__(self, message)
        self.message = message
        self.status = self._status if status is None else status
        self.temporary = temporary
        self.phase = phase
        self.reply = reply
        self.peer = peer
        self.tls = tls
        self.result = result
        self.errno = errno
        self.index = None
        # What the classes of smtplib have.
        if isinstance(self, smtplib.SMTPResponseException):
            self.smtp_code = reply.code if reply else -1
            self.smtp_error = (reply.text if reply else message).encode()
        if isinstance(self, smtplib.SMTPSenderRefused):
            self.sender = sender or ""
        if isinstance(self, smtplib.SMTPRecipientsRefused):
            failed = {**result.refused, **result.deferred} if result else {}
            self.recipients = {address: (one.smtp_code, one.smtp_error) for address, one in failed.items()}
        if isinstance(self, RecipientRefused):
            self.recipient = recipient or ""

    def __reduce__(self):
        """Pickles with everything it knows."""
        return _restore, (type(self), self.message, self.errno, self.__dict__.copy())

    def __str__(self):
        """The one line."""
        return self.message


def _restore(cls, message, errno, fields):
    error = cls(message)
    error.errno = errno
    error.__dict__.update(fields)
    return error


class InvalidArgument(Error, ValueError):
    """An argument is not acceptable; the text begins with its name. Nothing was sent."""

    _status = 1


class Misuse(Error, RuntimeError):
    """The call does not fit the state of the object: closed already, or made before a fork."""

    _status = 2


class ConnectError(Error, smtplib.SMTPConnectError):
    """No connection: the name is not known, nothing listens there, or the server turned us away."""


class HelloError(Error, smtplib.SMTPHeloError):
    """The server did not accept EHLO and HELO."""


class Disconnected(Error, smtplib.SMTPServerDisconnected):
    """The connection broke."""


class Timeout(Error, smtplib.SMTPServerDisconnected, TimeoutError):
    """A limit of time passed; `phase` says which."""


class DeliveryUnknown(Error, smtplib.SMTPServerDisconnected):
    """The message left and its reply was lost: it may have been accepted. Sending it again may duplicate it."""


class TLSError(Error):
    """The TLS handshake failed, or certificates given by the caller cannot be used."""


class CertificateError(TLSError):
    """The server's certificate is expired, for another name, or signed by nobody who is trusted."""


class TLSNotOffered(TLSError, smtplib.SMTPNotSupportedError):
    """TLS is required and the server does not offer it. Nothing was sent."""


class AuthenticationError(Error, smtplib.SMTPAuthenticationError):
    """The server did not accept the credentials, or wants some."""


class AuthNotOffered(AuthenticationError, smtplib.SMTPNotSupportedError):
    """Credentials were given and the server offers no way to use them."""


class SenderRefused(Error, smtplib.SMTPSenderRefused):
    """The server refused the sender."""


class RecipientsRefused(Error, smtplib.SMTPRecipientsRefused):
    """No recipient was accepted. `recipients` is as in smtplib, `result` says more."""


class RecipientRefused(Error, smtplib.SMTPResponseException):
    """Why one recipient did not get the message. A value in `SendResult.refused` and `.deferred`."""


class PartialDelivery(Error):
    """Some recipients got the message and others did not, and `on_refused` makes that an error. See `result`."""


class DataError(Error, smtplib.SMTPDataError):
    """The server refused the message itself."""


class TooLarge(DataError):
    """The message is larger than the server takes. Nothing was sent."""


class NotSupported(Error, smtplib.SMTPNotSupportedError):
    """The message needs an extension that the server does not offer. Nothing was sent."""


class ResponseError(Error, smtplib.SMTPResponseException):
    """The server refused another command."""


class ProtocolError(Error):
    """The other side broke the protocol."""


def from_native(message, fields):
    """The exception for an error of the engine's."""
    return _class_of(fields)(message, **fields)


# The engine's status numbers, where one class fits all.
_BY_STATUS = {
    1: InvalidArgument,
    2: Misuse,
    3: Misuse,
    4: Misuse,
    5: Misuse,
    101: ConnectError,
    105: ConnectError,
    106: Disconnected,
    102: Timeout,
    200: TLSError,
    201: TLSNotOffered,
    202: TLSError,
    203: CertificateError,
    204: CertificateError,
    205: CertificateError,
    206: CertificateError,
    207: CertificateError,
    208: TLSError,
    300: AuthenticationError,
    301: AuthNotOffered,
    302: AuthNotOffered,
    303: AuthenticationError,
    304: AuthenticationError,
    501: TooLarge,
    502: NotSupported,
    600: ProtocolError,
    700: PartialDelivery,
}

# Where a server said no.
_BY_PHASE = {
    "greeting": ConnectError,
    "hello": HelloError,
    "starttls": TLSError,
    "auth": AuthenticationError,
    "mail": SenderRefused,
    "rcpt": RecipientsRefused,
    "data": DataError,
    "body": DataError,
    "end_of_data": DataError,
}


def _class_of(fields):
    status, phase, result = fields["status"], fields["phase"], fields["result"]
    if result is not None and result.unknown:
        return DeliveryUnknown
    if status in (400, 500):
        return _BY_PHASE.get(phase, ResponseError)
    if status == 100:
        # Without a phase there was no session: a listener that cannot listen.
        return {None: Error, "resolve": ConnectError, "connect": ConnectError}.get(phase, Disconnected)
    return _BY_STATUS.get(status, Error)

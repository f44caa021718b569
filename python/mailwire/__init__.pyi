# The typed surface of the package. What a name does stands in its docstring.
import os
import smtplib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage, Message
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import socket
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypedDict

from typing_extensions import Self, Unpack

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
__version__: str

_Path: TypeAlias = str | os.PathLike[str]

class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...

_Source: TypeAlias = (
    Message[Any, Any] | bytes | bytearray | memoryview | str | os.PathLike[str] | _Reader | Iterable[bytes]
)
_Addresses: TypeAlias = str | Iterable[str]
_Network: TypeAlias = str | IPv4Address | IPv4Network | IPv6Address | IPv6Network
_Networks: TypeAlias = _Network | Iterable[_Network]
_Attachment: TypeAlias = _Path | tuple[str, bytes] | tuple[str, bytes, str]
_Phase: TypeAlias = Literal[
    "pool",
    "resolve",
    "connect",
    "tls",
    "greeting",
    "hello",
    "starttls",
    "auth",
    "mail",
    "rcpt",
    "data",
    "body",
    "end_of_data",
    "command",
    "quit",
    "idle",
    "answer",
]

# Those that prove a password.
_Mechanism: TypeAlias = Literal[
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "CRAM-MD5",
    "PLAIN",
    "LOGIN",
]

class _ConnectionOptions(TypedDict, total=False):
    username: str | None
    password: str | None
    login: Literal["external", "anonymous"] | None
    auth: _Mechanism | Iterable[_Mechanism] | None
    tls: Literal["auto", "implicit", "required", "opportunistic", "none"] | None
    verify: bool | None
    tls_name: str | None
    ca: _Path | None
    extra_ca: _Path | None
    pin: str | None
    client_cert: _Path | tuple[_Path, _Path] | None
    allow_plaintext_auth: bool | None
    timeout: float | None
    deadline: float | None
    connect_timeout: float | None
    local_hostname: str | None
    source_address: str | None
    proxy: str | None
    send_proxy_header: Literal["v1", "v2"] | None
    line_ends: Literal["normalise", "refuse"] | None
    on_refused: Literal["raise_if_all", "raise_if_any", "never"] | None
    all_or_nothing: bool | None
    transfer: Literal["auto", "data", "bdat"] | None
    max_in_flight: int | None
    max_octets_in_flight: int | None
    max_octets_ahead: int | None

class _ClientOptions(_ConnectionOptions, total=False):
    max_connections: int | None
    idle_timeout: float | None
    max_age: float | None
    max_messages: int | None
    max_messages_per_second: float | None
    max_recipients_per_second: float | None

class _SendOptions(_ConnectionOptions, total=False):
    mail_options: Iterable[str]
    rcpt_options: Iterable[str]

class _RequiredItem(TypedDict):
    message: _Source

class _Item(_RequiredItem, total=False):
    sender: str | None
    recipients: _Addresses | None
    mail_options: Iterable[str]
    rcpt_options: Iterable[str]

# Sending

def scram_keys(
    password: str, *, mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-1"] = "SCRAM-SHA-256", iterations: int = 4096
) -> str: ...
def send(
    message: _Source,
    /,
    server: str | Client | None = None,
    *,
    sender: str | None = None,
    recipients: _Addresses | None = None,
    mail_options: Iterable[str] = (),
    rcpt_options: Iterable[str] = (),
    **options: Unpack[_ConnectionOptions],
) -> SendResult: ...
def send_mail(
    subject: str,
    text: str | None = None,
    *,
    html: str | None = None,
    sender: str,
    to: _Addresses,
    cc: _Addresses = (),
    bcc: _Addresses = (),
    reply_to: _Addresses | None = None,
    attachments: Iterable[_Attachment] = (),
    inline: Mapping[str, _Path | tuple[bytes, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    server: str | Client | None = None,
    **send_options: Unpack[_SendOptions],
) -> SendResult: ...

class Client:
    def __init__(self, server: str | None = None, **options: Unpack[_ClientOptions]) -> None: ...
    def send(
        self,
        message: _Source,
        /,
        *,
        sender: str | None = None,
        recipients: _Addresses | None = None,
        mail_options: Iterable[str] = (),
        rcpt_options: Iterable[str] = (),
    ) -> SendResult: ...
    def send_many(self, items: Iterable[_Source | _Item], /) -> Iterator[SendResult | Exception]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

# Results

class Reply(NamedTuple):
    code: int
    text: str = ""
    enhanced: str | None = None
    lines: tuple[str, ...] = ()

class TLSInfo(NamedTuple):
    version: str
    cipher: str
    server_name: str | None = None
    peer_certificate: bytes | None = None

class SendResult:
    reply: Reply | None
    queue_id: str | None
    message_id: str | None
    tls: TLSInfo | None
    index: int | None
    def __init__(
        self,
        recipients: Sequence[tuple[str, str, Reply | None, str | None]],
        reply: Reply | None = None,
        queue_id: str | None = None,
        message_id: str | None = None,
        tls: TLSInfo | None = None,
    ) -> None: ...
    @property
    def accepted(self) -> dict[str, Reply]: ...
    @property
    def refused(self) -> dict[str, RecipientRefused]: ...
    @property
    def deferred(self) -> dict[str, RecipientRefused]: ...
    @property
    def unknown(self) -> tuple[str, ...]: ...
    @property
    def not_tried(self) -> tuple[str, ...]: ...

# Hosting a listener

# What a hook says.
_Answer: TypeAlias = Reply | str | int | None

class Limits:
    size: int | None
    recipients: int | None
    connections: int | None
    per_ip: int | None
    body_memory: int | None
    body_memory_per_address: int | None
    least_rate: int | None
    idle: float | None
    session: float | None
    handshake: float | None
    answer_timeout: float | None
    commands: int | None
    bad_commands: int | None
    auth_failures: int | None
    auth_failures_per_address: int | None
    auth_failures_per_account: int | None
    auth_lockout: float | None
    auth_delay: float | None
    connections_per_minute: int | None
    messages_per_minute: int | None
    recipients_per_minute: int | None
    command_line: int | None
    auth_line: int | None
    max_hops: int | None
    def __init__(
        self,
        *,
        size: int | None = None,
        recipients: int | None = None,
        connections: int | None = None,
        per_ip: int | None = None,
        body_memory: int | None = None,
        body_memory_per_address: int | None = None,
        least_rate: int | None = None,
        idle: float | None = None,
        session: float | None = None,
        handshake: float | None = None,
        answer_timeout: float | None = None,
        commands: int | None = None,
        bad_commands: int | None = None,
        auth_failures: int | None = None,
        auth_failures_per_address: int | None = None,
        auth_failures_per_account: int | None = None,
        auth_lockout: float | None = None,
        auth_delay: float | None = None,
        connections_per_minute: int | None = None,
        messages_per_minute: int | None = None,
        recipients_per_minute: int | None = None,
        command_line: int | None = None,
        auth_line: int | None = None,
        max_hops: int | None = None,
    ) -> None: ...

class TLS:
    @classmethod
    def from_files(
        cls,
        cert: _Path,
        key: _Path | None = None,
        client_ca: _Path | None = None,
        *,
        sni: Mapping[str, tuple[_Path, _Path]] | None = None,
    ) -> Self: ...
    @classmethod
    def from_pem(
        cls,
        cert: bytes,
        key: bytes,
        client_ca: bytes | None = None,
        *,
        sni: Mapping[str, tuple[bytes, bytes]] | None = None,
    ) -> Self: ...
    @classmethod
    def self_signed(cls, names: str | Iterable[str]) -> Self: ...
    @property
    def certificate(self) -> str | None: ...

class Session:
    state: dict[Any, Any]
    handler: Any
    def __init__(self, info: Any) -> None: ...
    @property
    def id(self) -> int: ...
    @property
    def peer(self) -> str: ...
    @property
    def helo(self) -> str | None: ...
    @property
    def tls(self) -> TLSInfo | None: ...
    @property
    def user(self) -> str | None: ...

class Envelope:
    sender: str
    recipients: tuple[str, ...]
    options: dict[str, str | None]
    rcpt_options: tuple[dict[str, str | None], ...]
    session: Session | None
    queue_id: str | None
    size: int
    def __init__(
        self,
        sender: str,
        recipients: Iterable[str],
        body: bytes = b"",
        *,
        options: Mapping[str, str | None] | None = None,
        rcpt_options: Iterable[Mapping[str, str | None]] | None = None,
        session: Session | None = None,
        queue_id: str | None = None,
    ) -> None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def received_at(self) -> datetime: ...
    def as_message(self) -> EmailMessage: ...

class Body:
    def __init__(self, loop: Any, event: Any, envelope: Envelope) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def read(self, size: int | None = -1, /) -> bytes: ...

class AsyncBody:
    def __init__(self, loop: Any, event: Any, envelope: Envelope) -> None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> bytes: ...
    async def read(self, size: int | None = -1, /) -> bytes: ...

class Credentials:
    username: str
    password: str
    proof: Literal["password", "token", "certificate", "nothing"]
    authorization_identity: str | None
    def __init__(
        self,
        username: str,
        password: str,
        proof: Literal["password", "token", "certificate", "nothing"] = "password",
        authorization_identity: str | None = None,
    ) -> None: ...

class Discarded(Exception): ...

class Reject(Exception):
    reply: Reply
    def __init__(self, code: int, text: str = "", enhanced: str | None = None) -> None: ...

class Server:
    def __init__(
        self,
        handler: object | None = None,
        host: str | Iterable[str] = "127.0.0.1",
        port: int = 0,
        *,
        unix: _Path | None = None,
        sockets: Iterable[socket] | None = None,
        reuse_port: bool = False,
        protocol: Literal["smtp", "lmtp"] = "smtp",
        domains: str | Iterable[str] | None = None,
        trusted_networks: _Networks | None = None,
        bind_sender: bool = False,
        proxy_protocol: _Networks | None = None,
        xclient: _Networks | None = None,
        disposition: str | None = None,
        tls: TLS | None = None,
        implicit_tls: bool = False,
        require_tls: bool = False,
        auth: Mapping[str, str] | Callable[[Session, Credentials], _Answer | Awaitable[_Answer]] | None = None,
        user_keys: Mapping[str, str | Iterable[str]] | None = None,
        mechanisms: str | Iterable[str] | None = None,
        auth_required: bool = False,
        allow_plaintext_auth: bool = False,
        limits: Limits | None = None,
        hostname: str | None = None,
        received: bool = False,
        add_missing: bool = False,
        line_ends: Literal["normalise", "refuse"] = "refuse",
        lenient_line_ends: bool = False,
        strict_spaces: bool = False,
        workers: int = 1,
        threads: int = 4,
        options: Mapping[str, str | float] | Iterable[tuple[str, str | float]] | None = None,
    ) -> None: ...
    def start(self) -> Self: ...
    def stop(self, grace: float | None = None) -> None: ...
    def serve_forever(self) -> None: ...
    def messages(self, timeout: float | None = None) -> Iterator[Envelope]: ...
    def reload_tls(self, tls: TLS) -> None: ...
    @property
    def address(self) -> Any: ...
    @property
    def addresses(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def port(self) -> int: ...
    @property
    def stats(self) -> dict[str, int]: ...
    def metrics(self) -> str: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

# Exceptions

class Error(smtplib.SMTPException):
    message: str
    status: int
    temporary: bool
    phase: _Phase | None
    reply: Reply | None
    peer: str | None
    tls: TLSInfo | None
    result: SendResult | None
    index: int | None
    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        temporary: bool = False,
        phase: _Phase | None = None,
        reply: Reply | None = None,
        peer: str | None = None,
        tls: TLSInfo | None = None,
        result: SendResult | None = None,
        errno: int | None = None,
        sender: str | None = None,
        recipient: str | None = None,
    ) -> None: ...

class InvalidArgument(Error, ValueError): ...
class Misuse(Error, RuntimeError): ...
class ConnectError(Error, smtplib.SMTPConnectError): ...
class HelloError(Error, smtplib.SMTPHeloError): ...
class Disconnected(Error, smtplib.SMTPServerDisconnected): ...
class Timeout(Error, smtplib.SMTPServerDisconnected, TimeoutError): ...
class DeliveryUnknown(Error, smtplib.SMTPServerDisconnected): ...
class TLSError(Error): ...
class CertificateError(TLSError): ...
class TLSNotOffered(TLSError, smtplib.SMTPNotSupportedError): ...
class AuthenticationError(Error, smtplib.SMTPAuthenticationError): ...
class AuthNotOffered(AuthenticationError, smtplib.SMTPNotSupportedError): ...
class SenderRefused(Error, smtplib.SMTPSenderRefused): ...
class RecipientsRefused(Error, smtplib.SMTPRecipientsRefused): ...

class RecipientRefused(Error, smtplib.SMTPResponseException):
    recipient: str

class PartialDelivery(Error): ...
class DataError(Error, smtplib.SMTPDataError): ...
class TooLarge(DataError): ...
class NotSupported(Error, smtplib.SMTPNotSupportedError): ...
class ResponseError(Error, smtplib.SMTPResponseException): ...
class ProtocolError(Error): ...

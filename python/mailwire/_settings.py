"""What a `Server` is set up with: its limits and its certificates."""

from . import _native
from ._errors import InvalidArgument
from ._message import addresses, octets, path, text, whole, wrong

# What the engine calls them, where Python is shorter.
_NAMES = {
    "size": "max_message_size",
    "recipients": "max_recipients",
    "connections": "max_connections",
    "per_ip": "connections_per_address",
    "idle": "idle_timeout",
    "session": "session_timeout",
    "handshake": "handshake_timeout",
    "commands": "max_idle_commands",
    "bad_commands": "max_bad_commands",
    "auth_failures": "max_auth_failures",
}

# Those that are times.
_SECONDS = {"idle", "session", "handshake", "answer_timeout", "auth_lockout", "auth_delay"}

# Of `connections`, where the engine is not told.
_CONNECTIONS = 1000


class Limits:
    """The limits of a server. One that is not given has its default.

    `size`: octets of a message (50 MiB). `recipients` of a transaction (1000). `connections` at a time (1000), `per_ip`
    from one address, or of IPv6 from one /64 network (100). `body_memory`: octets of messages held over all sessions
    (256 MiB), and of long lists of recipients, of which one address may have `body_memory_per_address` (a quarter, or
    what one message of `size` takes if that is more). `least_rate`: octets a second that a client must send of a
    message, on average (64). In seconds: `idle`, the wait for the next command (300); `session`, all of it (86400);
    `handshake` of TLS (60); `answer_timeout` for a handler's answer (300).

    In one session: `commands` that bring no mail (200), `bad_commands` (20), `auth_failures` (3). Logins that fail: within
    `auth_lockout` seconds (300) `auth_failures_per_address` (30) and `auth_failures_per_account` (10) before nobody logs in
    there, and at most `auth_delay` seconds (4) of waiting before the next. One that its client gives up once its user was
    looked up, as with SCRAM, counts for its address. An account is not locked at the last four addresses from where its last
    login succeeded, within seven days; an address's own lock holds there too. A number of failures that is 0, or an
    `auth_delay` of 0, turns that off; `auth_lockout` is more than 0. `connections_per_minute` from one address, and
    `messages_per_minute` and `recipients_per_minute` in all its sessions: 0 (the default) is no limit. Connections beyond a
    limit are greeted with 421, or closed without a word where TLS comes first; a proxy of `proxy_protocol` or `xclient` is
    not counted by address, but whom it tells. `command_line`: octets of a command with its
    CRLF (4096), from 512 to 32768. `auth_line`: octets of a line of AUTH with its CRLF, from 512 to 12290 (the default).
    `max_hops`: Received fields in a message, beyond which it goes in circles and is refused (100).
    """

    __slots__ = (
        "answer_timeout",
        "auth_delay",
        "auth_failures",
        "auth_failures_per_account",
        "auth_failures_per_address",
        "auth_line",
        "auth_lockout",
        "bad_commands",
        "body_memory",
        "body_memory_per_address",
        "command_line",
        "commands",
        "connections",
        "connections_per_minute",
        "handshake",
        "idle",
        "least_rate",
        "max_hops",
        "messages_per_minute",
        "per_ip",
        "recipients",
        "recipients_per_minute",
        "session",
        "size",
    )

    def __init__(
        self,
        *,
        size=None,
        recipients=None,
        connections=None,
        per_ip=None,
        body_memory=None,
        body_memory_per_address=None,
        least_rate=None,
        idle=None,
        session=None,
        handshake=None,
        answer_timeout=None,
        commands=None,
        bad_commands=None,
        auth_failures=None,
        auth_failures_per_address=None,
        auth_failures_per_account=None,
        auth_lockout=None,
        auth_delay=None,
        connections_per_minute=None,
        messages_per_minute=None,
        recipients_per_minute=None,
        command_line=None,
        auth_line=None,
        max_hops=None,
    ):
        """Limits; they are checked when a server is made with them."""
        self.size = size
        self.recipients = recipients
        self.connections = connections
        self.per_ip = per_ip
        self.body_memory = body_memory
        self.body_memory_per_address = body_memory_per_address
        self.least_rate = least_rate
        self.idle = idle
        self.session = session
        self.handshake = handshake
        self.answer_timeout = answer_timeout
        self.commands = commands
        self.bad_commands = bad_commands
        self.auth_failures = auth_failures
        self.auth_failures_per_address = auth_failures_per_address
        self.auth_failures_per_account = auth_failures_per_account
        self.auth_lockout = auth_lockout
        self.auth_delay = auth_delay
        self.connections_per_minute = connections_per_minute
        self.messages_per_minute = messages_per_minute
        self.recipients_per_minute = recipients_per_minute
        self.command_line = command_line
        self.auth_line = auth_line
        self.max_hops = max_hops

    def _given(self):
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in values if value is not None}

    def _settings(self):
        """As the engine takes them."""
        for name, value in self._given().items():
            if isinstance(value, (int, float)) and (value < 0 or (value == 0 and name in _SECONDS - {"auth_delay"})):
                unit = " seconds" if name in _SECONDS else ""
                raise InvalidArgument(f"{name}: {value}{unit} is no useful limit")
        return [(_NAMES.get(name, name), str(value)) for name, value in self._given().items()]

    def __repr__(self):
        """Those that were given."""
        return f"Limits({', '.join(f'{name}={value!r}' for name, value in self._given().items())})"


def limit_of(setting):
    """What `Limits` calls a setting of the engine's."""
    return next((name for name, known in _NAMES.items() if known == setting), setting)


def most_connections(settings):
    """How many connections a server with these settings, which the engine has taken, may have at a time."""
    return int(dict(settings).get(_NAMES["connections"], _CONNECTIONS))


def scram_keys(password, *, mechanism="SCRAM-SHA-256", iterations=4096):
    """Gives what a server should keep of a password instead of it: a text for `user_keys` of a `Server`.

    The form is that of RFC 5803, with a random salt. `mechanism` is "SCRAM-SHA-256" or "SCRAM-SHA-1". Clients want 4096
    `iterations` at least, and each login costs them as many. Keep the text as you would keep the password: who has it can
    pass for the server, and can try passwords at leisure.
    """
    rounds = whole(iterations, "iterations")
    if not 4096 <= rounds < 2**32:
        raise InvalidArgument(f"iterations: {rounds} is no useful number; at least 4096 are needed")
    return _native.scram_keys(text(password, "password"), text(mechanism, "mechanism"), rounds)


class TLS:
    """The certificates of a server, and their private keys. PEM, as certificate authorities give it."""

    __slots__ = ("_certificate", "_native")

    def __init__(self):
        """Is not called: use `from_files`, `from_pem` or `self_signed`."""
        raise TypeError("use TLS.from_files(cert, key), TLS.from_pem(cert, key) or TLS.self_signed(names)")

    @classmethod
    def from_files(cls, cert, key=None, client_ca=None, *, sni=None):
        """From files: the chain with the server's own certificate first, and its key, which without `key` is in the same file.

        With `client_ca`, clients are asked for a certificate; one that they show must lead to these roots. `sni` is a dict of
        host names, or such as "*.example.org", and (cert, key) that are shown to clients which ask for that name; all others
        see the first.
        """
        return cls._of(path, cert, cert if key is None else key, client_ca, sni)

    @classmethod
    def from_pem(cls, cert, key, client_ca=None, *, sni=None):
        """The same from the text itself, as bytes."""
        return cls._of(octets, cert, key, client_ca, sni)

    @classmethod
    def self_signed(cls, names):
        """One for development and tests, made in memory: for these host names and IP addresses, signed by its own key.

        `names` are such as ["localhost", "127.0.0.1"]; one alone may stand for itself. It is good for 30 days, and each call makes
        another one. Nobody trusts it but clients that have its `certificate` for a root.
        """
        self = object.__new__(cls)
        self._certificate, self._native = _native.self_signed(addresses(names, "names"))
        return self

    @property
    def certificate(self):
        """What `self_signed` has made, without its key, as PEM text for clients to trust; None of what came from elsewhere.

        Python's own clients take it by `ssl.create_default_context(cadata=tls.certificate)`, those of this package by `ca`, which
        is the path of a file with it.
        """
        return self._certificate

    @classmethod
    def _of(cls, convert, cert, key, client_ca, sni):
        self = object.__new__(cls)
        roots = None if client_ca is None else convert(client_ca, "client_ca")
        if sni is not None and not hasattr(sni, "items"):
            raise wrong("sni", "a dict of names and pairs of certificate and key", sni)
        named = []
        for name, pair in (sni or {}).items():
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise wrong("sni", "a pair of certificate and key for each name", pair)
            named.append((text(name, "sni"), convert(pair[0], "sni: a certificate"), convert(pair[1], "sni: a key")))
        self._certificate = None
        self._native = _native.ServerTls(convert(cert, "cert"), convert(key, "key"), roots, named)
        return self

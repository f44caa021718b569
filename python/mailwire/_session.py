"""What a server's handler is given and gives back: sessions, envelopes, credentials, refusals."""

import time

from ._message import whole
from ._results import Reply


class Session:
    """One client's connection to a server. The same object in every hook of the connection; `state` is the handler's own.

    Where a host of `xclient` goes on with another client in the same connection, that one has a `Session` of its own, with the same `id`
    and an empty `state`, and a handler of its own where that is a class. `connect` is called for it; `disconnect` only for the last one.
    """

    __slots__ = ("_info", "handler", "state")

    def __init__(self, info):
        """From what the engine knows."""
        self._info = info
        self.state = {}
        self.handler = None

    @property
    def id(self):
        """A number that no other session of the server has had since it was started."""
        return self._info.id

    @property
    def peer(self):
        """The client's address, as '192.0.2.1:1234'; 'local socket' at a Unix socket, and 'unknown' where XCLIENT tells none."""
        return self._info.peer

    @property
    def helo(self):
        """What the client called itself, which nobody has verified; None before it did."""
        return self._info.helo

    @property
    def tls(self):
        """The state of TLS; None in clear."""
        return self._info.tls

    @property
    def user(self):
        """The user who has authenticated; None if nobody has."""
        return self._info.user

    def __repr__(self):
        """Peer and user."""
        return f"<Session {self.id} from {self.peer}{f' as {self.user}' if self.user else ''}>"


class Envelope:
    """A message that arrived: what MAIL and RCPT said, and the message itself.

    `sender` is empty for the null reverse-path. `options` are those of MAIL, as {"SIZE": "100"}, and `rcpt_options` those of RCPT, one
    such dict for each of `recipients`; a keyword without a value, as SMTPUTF8, has None. `received_at` is when the message
    was complete, in UTC. `session` is the client's. `queue_id` is the message's id in its Received field and in what the
    client is told, "queued as", as `SendResult.queue_id` has it there; None unless the server has `received`.

    Whoever keeps it when the hook has answered has the message for itself: it does not count as `limits.body_memory` any more.

    In a `stream` hook `size` is what was read so far, and the message is not here but in the hook's third argument.
    """

    __slots__ = (
        "__weakref__",
        "_content",
        "_received",
        "options",
        "queue_id",
        "rcpt_options",
        "recipients",
        "sender",
        "session",
        "size",
    )

    def __init__(self, sender, recipients, body=b"", *, options=None, rcpt_options=None, session=None, queue_id=None):
        """An envelope, for example to test a handler with."""
        self.sender = sender
        self.recipients = tuple(recipients)
        self.options = dict(options or {})
        self.rcpt_options = tuple(map(dict, rcpt_options)) if rcpt_options else tuple({} for _ in self.recipients)
        self.session = session
        self.queue_id = queue_id
        self.size = 0 if body is None else len(body)
        self._received = time.time()
        self._content = body

    @property
    def body(self):
        """The message: header and body, with CRLF line ends."""
        content = self._content
        if content is None:
            from ._errors import Misuse

            raise Misuse("body: the message still comes; a `stream` hook reads it from its third argument")
        # What the engine holds becomes bytes when they are first asked for.
        return content if isinstance(content, bytes) else content.bytes()

    def _keep(self):
        """Takes the message out of the engine's memory, if it is there: the one copy that its first use would make."""
        if self._content is not None:
            _ = self.body

    @property
    def received_at(self):
        """When the message was complete, as an aware datetime in UTC."""
        from datetime import datetime, timezone

        return datetime.fromtimestamp(self._received, timezone.utc)

    def as_message(self):
        """The message as an `email.message.EmailMessage`."""
        from email import message_from_bytes, policy

        return message_from_bytes(self.body, policy=policy.default)

    def __repr__(self):
        """Sender, recipients and size."""
        return f"<Envelope from {self.sender or '<>'} to {', '.join(self.recipients)}: {self.size} octets>"


class Credentials:
    """What a client said in AUTH. The password is not in the repr.

    `proof` is what stands behind `username`: a "password"; a "token" of OAuth 2.0, which is in `password`; the "certificate"
    that the client has shown (EXTERNAL), whose fingerprint, `sha256:` and 64 digits, is the name; or "nothing" (ANONYMOUS).
    `password` is empty with the last two. `authorization_identity` is whom the client wants to act as, if it said so. Only with a
    certificate can it be somebody else than `username`, and is then the session's user if this is accepted.
    """

    __slots__ = ("authorization_identity", "password", "proof", "username")

    def __init__(self, username, password, proof="password", authorization_identity=None):
        """Credentials, for example to test a handler with."""
        self.username = username
        self.password = password
        self.proof = proof
        self.authorization_identity = authorization_identity

    def __repr__(self):
        """The name alone."""
        return f"<Credentials of {self.username!r}>"


class Discarded(Exception):
    """Raised where a `stream` hook reads a message that will not come whole: what came of it is to be dropped.

    The client is gone or was too slow, the message is too big or has a bare CR or LF, or the client gave it up. A hook may let it pass:
    it goes neither to `error` nor to the log, and what the hook returns is told to nobody.
    """


class Reject(Exception):
    """Raised in a hook to refuse: `raise Reject(550, "5.1.1 No such user")`."""

    def __init__(self, code, text="", enhanced=None):
        """A code from 400 to 599, a text, and an enhanced status code, which may stand at the text's beginning instead."""
        if not 400 <= whole(code, "code") <= 599:
            from ._errors import InvalidArgument

            raise InvalidArgument(f"code: {code} refuses nothing; 400 to 499 does for now, 500 to 599 for good")
        super().__init__(code, text, enhanced)
        self.reply = reply_of(f"{code} {text}".rstrip()) if enhanced is None else Reply(code, text, enhanced)


def reply_of(value):
    """The reply that a hook's answer stands for, which is not False. None: accept."""
    if value is None or value is True:
        return None
    reply = _reply(value)
    if not (200 <= reply.code <= 299 or 400 <= reply.code <= 599):
        raise ValueError("a reply has a code from 200 to 299, or from 400 to 599")
    return reply


def _reply(value):
    if isinstance(value, Reply):
        return value
    if isinstance(value, int):
        return Reply(value, _USUAL.get(value // 100, ""))
    if isinstance(value, str):
        return _parsed(value)
    raise TypeError(f"a hook returns None, bool, Reply, int or str, not {type(value).__name__}")


# What a code alone says.
_USUAL = {2: "OK", 4: "Try again later", 5: "Refused"}


def _parsed(line):
    code, _, text = line.partition(" ")
    if len(code) != 3 or not _is_number(code):
        raise ValueError("a reply begins with three digits")
    enhanced, _, rest = text.partition(" ")
    parts = enhanced.split(".")
    if len(parts) == 3 and all(map(_is_number, parts)):
        return Reply(int(code), rest, enhanced)
    return Reply(int(code), text) if text else _reply(int(code))


def _is_number(text):
    """Whether these are digits of ASCII: other scripts have digits too."""
    return text.isascii() and text.isdigit()

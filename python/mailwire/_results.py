"""What a send gives back: replies, TLS, and what became of each recipient. Plain values, which pickle."""

from _collections import _tuplegetter  # what namedtuple is made of, without the cost of importing it


class _Fields(tuple):
    """What a named tuple has besides its fields."""

    __slots__ = ()

    @classmethod
    def _make(_cls, iterable):
        return _cls(*iterable)

    def _asdict(_self):
        return dict(zip(_self._fields, _self, strict=True))

    def _replace(_self, **changes):
        return _self._make({**_self._asdict(), **changes}.values())

    def __getnewargs__(self):
        """What pickle makes it from again."""
        return tuple(self)


class Reply(_Fields):
    """What a server says to a command: a code, a text, perhaps an enhanced status code.

    A handler may return one. `lines` may then be left out: they are those of `text`, with LF between.
    """

    __slots__ = ()
    __match_args__ = _fields = ("code", "text", "enhanced", "lines")
    code = _tuplegetter(0, "The three digits.")
    text = _tuplegetter(1, "The text; several lines are joined by LF.")
    enhanced = _tuplegetter(2, "The enhanced status code, as '5.1.1'; None where there is none.")
    lines = _tuplegetter(3, "The lines of the text.")

    def __new__(_cls, code, text="", enhanced=None, lines=()):
        """A reply; without `lines` they are those of the text."""
        if not isinstance(code, int):
            raise TypeError(f"code: int is needed, not {type(code).__name__}")
        if not isinstance(text, str):
            raise TypeError(f"text: str is needed, not {type(text).__name__}")
        return tuple.__new__(_cls, (code, text, enhanced, tuple(lines) or tuple(text.split("\n"))))

    def __repr__(self):
        """Its fields by name."""
        return f"Reply(code={self.code!r}, text={self.text!r}, enhanced={self.enhanced!r})"

    def __str__(self):
        """As on the wire, in one line."""
        words = (str(self.code), self.enhanced, self.text.replace("\n", " "))
        return " ".join(word for word in words if word)


class TLSInfo(_Fields):
    """The state of TLS on a connection."""

    __slots__ = ()
    __match_args__ = _fields = ("version", "cipher", "server_name", "peer_certificate")
    version = _tuplegetter(0, "As 'TLSv1.3'.")
    cipher = _tuplegetter(1, "The cipher suite's name.")
    server_name = _tuplegetter(2, "The name that the client asked for; None where it named none.")
    peer_certificate = _tuplegetter(3, "The other side's certificate in DER; None where it showed none.")

    def __new__(_cls, version, cipher, server_name=None, peer_certificate=None):
        """The state of TLS on a connection."""
        return tuple.__new__(_cls, (version, cipher, server_name, peer_certificate))

    def __repr__(self):
        """Its fields by name, without the certificate."""
        return f"TLSInfo(version={self.version!r}, cipher={self.cipher!r}, server_name={self.server_name!r})"


class SendResult:
    """What became of one message, recipient by recipient.

    `reply` is the last reply about the message as a whole, `queue_id` what the server said it calls the message,
    `message_id` the message's own, `tls` the state of TLS on its connection (None in clear), `index` the message's
    place in `send_many`.
    """

    __slots__ = ("_recipients", "index", "message_id", "queue_id", "reply", "tls")

    def __init__(self, recipients, reply=None, queue_id=None, message_id=None, tls=None):
        """From (address, result, reply, phase) of each recipient."""
        self._recipients = recipients
        self.reply = reply
        self.queue_id = queue_id
        self.message_id = message_id
        self.tls = tls
        self.index = None

    @property
    def accepted(self):
        """The recipients that the server has taken responsibility for, with its replies."""
        return {address: reply for address, result, reply, _ in self._recipients if result == "accepted"}

    @property
    def refused(self):
        """The recipients that were refused for good (5yz), with the reasons."""
        return self._failed("refused")

    @property
    def deferred(self):
        """The recipients that were refused for now (4yz), with the reasons. Sending again later is safe."""
        return self._failed("deferred")

    @property
    def unknown(self):
        """The recipients that may or may not have got the message: its reply was lost. Sending again may duplicate it."""
        return self._addresses("unknown")

    @property
    def not_tried(self):
        """The recipients that nothing was decided about. Sending again is safe."""
        return self._addresses("not tried")

    def _addresses(self, wanted):
        return tuple(address for address, result, _, _ in self._recipients if result == wanted)

    def _failed(self, wanted):
        failed = [one for one in self._recipients if one[1] == wanted]
        if not failed:
            return {}
        from ._errors import RecipientRefused

        return {
            address: RecipientRefused(
                f"{address}: {reply}", recipient=address, reply=reply, phase=phase, temporary=wanted == "deferred"
            )
            for address, _, reply, phase in failed
        }

    def __repr__(self):
        """How many recipients have which result."""
        counts = {}
        for _, result, _, _ in self._recipients:
            counts[result] = counts.get(result, 0) + 1
        text = ", ".join(f"{count} {result}" for result, count in counts.items())
        return f"<SendResult: {text or 'no recipients'}>"

"""A message that a `stream` hook reads while it comes."""

import time

from ._errors import Misuse
from ._session import Discarded


class Body:
    """A message that still comes: header and body, with CRLF line ends.

    Iterating gives pieces, `bytes` of any size as they arrive; `read` gives as many octets as are asked for. The client may send once
    something is read, and sends no faster than that: 256 KiB at the most wait here. Where the message will not come whole `Discarded`
    is raised. It is for one thread at a time, until the hook has returned. In the child of a fork it reads nothing more: `Misuse`.
    """

    __slots__ = ("_beginning", "_end", "_envelope", "_is_lost", "_reading", "_rest")

    def __init__(self, event, envelope):
        """From the event with which it begins."""
        self._beginning = event
        self._reading = event.reading
        self._envelope = envelope
        self._rest = memoryview(b"")
        self._end = None
        self._is_lost = False

    def __iter__(self):
        """Itself."""
        return self

    def __next__(self):
        """The next piece."""
        piece, self._rest = bytes(self._rest) or self._piece(), memoryview(b"")
        if not piece:
            raise StopIteration
        return piece

    def read(self, size=-1, /):
        """Reads `size` octets, which are waited for; fewer at the end, and then none. Without `size`, all that is left."""
        if size is None or size < 0:
            return b"".join(self)
        parts = []
        while size > 0 and (self._rest or self._fill()):
            part, self._rest = self._rest[:size], self._rest[size:]
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _fill(self):
        self._rest = memoryview(self._piece())
        return self._rest

    def _piece(self):
        """The next piece; empty at the end."""
        if self._end is None:
            event = self._next()
            if event.kind == "chunk":
                piece = event.octets
                self._envelope.size += len(piece)
                # The engine's memory goes back with the event.
                return piece
            self._finish(event)
        return b""

    def _next(self):
        """The next event of the message. The first call has the client send it."""
        if self._is_lost:
            raise Discarded("the message will not come whole")
        self._reading.check()
        beginning, self._beginning = self._beginning, None
        try:
            if beginning is not None:
                beginning.accept()
        except Misuse:
            # The client is gone, or was told 451: it has not waited.
            event = None
        else:
            event = self._reading.next()
        if event is None or event.kind == "discarded":
            self._is_lost = True
            raise Discarded("the message will not come whole")
        return event

    def _finish(self, event):
        self._end = event
        self._envelope._received = time.time()

    def _settled(self, refusal):
        """The event that owes the answers to the message, or None if nobody waits for them any more.

        What the hook has not read is read here, or refused if that is the answer.
        """
        if self._beginning is not None and refusal is not None:
            return self._beginning
        try:
            while self._end is None:
                event = self._next()
                if event.kind != "chunk":
                    self._finish(event)
                elif refusal is not None:
                    event.reply(refusal.code, refusal.enhanced, list(refusal.lines))
                    refusal = None
        except Discarded:
            return None
        return self._end

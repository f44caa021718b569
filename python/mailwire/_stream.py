"""A message that a `stream` hook reads while it comes."""

import time
from functools import partial

from ._answers import said
from ._errors import Misuse
from ._loop import settle
from ._session import Discarded


class _Coming:
    """A message that still comes, piece by piece. How its pieces are waited for, `_waited` says."""

    __slots__ = ("_beginning", "_end", "_envelope", "_is_lost", "_is_over", "_loop", "_reading", "_rest")

    def __init__(self, loop, event, envelope):
        """From the event with which it begins, on a server's loop."""
        self._loop = loop
        self._beginning = event
        self._reading = event.reading
        self._envelope = envelope
        self._rest = memoryview(b"")
        self._end = None
        self._is_lost = False
        self._is_over = False

    async def _next_piece(self):
        """What is left of a piece, or the next one; empty at the end."""
        self._check()
        piece, self._rest = bytes(self._rest) or await self._piece(), memoryview(b"")
        return piece

    async def _octets(self, size):
        self._check()
        parts = []
        try:
            if size is None or size < 0:
                while piece := await self._next_piece():
                    parts.append(piece)
            else:
                while size > 0 and (self._rest or await self._fill()):
                    part, self._rest = self._rest[:size], self._rest[size:]
                    parts.append(part)
                    size -= len(part)
        except BaseException:
            # Who gives a read up may read again, and misses nothing.
            if not self._is_lost:
                self._rest = memoryview(b"".join([*parts, self._rest]))
            raise
        return b"".join(parts)

    def _check(self):
        if self._is_over:
            raise Misuse("the hook has returned: nothing more of the message can be read")

    async def _fill(self):
        self._rest = memoryview(await self._piece())
        return self._rest

    async def _piece(self):
        """The next piece; empty at the end."""
        if self._end is None:
            event = await self._next()
            if event.kind == "chunk":
                piece = event.octets
                self._envelope.size += len(piece)
                # The engine's memory goes back with the event.
                return piece
            self._finish(event)
        return b""

    async def _next(self):
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
            event = await self._waited()
        if event is None or event.kind == "discarded":
            self._is_lost = True
            raise Discarded("the message will not come whole")
        return event

    async def _come(self):
        """The next event, for which the loop does other things meanwhile."""
        from asyncio import get_running_loop

        come = get_running_loop().create_future()
        if not self._reading.has_come(partial(self._loop.call, settle, come)):
            await come
        return self._reading.next()

    def _finish(self, event):
        self._end = event
        self._envelope._received = time.time()

    async def _settled(self, refusal):
        """The event that owes the answers to the message, or None if nobody waits for them any more.

        What the hook has not read is read here, or refused if that is the answer.
        """
        self._is_over = True
        if self._beginning is not None and refusal is not None:
            return self._beginning
        try:
            while self._end is None:
                event = await self._next()
                if event.kind != "chunk":
                    self._finish(event)
                elif refusal is not None:
                    event.reply(*said(refusal))
                    refusal = None
        except Discarded:
            return None
        return self._end


class Body(_Coming):
    """A message that still comes: header and body, with CRLF line ends.

    Iterating gives pieces, `bytes` of any size as they arrive; `read` gives as many octets as are asked for. The client
    may send once something is read, and sends no faster than that: 256 KiB at the most wait here. Where the message
    will not come whole `Discarded` is raised. It is for one thread at a time, until the hook has returned; behind that
    reading is `Misuse`. In the child of a fork it reads nothing more: `Misuse`.
    """

    __slots__ = ()

    def __iter__(self):
        """Itself."""
        return self

    def __next__(self):
        """The next piece."""
        piece = _now(self._next_piece())
        if not piece:
            raise StopIteration
        return piece

    def read(self, size=-1, /):
        """Reads `size` octets, which are waited for; fewer at the end, and then none. Without `size`, all that is left."""
        return _now(self._octets(size))

    async def _waited(self):
        # An `error` hook that is a coroutine has brought here what follows the hook.
        if self._is_over and self._loop.is_here():
            return await self._come()
        return self._reading.next()


class AsyncBody(_Coming):
    """The same for a coroutine: `async for` gives pieces, and `await body.read(n)` octets. While it waits, the event loop runs.

    It is for one task at a time, on the loop of the hook. A read that is cancelled loses nothing: the next one begins where it began.
    """

    __slots__ = ()

    def __aiter__(self):
        """Itself."""
        return self

    async def __anext__(self):
        """The next piece."""
        piece = await self._next_piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, size=-1, /):
        """Reads `size` octets, which are waited for; fewer at the end, and then none. Without `size`, all that is left."""
        return await self._octets(size)

    async def _waited(self):
        return await self._come()


def _now(coroutine):
    """What a coroutine gives that never waits but by blocking."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it has waited for a loop")

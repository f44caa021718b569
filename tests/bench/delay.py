"""A proxy on loopback that holds back what goes through it for a while in each direction, and counts the round trips.

A round trip is counted where a client sends something after it has heard what the server said to the thing before: each piece that
passes has a depth, one more for the client's than that of the last piece that had reached it, and the same for the server's as that of
the last that had reached the server. The depth of what reaches the client last is the number of round trips of the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType

PIECE = 65536
LONGEST = 120
"""Seconds of a session."""


class DelayingProxy:
    """Runs in a thread of its own for the length of a `with` block; `port` is where."""

    def __init__(self, server_port: int, delay: float) -> None:
        self.port = 0
        self.round_trips = 0
        self._server_port = server_port
        self._delay = delay
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    def __enter__(self) -> DelayingProxy:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the proxy does not listen")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        sessions: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            session = asyncio.ensure_future(Session(self, self._delay).run(reader, writer, self._server_port))
            sessions.add(session)
            session.add_done_callback(sessions.discard)

        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        async with listener:
            await self._ended.wait()
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)


class Session:
    """One connection through the proxy."""

    def __init__(self, proxy: DelayingProxy, delay: float) -> None:
        self._proxy = proxy
        self._delay = delay
        self._heard_by_client = 0
        self._heard_by_server = 0

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        to_server = await asyncio.open_connection("127.0.0.1", port)
        directions = [
            asyncio.ensure_future(self._pass_on(reader, to_server[1], from_client=True)),
            asyncio.ensure_future(self._pass_on(to_server[0], writer, from_client=False)),
        ]
        try:
            await asyncio.wait(directions, timeout=LONGEST)
        finally:
            for direction in directions:
                direction.cancel()
            writer.close()
            to_server[1].close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, int, bytes]] = asyncio.Queue()

        async def let_go() -> None:
            while True:
                due, depth, piece = await held.get()
                await asyncio.sleep(due - loop.time())
                if not piece:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                # Before it is written: the answer may be here before this goes on.
                if from_client:
                    self._heard_by_server = max(self._heard_by_server, depth)
                else:
                    self._heard_by_client = max(self._heard_by_client, depth)
                    self._proxy.round_trips = max(self._proxy.round_trips, depth)
                writer.write(piece)
                await writer.drain()

        letting_go = asyncio.ensure_future(let_go())
        try:
            piece = b"-"
            while piece:
                piece = await reader.read(PIECE)
                depth = self._heard_by_client + 1 if from_client else self._heard_by_server
                held.put_nowait((loop.time() + self._delay, depth, piece))
            await letting_go
        finally:
            letting_go.cancel()

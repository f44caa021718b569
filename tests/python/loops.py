"""What the tests of coroutine hooks share: clients, loops, and the forms that a hook may have."""

import asyncio
import threading

import peers
import uvloop

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]

# Seconds after which an answer comes too late: a busy machine may keep a thread waiting for two, and one that is in time is to be so.
LATE = 2.5


def connect(server):
    """A client that has said who it is."""
    client = peers.connect(server)
    client.ehlo("client.example.org")
    return client


def transacting(server):
    """One whose transaction holds up the end of the server for the grace."""
    client = connect(server)
    client.mail("a@example.org")
    return client


def run(make, main):
    """Runs a coroutine on a loop of its own. As `asyncio.run` does, it leaves no task behind: a later test would hear of it."""
    loop = make()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, 60))
    finally:
        loop.run_until_complete(_clear(loop))
        loop.close()


async def _clear(loop):
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_default_executor()


def threads(name):
    """Those that are called so."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def gone(name):
    """Waits until there is none of them."""
    peers.wait_for(lambda: not threads(name))


def data(client, content):
    """The reply to DATA, or to the end of the message behind it."""
    client.mail("a@example.org")
    client.rcpt("b@example.org")
    reply = client.docmd("DATA")
    if reply[0] == 354:
        client.send(content + b".\r\n")
        reply = client.getreply()
    return reply


def plain(hook):
    """As it is."""
    return hook


def later(hook):
    """As a coroutine."""

    async def called(*arguments):
        await asyncio.sleep(0)
        return hook(*arguments)

    return called


def decorated(hook):
    """As a `def` that gives back a coroutine, as careless decorators make it."""
    return lambda *arguments: later(hook)(*arguments)

"""How long transactions may take at the end of a server: what was said at the call, else in its options, else the default."""

import asyncio
import threading
import time

import mailwire
import pytest
from loops import transacting


class Spied:
    """The listener of a run, which keeps the grace that it is given, and ends at once."""

    def __init__(self, native):
        """In the place of this one."""
        self._native = native
        self.graces = []

    def __getattr__(self, name):
        """All else is the listener's."""
        return getattr(self._native, name)

    def shutdown(self, grace):
        """Keeps it."""
        self.graces.append(grace)
        self._native.shutdown(0)


def spied(server):
    """The graces of a server that runs."""
    server._run.native = spy = Spied(server._run.native)
    return spy.graces


def by_stop(server):
    """Stops it."""
    graces = spied(server.start())
    server.stop()
    return graces


def by_with(server):
    """Leaves `with`."""
    with server:
        graces = spied(server)
    return graces


def by_async_with(server):
    """Leaves `async with`."""

    async def main():
        async with server:
            return spied(server)

    return asyncio.run(main())


def by_the_end_of_serving_for_ever(server):
    """Has Ctrl-C end it."""

    class Interrupted:
        def __init__(self):
            self.set = server._run.over.set

        def wait(self):
            raise KeyboardInterrupt

    graces = spied(server.start())
    server._run.over = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        server.serve_forever()
    return graces


@pytest.mark.parametrize("way", [by_stop, by_with, by_async_with, by_the_end_of_serving_for_ever])
@pytest.mark.parametrize(
    ("options", "grace"),
    [
        (None, 5),
        ({"workers": "1"}, 5),
        ({"grace": "0"}, 0),
        ({"grace": " 60 "}, 60),
        ([("grace", "60"), ("grace", "2.5")], 2.5),
        ({"grace": "1e19"}, threading.TIMEOUT_MAX),
    ],
)
def test_each_way_to_stop_has_the_grace_of_the_options(way, options, grace):
    assert way(mailwire.Server(print, options=options)) == [grace]


def test_what_is_said_at_the_call_comes_first():
    server = mailwire.Server(print, options={"grace": 60})
    for grace in (0, 0.5, 2):
        graces = spied(server.start())
        server.stop(grace)
        assert graces == [grace]


def test_none_holds_up_nobody():
    def took():
        begun = time.monotonic()
        with mailwire.Server(print, options={"grace": "0"}) as server:
            client = transacting(server)
        client.close()
        return time.monotonic() - begun

    # A machine that is busy may be late, but not each time.
    assert any(took() < 4 for _ in range(5))


def test_it_is_a_number_of_seconds():
    for grace in ("-1", "soon", "inf", "nan", "", -1, float("inf"), float("nan"), True):
        with pytest.raises(mailwire.InvalidArgument, match=r"^grace: "):
            mailwire.Server(print, options={"grace": grace})

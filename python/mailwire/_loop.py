"""Where coroutine hooks run: an event loop, with threads for the other hooks of a session that has come there."""

import threading
import time
from collections import deque
from contextlib import suppress
from contextvars import copy_context
from functools import partial

from ._errors import Misuse


class Loop:
    """The event loop of one run of a server: the caller's, or one in a thread of its own, made when it is needed."""

    def __init__(self, running=None, threads=1):
        """On `running`, which is the loop that this is called on, if it is given. For hooks that may block there are so many threads."""
        self._loop = running
        self._is_own = running is None
        # As elsewhere in asyncio what is called begins in the context of whoever began it all.
        self._context = running and copy_context()
        self._thread = running and threading.current_thread()
        self._lock = threading.Lock()
        self._jobs = []
        self._is_over = False
        # Of the coroutines that run: all, those that were cancelled here, those that wait for a hook in a thread, and those of these
        # that are cancelled when it has ended.
        self._tasks, self._given_up, self._held, self._put_off = set(), set(), set(), set()
        self._aside = _Aside(threads)

    def begin(self):
        """Starts a loop of its own, if there is none."""
        with self._lock:
            if self._loop is not None:
                return
            if self._is_over:
                raise Misuse("the server was stopped, and no coroutine of its hooks begins any more")
            from asyncio import new_event_loop

            loop = new_event_loop()
            thread = threading.Thread(target=_run, args=(loop,), name="mailwire-loop", daemon=True)
            try:
                thread.start()
            except BaseException:
                loop.close()
                raise
            self._loop, self._thread = loop, thread

    def is_here(self):
        """Whether this is called by what runs on the loop."""
        return self._thread is not None and threading.current_thread() is self._thread and self._loop.is_running()

    def threads(self):
        """The threads in which hooks run that may block."""
        return tuple(self._aside.threads)

    def call(self, job, *arguments):
        """Has the loop call this, from any thread, behind what came before. What comes while it sleeps wakes it once."""
        with self._lock:
            self._jobs.append((job, arguments))
            if len(self._jobs) > 1 and not self._loop.is_closed():
                return
            try:
                self._loop.call_soon_threadsafe(self._work, context=self._context)
            except RuntimeError:
                self._jobs.pop()
                raise Misuse(
                    "the event loop of coroutine hooks is closed; `async with` has to be left before that"
                ) from None

    def _work(self):
        with self._lock:
            jobs, self._jobs = iter(self._jobs), []
        try:
            for job, arguments in jobs:
                job(*arguments)
        finally:
            # One that fails is told to the loop, as any callback is, and is not the end of the others.
            if left := list(jobs):
                with self._lock:
                    self._jobs = left + self._jobs
                self._loop.call_soon(self._work, context=self._context)

    def adopt(self, flow, turn):
        """Has the loop go on with a coroutine, which calls `leave` at its end."""
        self.begin()
        self.call(self._adopt, flow, turn)

    def _adopt(self, flow, turn):
        task = self._loop.create_task(flow)
        # There are loops that begin a task at once.
        if not task.done():
            self._tasks.add(task)
            turn.task = task
            # What came before it was here has not cancelled it. One that has not begun yet sees for itself that nobody waits.
            if flow.cr_await is not None:
                if turn.left:
                    self._give_up_late(turn)
                if turn.is_over:
                    self._cancel_turn(turn)

    def leave(self, turn):
        """A coroutine ends, on the loop or before it came there."""
        task, turn.task = turn.task, None
        if task is not None:
            self._tasks.discard(task)
            self._given_up.discard(task)

    def give_up(self, turn):
        """Cancels a coroutine, if nobody waits for what its hook says any more."""
        self.call(self._give_up_late, turn)

    def cancel(self, turn):
        """Cancels a coroutine whose hook has nothing to say to anybody."""
        turn.is_over = True
        if turn.task is not None:
            with suppress(Misuse):
                # Unless the loop is closed, and the coroutine gone with it.
                self.call(self._cancel_turn, turn)

    def _cancel_turn(self, turn):
        if turn.task is not None and turn.task not in self._given_up:
            self._cancel(turn.task)

    def begin_next(self, turn):
        """A coroutine has done with one event, and what it does at the next one may be given up in its turn."""
        if turn.task is not None:
            self._given_up.discard(turn.task)

    def _give_up_late(self, turn):
        # Without an event it is being closed.
        if turn.task is not None and turn.event is not None and turn.event.is_late:
            self._cancel(turn.task)

    def _cancel(self, task):
        # What runs in a thread cannot be cancelled, and no other hook of its session is to run meanwhile.
        if task in self._held:
            self._put_off.add(task)
        else:
            self._given_up.add(task)
            task.cancel()

    def gave_up(self, error):
        """Whether this is how a coroutine ends that was cancelled here."""
        if not self._given_up:
            return False
        from asyncio import CancelledError, current_task

        return isinstance(error, CancelledError) and current_task() in self._given_up

    async def aside(self, function, *arguments):
        """What a function gives back which may block. It is called in a thread."""
        from asyncio import CancelledError, current_task

        task, done = current_task(), self._loop.create_future()

        def work():
            result = error = None
            try:
                result = function(*arguments)
            except BaseException as raised:
                error = raised
            with suppress(Misuse):
                # Unless the loop is closed, and nobody waits.
                self.call(settle, done, (result, error))

        self._held.add(task)
        try:
            self._aside.run(work)
            result, error = await done
        finally:
            is_late = task in self._put_off
            self._held.discard(task)
            self._put_off.discard(task)
        if error is not None:
            raise error
        if is_late and hasattr(result, "__await__"):
            # Nobody waits for what it would have awaited.
            if hasattr(result, "close"):
                result.close()
            self._given_up.add(task)
            raise CancelledError
        return result

    def end(self, until, patience):
        """Waits for the coroutines until then, cancels what is left, and waits so long for that. A loop of its own ends with them."""
        # Without the lock, which whoever begins may hold: a signal's handler stops a server that starts.
        self._is_over = True
        # One of the caller's that does not run will not end anything either.
        if self._loop is None or not (self._is_own or self._loop.is_running()):
            return self._drop()
        from asyncio import run_coroutine_threadsafe
        from concurrent.futures import wait

        finishing = self._finish(until, patience)
        try:
            finished = run_coroutine_threadsafe(finishing, self._loop)
        except RuntimeError:
            # It was closed just now, and what was left is gone with it.
            finishing.close()
            return
        # A loop that is blocked does none of this in time.
        wait([finished], max(0.0, until - time.monotonic()) + 2 * patience)
        if self._is_own:
            self.call(self._loop.stop)
            self._thread.join(patience)

    def _drop(self):
        """Lets go of what was to begin on a loop that was closed: its clients wait for answers."""
        if self._loop is not None and self._loop.is_closed():
            with self._lock:
                jobs, self._jobs = self._jobs, []
            for job, arguments in jobs:
                if job == self._adopt:
                    arguments[0].close()

    async def _finish(self, until, patience):
        await self._wait(until)
        # One that was given up already is about to end, and what it still does is not to be cut short too.
        for task in self._tasks - self._given_up:
            self._cancel(task)
        await self._wait(time.monotonic() + patience)
        # Whoever closes the loop cancels these, which is no failure of their hooks.
        self._given_up |= self._tasks

    async def _wait(self, until):
        from asyncio import wait

        while self._tasks and (left := until - time.monotonic()) > 0:
            done, _ = await wait(self._tasks, timeout=left)
            self._tasks -= done


class _Aside:
    """A few threads, each made when there is something to do, and gone when there is nothing left."""

    def __init__(self, most):
        self._most = most
        self._lock = threading.Lock()
        self._jobs = deque()
        self.threads = set()

    def run(self, job):
        """Runs it as soon as one of them is free."""
        with self._lock:
            if len(self.threads) < self._most:
                thread = threading.Thread(target=self._work, name="mailwire-aside", daemon=True)
                thread.start()
                self.threads.add(thread)
            self._jobs.append(job)

    def _work(self):
        while True:
            with self._lock:
                if not self._jobs:
                    self.threads.discard(threading.current_thread())
                    return
                job = self._jobs.popleft()
            job()


def settle(future, result=None):
    """Gives a future its result, if somebody still waits for it."""
    if not future.done():
        future.set_result(result)


def is_coroutine(hook):
    """Whether calling this gives a coroutine: an `async def`, a method or `partial` of one, or an object whose `__call__` is one."""
    while isinstance(hook, partial):
        hook = hook.func
    function = getattr(hook, "__func__", hook)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


def _run(loop):
    """The thread of a loop of our own."""
    try:
        loop.run_forever()
        loop.run_until_complete(_clear(loop))
    finally:
        loop.close()


async def _clear(loop):
    """Ends what hooks have begun beside themselves."""
    from asyncio import all_tasks, current_task, wait

    left = all_tasks() - {current_task()}
    for task in left:
        task.cancel()
    if left:
        await wait(left)
    await loop.shutdown_asyncgens()

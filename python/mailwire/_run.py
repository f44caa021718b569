"""A server from its start to its stop: its listener, and the threads and the loop of its hooks."""

import os
import threading
import time
from contextlib import suppress

# The grace of hooks that still run when the listener has ended, and of servers that still run when Python does.
LAST_GRACE = 1.0


class Run:
    """A server from its start to its stop. Nothing of it, such as a hook that still runs, is the next one's."""

    def __init__(self, native, dispatcher, loop, count):
        """With its listener, and for hooks, if there are any, a loop and so many threads."""
        # What counts is the listener, and its last numbers when it has ended.
        self.native = self.counts = native
        self._loop = loop
        self.process = os.getpid()
        self.ended = threading.Event()
        # Its listener is over, told to or not, and why, if it was not.
        self.over = threading.Event()
        self.failures = []
        self._dispatcher = dispatcher
        self._threads = [
            threading.Thread(target=self._serve, args=(native,), name=f"mailwire-handler-{number}", daemon=True)
            for number in range(1, count + 1 if dispatcher else 1)
        ]

    def begin(self):
        """Starts its threads. Without all of them it ends: it would listen, and perhaps answer nobody."""
        native = self.native
        try:
            for thread in self._threads:
                thread.start()
            if self._dispatcher and self._dispatcher.has_coroutines and not self.ended.is_set():
                self._loop.begin()
                if self.ended.is_set():
                    # A signal's handler has ended it meanwhile, when there was no loop yet.
                    self._loop.end(0.0, LAST_GRACE)
        except BaseException:
            native.shutdown(0.0)
            raise

    def hooks(self):
        """The threads that hooks run in, but for that of the loop."""
        return (*self._threads, *(self._dispatcher.threads() if self._dispatcher else ()), *self._loop.threads())

    def is_in_hook(self):
        """Whether this is called by a hook, or by anything else on the loop of hooks: who waits for hooks there waits for itself."""
        return self._loop.is_here() or threading.current_thread() in self.hooks()

    def end(self, grace):
        """Ends it, and waits for its hooks, but not for one that does not end: that must not hold up the program."""
        try:
            self.native.shutdown(grace)
            until = time.monotonic() + LAST_GRACE
            for thread in self.hooks():
                # A signal's handler may end it before all were started.
                if thread.is_alive():
                    thread.join(max(0.0, until - time.monotonic()))
            self._loop.end(until, LAST_GRACE)
            # Its descriptors go, and the messages that nobody took.
            self.counts, self.native = _Counts(self.native), None
        finally:
            self.ended.set()
            self.over.set()

    def _serve(self, native):
        """One handler thread."""
        try:
            while (event := native.serve()) is not None:
                _handle(self._dispatcher, event)
                # It holds the engine's memory, and the next one may be long in coming.
                del event
        except BaseException as failure:
            # What is kept of the failure must not keep the listener.
            del native
            self.fail(failure)

    def fail(self, failure):
        """Its listener has ended by itself. Each thread is told so, and the first one tells it on."""
        self.failures.append(failure)
        if self.failures[0] is failure:
            _tell("the server serves no more", failure)
            self.over.set()


class _Counts:
    """The last numbers of a listener, which they outlive."""

    def __init__(self, native):
        """Of this one."""
        self._statistics, self._metrics = native.statistics(), native.metrics()

    def statistics(self):
        """By name."""
        return dict(self._statistics)

    def metrics(self):
        """For Prometheus."""
        return self._metrics


def _handle(dispatcher, event):
    try:
        dispatcher.handle(event)
    except BaseException as error:
        # As where the log itself fails. It must not end the thread that serves everybody.
        _tell("an event could not be handled", error)


def _tell(what, error):
    """Writes it into the log, if that can be had."""
    with suppress(BaseException):
        from logging import getLogger

        getLogger("mailwire").error(what, exc_info=error)

"""A listener in this process: `Server`."""

import atexit
import os
import threading
import time
import weakref

from . import _native
from ._errors import Misuse
from ._handlers import Dispatcher, envelope_of
from ._message import text, texts
from ._session import Session
from ._settings import TLS, Limits

# The grace of servers that still run when Python ends.
_LAST_GRACE = 1.0

_running = weakref.WeakSet()


class Server:
    """Hosts a listener in this process. `with` starts and stops it.

    `handler` is one callable taking the envelope, or an object or class with some of the hooks below. A class is made
    once for each connection. Hooks of one session never run at the same time; those of different sessions may, in
    `threads` threads. Without a handler, `messages` gives what arrives.

        connect(session)  helo(session, name)  auth(session, credentials)  mail(session, sender, options)
        rcpt(session, recipient, options)  data(session, envelope)  reset(session)  quit(session)
        verify(session, name)  expand(session, name)  error(session, exception)

    A hook returns None or True to accept, False, a `Reply`, a code or a text such as "550 5.1.1 No such user" to
    answer so, or raises `Reject`. Only True lets somebody in at `auth`. An exception is answered 451 (454 at
    `auth`, 421 at `connect`), and goes to `error` and to the log.

    `auth` is a dict of names and passwords, or a callable taking (session, credentials). AUTH needs TLS unless
    `allow_plaintext_auth` is set. `domains` are those whose recipients are taken; None takes any.
    """

    def __init__(
        self,
        handler=None,
        host="127.0.0.1",
        port=0,
        *,
        unix=None,
        protocol="smtp",
        domains=None,
        tls=None,
        implicit_tls=False,
        require_tls=False,
        auth=None,
        auth_required=False,
        allow_plaintext_auth=False,
        limits=None,
        hostname=None,
        workers=1,
        threads=4,
    ):
        """A server that does not listen yet. Port 0 is a free port."""
        check = auth if callable(auth) else None
        self._dispatcher = None if handler is None else Dispatcher(handler, check)
        if handler is None and check is not None:
            raise TypeError("auth: a callable needs a handler beside it; a dict does not")
        if tls is not None and not isinstance(tls, TLS):
            raise TypeError(f"tls: a mailwire.TLS is needed, not {type(tls).__name__}")
        if threads < 1:
            raise ValueError("threads: at least one is needed")
        settings = {
            "listen": _address(text(host, "host"), port) if unix is None else f"unix:{os.fspath(unix)}",
            "protocol": text(protocol, "protocol"),
            "implicit_tls": _switch(implicit_tls),
            "require_tls": _switch(require_tls),
            "auth_required": _switch(auth_required),
            "allow_plaintext_auth": _switch(allow_plaintext_auth),
            "workers": str(workers),
        }
        if hostname is not None:
            settings["hostname"] = text(hostname, "hostname")
        self._options = _native.ServerOptions(
            [*settings.items(), *(limits or Limits())._settings()],
            None if domains is None else texts(domains, "domains"),
            [] if auth is None or check else list(auth.items()),
            None if tls is None else tls._native,
            sorted(self._dispatcher.hooks | {"disconnect"}) if self._dispatcher else [],
        )
        self._unix = None if unix is None else os.fspath(unix)
        self._thread_count = threads
        self._threads = []
        self._native = None
        self._process = None
        self._lock = threading.RLock()
        self._ended = threading.Event()

    def start(self):
        """Begins to listen. Gives the server itself."""
        with self._lock:
            if self._runs():
                raise Misuse("the server runs already")
            self._native = _native.Server(self._options)
            self._process = os.getpid()
            self._ended.clear()
            count = self._thread_count if self._dispatcher else 0
            self._threads = [
                threading.Thread(
                    target=_serve, args=(self._native, self._dispatcher), name=f"mailwire-handler-{number}", daemon=True
                )
                for number in range(1, count + 1)
            ]
            for thread in self._threads:
                thread.start()
            _running.add(self)
        return self

    def stop(self, grace=5.0):
        """Stops listening, lets transactions finish for `grace` seconds, and ends every connection.

        Called from a hook it returns at once, and the rest happens behind it.
        """
        with self._lock:
            if not self._runs():
                return
            native, threads = self._native, self._threads
            self._native, self._threads = None, []
            _running.discard(self)
        if threading.current_thread() in threads:
            threading.Thread(target=self._finish, args=(native, threads, grace), name="mailwire-stop").start()
        else:
            self._finish(native, threads, grace)

    def _finish(self, native, threads, grace):
        native.shutdown(float(grace))
        # The client of a hook that does not end was told 451; its thread must not hold up the program.
        until = time.monotonic() + _LAST_GRACE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._ended.set()

    def serve_forever(self):
        """Runs until `stop` is called or a signal such as Ctrl-C ends it. Starts the server if nobody did."""
        if not self._runs():
            self.start()
        try:
            self._ended.wait()
        finally:
            self.stop()

    def messages(self, timeout=None):
        """Iterates over what arrives, for a server without a handler. A message is accepted when it is handed over.

        Ends when nothing came for `timeout` seconds, or when the server is stopped.
        """
        if self._dispatcher is not None:
            raise Misuse("messages: this server has a handler, which gets them")
        return _messages(self._live(), None if timeout is None else float(timeout))

    def reload_tls(self, tls):
        """Takes another certificate for all handshakes from now on."""
        self._live().reload_tls(tls._native)

    @property
    def address(self):
        """Where it listens: (host, port), or the path of its Unix socket."""
        return self._live().address() or self._unix

    @property
    def port(self):
        """The port it listens on."""
        if self._unix is not None:
            raise Misuse("port: a Unix socket has none")
        return self.address[1]

    @property
    def stats(self):
        """Counters, by name."""
        return self._live().statistics()

    def _runs(self):
        """Whether it was started, in this process."""
        return self._native is not None and self._process == os.getpid()

    def _live(self):
        """The running listener."""
        if self._native is None:
            raise Misuse("the server was not started, or was stopped")
        if self._process != os.getpid():
            raise Misuse("the server was started before a fork; it runs in the parent, make a new one here")
        return self._native

    def __enter__(self):
        """Starts it, unless it runs."""
        return self if self._runs() else self.start()

    def __exit__(self, *_):
        """Stops it."""
        self.stop()

    def __reduce__(self):
        """A server holds a listener: it does not pickle."""
        raise TypeError("a Server cannot be pickled; make one where it is needed")


def _serve(native, dispatcher):
    """One handler thread."""
    while (event := native.serve()) is not None:
        dispatcher.handle(event)
        # It holds the engine's memory, and the next one may be long in coming.
        del event


def _messages(native, timeout):
    while (event := native.next_event(timeout)) is not None:
        envelope = envelope_of(event, Session(event.session))
        try:
            event.accept()
        except Misuse:
            # The client has not waited: it was told 451, and will send it again.
            continue
        del event
        yield envelope


def _switch(value):
    return "true" if value else "false"


def _address(host, port):
    if host == "localhost":
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@atexit.register
def _stop_all():
    """Before the interpreter goes, nothing of ours may need it any more."""
    for server in list(_running):
        server.stop(_LAST_GRACE)

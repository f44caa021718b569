"""A listener in this process: `Server`."""

import atexit
import os
import threading
from contextlib import suppress

from . import _native
from ._errors import Error, InvalidArgument, Misuse
from ._handlers import Dispatcher, FaultLog, envelope_of
from ._hooks import look_at
from ._loop import Loop, settle
from ._message import addresses, seconds, several, switch, text, whole, wrong
from ._message import mechanisms as joined
from ._places import descriptors, listening
from ._run import LAST_GRACE, Run
from ._session import Session
from ._settings import TLS, Limits, limit_of, most_connections

# Threads for hooks: as many as a process may well have.
_MOST_THREADS = 1000

# What the engine calls otherwise.
_ARGUMENTS = {"listen": "host", "user": "auth"}

# Seconds that transactions have to finish where a server is stopped and nothing else was said.
_GRACE = 5.0

# The statuses of a listener that has ended by itself.
_ENDED = (100, 900)

# A server runs until it is stopped, also one that nobody else keeps.
_running = set()


class Server:
    """Hosts a listener in this process. `with` starts and stops it, and so does `async with`.

    `handler` is one callable taking the envelope, or an object or class with some of the hooks below. A class is made
    once for each connection. Hooks of one session never run at the same time; those of different sessions may, in
    `threads` threads, and as many `def` hooks that are slow make all others wait. Without a handler, `messages` gives
    what arrives.

        connect(session)  helo(session, name)  auth(session, credentials)  lookup(session, username)
        mail(session, sender, options)  rcpt(session, recipient, options)
        data(session, envelope) or stream(session, envelope, body)  reset(session)  quit(session)
        verify(session, name)  expand(session, name)  help(session, topic)  etrn(session, node)
        unknown(session, verb, argument)  disconnect(session)  error(session, exception)

    `reset` is told where a transaction is given up, by RSET or another EHLO; RSET outside of one is not.

    A hook returns None or True to accept, a `Reply`, a code or a text such as "550 5.1.1 No such user" to answer so,
    False for the usual refusal (550 5.1.1 at `rcpt`, `verify` and `expand`, 554 5.7.1 at `connect` and of a message,
    502 at `help`, 459 at `etrn`, 500 at `unknown`, 535 5.7.8 at `auth`, else 550 5.7.1; at `lookup` None and False say
    that there is nobody), or raises `Reject`. Only True lets somebody in at `auth`, where any other answer that accepts
    is an error; None at `unknown` is 500. An exception is answered 451 (454 at `auth` and `lookup`, 421 at `connect`),
    and goes to `error` and to the log.

    Each hook, and a callable given as handler or as `auth`, may be `def` or `async def`, in one handler too. Coroutines
    run on the event loop that has entered `async with`, else on one of the server in a thread of its own, which is made
    where a hook is a coroutine; the others, and a handler's class, in `threads`, and never on a loop. Whatever a hook
    returns that can be awaited is awaited there, so that a `def` may wrap an `async def`. One that waits holds up no
    other session and no thread. When its client was told 451 and goes on, or is gone, it is cancelled, and no other
    hook of its session runs before it has ended. `stream` is not: its next read is `Discarded`. Of `disconnect` as many
    coroutines run as there may be connections; beyond that the oldest is cancelled. One that does not end then counts
    on: where there are as many again, no other is called.

    `data` gets a message when it is whole. `stream` is called when one begins and reads it from `body`, a `Body`, by
    iterating or `read`; the client sends no faster, so that a message of any size takes little memory. It runs in a
    thread of its own, one for each message that comes, so that slow clients hold up nobody else. At most
    limits.connections of them run at a time, those whose client has hung up counted; a message beyond these is answered
    452. One that is `async def` needs no thread and gets an `AsyncBody`, for `async for` and `await body.read(n)`; here
    a `def` that returns a coroutine is an error. An answer that refuses, or an exception, does so at once: before
    something was read in place of the message, else in its middle, and the client is told at the end. A hook that
    accepts without having read all has the rest read and dropped. In the child of a fork `body` reads nothing:
    `Misuse`.

    With LMTP both may return a dict of answers by recipient; who is not in it is accepted. Domains may be in small or
    capital letters. An answer to somebody who is no recipient of the message is an error.

    A client that has waited `limits.answer_timeout` for a hook is told 451 (454, 421) and goes on, and what the hook
    then says is told to nobody, but a warning in the log. As long as it runs no other hook of its session does; what
    the client asks waits, and is answered so too.

    `lookup` is asked what is kept of a user, by which SCRAM is offered: it returns the password, or what `scram_keys`
    has made of it, as text, or None or False where there is no such user. A text that begins with "SCRAM-SHA-" is keys.
    Keys of one hash serve that hash alone: name the `mechanisms` then.

    It listens at `host`, an IP address or a list of them, and `port`; or on the Unix socket `unix`; or on `sockets`, a
    list of `socket.socket` that listen already. These must be open whenever it is started, stay the caller's to close,
    become non-blocking, and take no harm from `stop`. With `reuse_port` several servers, also of several processes, may
    listen on the same port.

    `auth` is a dict of names and passwords, or a callable taking (session, credentials). `user_keys` is a dict of names
    and what `scram_keys` has made of their passwords, a text or a list of one for each hash. AUTH needs TLS unless
    `allow_plaintext_auth` is set. `mechanisms` are the names of those to offer, the preferred one first; by default
    SCRAM, PLAIN and LOGIN, where all users can use them. "EXTERNAL", by the certificate of the client, "OAUTHBEARER",
    "XOAUTH2" and "ANONYMOUS" have to be named, and are judged by `auth` alone. `domains` are those whose recipients are
    taken from everybody; those of others from a client of `trusted_networks` ("192.0.2.0/24", "::1") and from a user
    who has logged in. Where neither is given any recipient is taken. With `bind_sender` a user sends in no other name:
    "tim" as tim at one of `domains`, or at `hostname`; "tim@example.org" as that.

    `proxy_protocol` are the networks of proxies whose connections begin with a header of the PROXY protocol, and
    `xclient` those that may say for whom they speak by XCLIENT. With `received` a Received field (RFC 5321 section 4.4)
    is put in front of each message, with the id that is its envelope's `queue_id`, as it always is where a
    `disposition` relays. With `add_missing`, for a server that mail is submitted to, Date and Message-ID are added
    where a message has none (RFC 6409 section 8).

    With a `disposition` the engine delivers what arrives, and a handler has neither `data` nor `stream`, nor is it a
    callable: "maildir:/path" and "folder:/path" write files, and answer 250 once these are on the disk, with the
    envelope's recipients in front where `?delivered_to=true` follows the path; "discard" forgets;
    "relay:smtp://host:port", or another URL, hands on to that server, passes its answer back, and needs `domains`,
    `trusted_networks` or `auth_required`. Other hooks are asked; a handler is optional. Where it cannot take a message
    the client is told 451 or 452 and nothing of the reason: that goes to the log, and to `error` as one of the
    exceptions of this package, once for each message. It says what was attempted, on which path or at which server, and
    what to try. While 4,096 events wait for the threads none is added; `stats["faults"]` counts all.

    A message with a bare CR or LF is refused, or each becomes a CRLF where `line_ends` is "normalise"; none ever ends
    the message. With `lenient_line_ends` LF alone ends a command; with `strict_spaces` a space behind `MAIL FROM:` is
    an error.

    A server that was started runs until it is stopped or the program ends, also if nobody keeps it. Leaving `with` or
    `async with`, and what ends `serve_forever`, are as `stop()`: transactions have 5 seconds to finish, or as many as
    `options={"grace": 30}` says. Where the program ends they have one second. What goes wrong without anybody to tell
    goes to the log of `logging` named "mailwire".

    `options` is for what has no argument of its own: a dict, or pairs, of the names that `mailwire_server_options_set`
    of C takes, and their values as text, number or bool, such as {"unix_mode": 0o660, "max_hops": 50}.
    `SERVER_OPTIONS.md`, in the folder `core` of the sources, lists them all; `stream` and `disposition` are not for
    here. They come last; a `listen` among them is instead of `host` and `port` where these are not given.
    "decoy_secret", 64 hexadecimal digits as `secrets.token_hex(32)` gives them, is what the salts of SCRAM are made
    from for users who are not there. By default that is the private key of `tls`: with another key, and without TLS
    with each start, these salts change, which tells who is not there. Set it where that may happen, or where servers
    with several keys stand for one another.
    """

    def __init__(
        self,
        handler=None,
        host="127.0.0.1",
        port=0,
        *,
        unix=None,
        sockets=None,
        reuse_port=False,
        protocol="smtp",
        domains=None,
        trusted_networks=None,
        bind_sender=False,
        proxy_protocol=None,
        xclient=None,
        disposition=None,
        tls=None,
        implicit_tls=False,
        require_tls=False,
        auth=None,
        user_keys=None,
        mechanisms=None,
        auth_required=False,
        allow_plaintext_auth=False,
        limits=None,
        hostname=None,
        received=False,
        add_missing=False,
        line_ends="refuse",
        lenient_line_ends=False,
        strict_spaces=False,
        workers=1,
        threads=4,
        options=None,
    ):
        """A server that does not listen yet. Port 0 is a free port."""
        check = auth if callable(auth) else None
        self._keeps_messages = disposition is None
        if handler is not None:
            self._dispatcher = Dispatcher(handler, check)
            look_at(handler, check)
        else:
            self._dispatcher = None if self._keeps_messages else FaultLog()
        if handler is None and check is not None:
            raise TypeError("auth: a callable needs a handler beside it; a dict does not")
        if auth is not None and check is None and not hasattr(auth, "items"):
            raise wrong("auth", "a dict of names and passwords, or a callable,", auth)
        if user_keys is not None and not hasattr(user_keys, "items"):
            raise wrong("user_keys", "a dict of names and texts of scram_keys", user_keys)
        if limits is not None and not isinstance(limits, Limits):
            raise wrong("limits", "a mailwire.Limits", limits)
        if not 1 <= whole(threads, "threads") <= _MOST_THREADS:
            raise InvalidArgument(f"threads: {threads} is not between 1 and {_MOST_THREADS}")
        if disposition is not None and self._dispatcher is not None and self._dispatcher.takes_messages:
            raise TypeError(
                "disposition: it takes the messages, and the handler would never get them; give one of the two"
            )
        users = [] if auth is None or check else auth.items()
        settings = {
            "reuse_port": switch(reuse_port, "reuse_port"),
            "received": switch(received, "received"),
            "add_missing": switch(add_missing, "add_missing"),
            "protocol": text(protocol, "protocol"),
            "implicit_tls": switch(implicit_tls, "implicit_tls"),
            "require_tls": switch(require_tls, "require_tls"),
            "auth_required": switch(auth_required, "auth_required"),
            "allow_plaintext_auth": switch(allow_plaintext_auth, "allow_plaintext_auth"),
            "line_ends": text(line_ends, "line_ends"),
            "lenient_line_ends": switch(lenient_line_ends, "lenient_line_ends"),
            "strict_spaces": switch(strict_spaces, "strict_spaces"),
            "bind_sender": switch(bind_sender, "bind_sender"),
            "workers": str(whole(workers, "workers")),
        }
        for name, networks in (
            ("trusted_networks", trusted_networks),
            ("proxy_protocol", proxy_protocol),
            ("xclient", xclient),
        ):
            if networks is not None:
                settings[name] = _networks(networks, name)
        if mechanisms is not None:
            settings["mechanisms"] = joined(mechanisms, "mechanisms")
        if disposition is not None:
            settings["disposition"] = text(disposition, "disposition")
        if hostname is not None:
            settings["hostname"] = text(hostname, "hostname")
        self._sockets = None if sockets is None else several(sockets, "sockets", "a list of listening sockets")
        pairs = _pairs(options)
        named = any(name == "listen" for name, _ in pairs)
        listen, self._unix = listening(host, port, unix, self._sockets, named)
        if self._sockets:
            # Only looked at: options that kept a descriptor would keep the port, when the server is stopped and the socket is closed.
            _native.ServerOptions([("listen", one) for one in listen], None, [], [], None, [])
            listen = []
        chosen = [
            *(("listen", one) for one in listen),
            *settings.items(),
            *(limits or Limits())._settings(),
            *pairs,
        ]
        by_xclient = any(name == "xclient" for name, _ in chosen)
        passwords = [(text(name, "auth"), text(password, "auth: a password")) for name, password in users]
        try:
            self._options = _native.ServerOptions(
                chosen,
                None if domains is None else addresses(domains, "domains"),
                passwords,
                [(text(name, "user_keys"), one) for name, keys in (user_keys or {}).items() for one in _keys(keys)],
                None if tls is None else _certificate(tls),
                sorted(self._dispatcher.asked(by_xclient)) if self._dispatcher else [],
            )
        except InvalidArgument as error:
            name, colon, rest = error.message.partition(": ")
            if name not in dict(pairs):
                error.message = f"{_ARGUMENTS.get(name) or limit_of(name)}{colon}{rest}"
            raise
        # The engine has read it.
        self._grace = min(float(dict(pairs).get("grace", _GRACE)), threading.TIMEOUT_MAX)
        self._most_streams = most_connections(chosen)
        self._thread_count = threads if handler is not None else 1
        self._run = self._entered = self._before = self._reloaded = None
        self._lock = threading.RLock()

    def start(self):
        """Begins to listen. Gives the server itself, or raises `mailwire.Error`, an `OSError` where the address cannot be had."""
        return self._start(None)

    def _start(self, running):
        """The same, with the event loop that this is called on, if coroutines are to run there."""
        with self._lock:
            if self._runs():
                raise Misuse("the server runs already")
            native = _native.Server(self._options, descriptors(self._sockets) if self._sockets else [])
            if self._reloaded is not None:
                native.reload_tls(self._reloaded)
            # A hook may ask for the port at once.
            loop = Loop(running, self._thread_count)
            dispatcher = self._dispatcher and self._dispatcher.anew(self._most_streams, loop)
            self._run = Run(native, dispatcher, loop, self._thread_count)
            try:
                self._run.begin()
            except BaseException:
                self._run = None
                raise
            _running.add(self)
        return self

    def stop(self, grace=None):
        """Stops listening, lets transactions finish for `grace` seconds, and ends every connection.

        Without `grace` it is that of `options`, or else 5.

        Coroutine hooks that still run a second later are cancelled and have another second to end.

        Called from a hook, or from anything else on the loop that hooks run on, it returns at once, and the rest happens behind it; so it
        does after Ctrl-C. `async with` is left when all has ended, and the loop runs meanwhile; it has to be left before the loop is closed.
        """
        grace = self._grace if grace is None else seconds(grace, "grace")
        if not 0 <= grace <= threading.TIMEOUT_MAX:
            raise InvalidArgument(f"grace: {grace} is no number of seconds")
        self._stop(self._run, grace)

    def _stop(self, run, grace):
        with self._lock:
            before = self._before
            if not self._taken(run):
                return
            in_hook = run.is_in_hook()
            # The wait for a thread of its own is one that a signal ends.
            ending = threading.Thread(target=run.end, args=(grace,), name="mailwire-stop", daemon=not in_hook)
            try:
                ending.start()
            except RuntimeError:
                # There is no thread to be had. It serves on, and can be stopped when there is.
                self._before, self._run = before, run
                _running.add(self)
                raise
        if not in_hook:
            ending.join()

    def _taken(self, run):
        """Whether this run goes on until now, and is the caller's to end."""
        with self._lock:
            if run is not self._run or not self._runs():
                return False
            self._before, self._run = run, None
            _running.discard(self)
        return True

    def serve_forever(self):
        """Runs until `stop` is called or a signal such as Ctrl-C ends it. Starts the server if nobody did.

        Ctrl-C is raised here as `KeyboardInterrupt` when the server has stopped. Where the server ends by itself, as when
        somebody who shares a socket of `sockets` has shut it down, the reason is raised, and goes to the log; without a
        handler and a disposition, once `messages` was told. SIGTERM ends a process at once, as it does without a server; a program that lets
        transactions finish has a handler: `signal.signal(signal.SIGTERM, lambda *_: server.stop())`.
        """
        with self._lock:
            run = (self if self._runs() else self.start())._run
        try:
            run.over.wait()
        finally:
            self._stop(run, self._grace)
        for failure in run.failures[:1]:
            raise failure

    def messages(self, timeout=None):
        """Iterates over what arrives, for a server without a handler. A message is accepted when it is handed over.

        Ends when nothing came for `timeout` seconds, or when the server is stopped.
        """
        if not self._keeps_messages:
            raise Misuse("messages: this server has a disposition, which gets them")
        if self._dispatcher is not None:
            raise Misuse("messages: this server has a handler, which gets them")
        with self._lock:
            self._live()
            return _messages(self._run, None if timeout is None else seconds(timeout, "timeout"))

    def reload_tls(self, tls):
        """Takes other certificates, all of them, for all handshakes from now on, also when it is stopped and started again."""
        certificate = _certificate(tls)
        self._live().reload_tls(certificate)
        self._reloaded = certificate

    @property
    def address(self):
        """Where it listens: (host, port), or the path of its Unix socket. Of several addresses it is the first."""
        return next(iter(self.addresses), self._unix)

    @property
    def addresses(self):
        """Where it listens, each as (host, port), but for Unix sockets."""
        return tuple(self._live().addresses())

    @property
    def port(self):
        """The port it listens on."""
        if self._unix is not None:
            raise Misuse("port: a Unix socket has none")
        return self.address[1]

    @property
    def stats(self):
        """Counters, by name. After `stop` they are the last ones, until the next start."""
        return self._counting().statistics()

    def metrics(self):
        """Gives the same counters in the text format of Prometheus, to be served by the program."""
        return self._counting().metrics()

    def _counting(self):
        """The listener that runs, or else the one that ran last."""
        before = self._before
        return before.counts if self._run is None and before and before.process == os.getpid() else self._live()

    def _runs(self):
        """Whether it was started, in this process."""
        return self._run is not None and self._run.process == os.getpid()

    def _live(self):
        """The running listener."""
        run = self._run
        if run is None:
            raise Misuse("the server was not started, or was stopped")
        if run.process != os.getpid():
            raise Misuse("the server was started before a fork; it runs in the parent, make a new one here")
        return run.native

    def __enter__(self):
        """Starts it, unless it runs."""
        return self if self._runs() else self.start()

    def __exit__(self, *_):
        """Stops it."""
        self.stop()

    async def __aenter__(self):
        """Starts it, unless it runs. Coroutine hooks run on this event loop."""
        from asyncio import get_running_loop

        with self._lock:
            if not self._runs():
                self._start(get_running_loop())
            self._entered = self._run
        return self

    async def __aexit__(self, *_):
        """Stops it. The loop runs meanwhile."""
        run = self._entered
        if run.process != os.getpid():
            return
        from asyncio import get_running_loop

        loop = get_running_loop()
        ended = loop.create_future()

        def leave():
            error = None
            try:
                self._stop(run, self._grace)
                # A hook may have stopped it before.
                run.ended.wait()
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):
                # Unless the loop has not waited.
                loop.call_soon_threadsafe(settle, ended, error)

        threading.Thread(target=leave, name="mailwire-leave").start()
        if (error := await ended) is not None:
            raise error

    def __reduce__(self):
        """A server holds a listener: it does not pickle."""
        raise TypeError("a Server cannot be pickled; make one where it is needed")


def _messages(run, timeout):
    while (event := _next(run, timeout)) is not None:
        envelope = envelope_of(event, Session(event.session))
        envelope._keep()
        try:
            event.accept()
        except Misuse:
            # The client has not waited: it was told 451, and will send it again.
            continue
        del event
        yield envelope


def _next(run, timeout):
    """The next event of a run; None where it was stopped, or none came in time."""
    native = run.native
    try:
        return native and native.next_event(timeout)
    except Error as failure:
        # What is kept of the failure must not keep the listener.
        del native
        if failure.status in _ENDED:
            run.fail(failure)
        raise


def _certificate(tls):
    if not isinstance(tls, TLS):
        raise wrong("tls", "a mailwire.TLS", tls)
    return tls._native


def _pairs(options):
    """Settings by name, as the engine takes them."""
    if options is None:
        return []
    if hasattr(options, "items"):
        options = options.items()
    given = []
    for pair in several(options, "options", "a dict of names and values, or pairs of them,"):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise wrong("options", "a pair of name and value", pair)
        name = text(pair[0], "options")
        if name in {"disposition", "stream"}:
            raise InvalidArgument(f"options: {name} is not for here; it is an argument or a hook of its own")
        given.append((name, _value(name, pair[1])))
    return given


def _value(name, value):
    """A setting's value as text. Permissions are octal there, as in Python's 0o660."""
    if name == "unix_mode" and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:o}"
    return str(value) if isinstance(value, (int, float)) else text(value, f"options: {name}")


def _keys(keys):
    """The keys of one user: a text, or several for as many hashes."""
    return addresses(keys, "user_keys: keys")


def _networks(networks, argument):
    """Networks with commas between: texts or those of `ipaddress`, where one alone may stand for itself."""
    iterable = not isinstance(networks, str) and not hasattr(networks, "max_prefixlen")
    given = several(networks, argument, "str or a sequence of str") if iterable else [networks]
    known = [str(one) if hasattr(one, "max_prefixlen") else text(one, argument) for one in given]
    if not all(one.strip() for one in known):
        raise InvalidArgument(f"{argument}: an empty text is no network")
    return ",".join(known)


@atexit.register
def _stop_all():
    """Before the interpreter goes, nothing of ours may need it any more."""
    for server in list(_running):
        # No thread can be made so late.
        run = server._run
        if server._taken(run):
            run.end(LAST_GRACE)

"""From the engine's events to a handler's hooks, and from what they return to answers."""

import threading

from ._errors import Misuse
from ._message import text
from ._results import Reply
from ._session import Credentials, Discarded, Envelope, Reject, Session, reply_of
from ._stream import Body

HOOKS = (
    "connect",
    "helo",
    "auth",
    "lookup",
    "mail",
    "rcpt",
    "data",
    "stream",
    "reset",
    "quit",
    "verify",
    "expand",
    "help",
    "etrn",
    "unknown",
    "disconnect",
    "error",
)

# What False stands for.
_NO_SERVICE = Reply(554, "No service for you here")
_NOT_WELCOME = Reply(550, "Not accepted from you", "5.7.1")
_BAD_CREDENTIALS = Reply(535, "Authentication credentials invalid", "5.7.8")
_BAD_SENDER = Reply(550, "Sender refused", "5.7.1")
_BAD_RECIPIENT = Reply(550, "Recipient refused", "5.7.1")
_BAD_MESSAGE = Reply(554, "Message refused", "5.7.1")
_NO_SUCH_NAME = Reply(550, "No such name", "5.1.1")
_NO_HELP = Reply(502, "Command not implemented", "5.5.1")
_NO_SUCH_NODE = Reply(459, "Node not allowed", "4.7.1")
_UNKNOWN = Reply(500, "Unknown command", "5.5.1")

# What an exception stands for where a user is looked up.
_NOT_JUDGED = Reply(454, "Temporary authentication failure", "4.7.0")

# What is said where the hooks of other messages still read.
_TOO_MANY = Reply(451, "Too many messages are being read here, try again later", "4.3.2")

# What an exception stands for elsewhere.
_LOCAL_ERROR = Reply(451, "Local error in processing", "4.3.0")

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


class Dispatcher:
    """Runs a handler's hooks for one run of a server, in any number of threads; those of one session never at the same time."""

    def __init__(self, handler, auth, most_streams=0):
        """For a handler, object, class or callable, a callable for AUTH or None, and so many `stream` hooks at a time."""
        self._make = handler if isinstance(handler, type) else None
        self._handler = handler
        self._auth = auth
        self._sessions = {}
        # By the number of a session whose hook runs: the events that came meanwhile.
        self._left = {}
        self._lock = threading.Lock()
        # The threads of `stream` hooks, by the number of the session.
        self.streaming = {}
        self._most_streams = most_streams
        self.hooks = {name for name in HOOKS if callable(getattr(handler, name, None))}
        self._takes_envelope = not self.hooks and self._make is None and callable(handler)
        if not self.hooks and not self._takes_envelope:
            raise TypeError(f"handler: a callable, or an object or class with some of {', '.join(HOOKS)} is needed")
        if {"data", "stream"} <= self.hooks:
            raise TypeError("handler: a message is given to `data` or to `stream`; it has both")
        for name in self.hooks:
            _no_coroutine(name, getattr(handler, name))
        if self._takes_envelope:
            _no_coroutine("handler", handler)
        if auth is not None:
            _no_coroutine("auth", auth)
            self.hooks.add("auth")

    @property
    def asked(self):
        """What the engine is to ask and tell: also what has no hook of its own."""
        return self.hooks | {"disconnect", "fault"}

    def anew(self, most_streams):
        """The same for another run of the server, which numbers its sessions from the beginning: it knows none of these."""
        return Dispatcher(self._handler, self._auth, most_streams)

    def handle(self, event):
        """Runs the hook that an event is for, and answers. Never raises.

        A hook that its client waits for no more does not hold the session back. What the session tells while it still runs is left to
        its thread, so that a slow session has one thread at the most.
        """
        number = event.session.id
        with self._lock:
            left = self._left.get(number)
            if left is not None:
                left.append(event)
                return
            left = self._left[number] = []
        while True:
            # What the client was told 451 to long ago is asked of nobody.
            if not event.is_late:
                self._run(event)
            elif event.reading is not None:
                self._catch_up(event.reading)
            with self._lock:
                if not left:
                    del self._left[number]
                    return
                event = left.pop(0)

    def _run(self, event):
        session = None
        try:
            if event.kind == "disconnect" and "disconnect" not in self.hooks:
                self._sessions.pop(event.session.id, None)
                return
            session = self._session(event)
            getattr(self, f"_on_{event.kind}")(session, event)
        except BaseException as error:
            # Whatever it was must not end the thread that serves everybody.
            self._failed(session, error)
            try:
                _answer(event, _LOCAL_ERROR)
            except Exception:
                # The client has not waited.
                return
            finally:
                if event.reading is not None:
                    self._catch_up(event.reading)

    def _session(self, event):
        """The session's object, made at its first event."""
        info = event.session
        session = self._sessions.get(info.id)
        if session is None:
            session = Session(info)
            session.handler = self._make() if self._make else self._handler
            self._sessions[info.id] = session
        session._info = info
        return session

    def _asked(self, session, name, refusal, *arguments):
        """A hook's answer as a reply; None: accept."""
        return self._called(session, getattr(session.handler, name), refusal, session, *arguments)

    def _called(self, session, hook, refusal, *arguments):
        try:
            return reply_of(hook(*arguments), refusal)
        except Reject as reject:
            return reject.reply
        except Discarded:
            # Nobody waits for an answer any more.
            return _LOCAL_ERROR
        except BaseException as error:
            self._failed(session, error)
            return _LOCAL_ERROR

    def _failed(self, session, error):
        """Tells the handler and the log of an exception."""
        _log().error("a handler failed for %r", session, exc_info=error)
        self._tell(session, error)

    def _on_fault(self, session, event):
        fault = event.fault
        _log_fault(session, fault)
        self._tell(session, fault)

    def _tell(self, session, error):
        """Calls the `error` hook."""
        if session is not None and "error" in self.hooks:
            try:
                session.handler.error(session, error)
            except BaseException as another:
                _log().error("the error hook failed for %r", session, exc_info=another)

    def _on_connect(self, session, event):
        _answer(event, self._asked(session, "connect", _NO_SERVICE))

    def _on_hello(self, session, event):
        _answer(event, self._asked(session, "helo", _NOT_WELCOME, event.argument))

    def _on_auth(self, session, event):
        username, password, proof, identity = event.credentials
        # Octets that are no UTF-8 equal no text that anybody could have meant.
        credentials = Credentials(username, password.decode("utf-8", "surrogateescape"), proof, identity)
        hook = self._auth or session.handler.auth

        # Only a clear yes lets somebody in: a hook that forgets to return something must not.
        def asked(session, credentials):
            answer = hook(session, credentials)
            return False if answer is None else answer

        _answer(event, self._called(session, asked, _BAD_CREDENTIALS, session, credentials))

    def _on_lookup(self, session, event):
        reply = None
        try:
            kept = session.handler.lookup(session, event.username)
            if kept is not None:
                return event.supply(_kept(kept))
        except Reject as reject:
            reply = reject.reply
        except BaseException as error:
            self._failed(session, error)
            reply = _NOT_JUDGED
        _answer(event, reply)

    def _on_mail(self, session, event):
        sender, options = event.mail
        _answer(event, self._asked(session, "mail", _BAD_SENDER, sender, options))

    def _on_recipients(self, session, event):
        for place, (recipient, options) in enumerate(event.recipients):
            reply = self._asked(session, "rcpt", _BAD_RECIPIENT, recipient, options)
            _answer_at(event, place, reply)

    def _on_message(self, session, event):
        envelope = envelope_of(event, session)
        if self._takes_envelope:
            hook, arguments = session.handler, (envelope,)
        elif "data" in self.hooks:
            hook, arguments = session.handler.data, (session, envelope)
        else:
            return event.accept()
        _answer_message(event, envelope, *self._judged(session, envelope, hook, *arguments))

    def _judged(self, session, envelope, hook, *arguments):
        """What a hook says to a message: one answer to all, and with LMTP perhaps some by recipient."""
        answers = {}

        def asked(*arguments):
            answer = hook(*arguments)
            if isinstance(answer, dict):
                answers.update(_by_recipient(answer, envelope))
                answer = None
            return answer

        return self._called(session, asked, _BAD_MESSAGE, *arguments), answers

    def _on_body(self, session, event):
        if not self._begins_to_stream(session, event):
            _answer(event, _TOO_MANY)
            self._catch_up(event.reading)

    def _begins_to_stream(self, session, event):
        """Whether there is a thread for it: as many as there may be connections.

        A client decides how long its message takes: it must not hold up those that the other threads serve. One that hangs up leaves
        its hook behind, and must not have another one for each time that it does.
        """
        with self._lock:
            # The message before this one was answered, and its thread is about to end.
            others = len(self.streaming) - (session.id in self.streaming)
            if others >= self._most_streams:
                return False
            thread = threading.Thread(target=self._stream, args=(session, event), name="mailwire-stream", daemon=True)
            # Its hook may ask at once whether it is one of these.
            self.streaming[session.id] = thread
            try:
                thread.start()
            except BaseException:
                del self.streaming[session.id]
                raise
        return True

    def _stream(self, session, event):
        """A `stream` hook, in a thread of its own."""
        try:
            self._read(session, event)
        except BaseException as error:
            self._failed(session, error)
        finally:
            # In the child of a fork, where nothing more is to be done, this fails.
            self._catch_up(event.reading)
            with self._lock:
                if self.streaming.get(session.id) is threading.current_thread():
                    del self.streaming[session.id]

    def _read(self, session, event):
        envelope = envelope_of(event, session)
        body = Body(event, envelope)
        reply, answers = self._judged(session, envelope, session.handler.stream, session, envelope, body)
        try:
            self._answer_body(body, envelope, reply, answers)
        except Exception:
            # What the hook has said was no answer to this.
            self._answer_body(body, envelope, _LOCAL_ERROR, {})
            raise

    @staticmethod
    def _answer_body(body, envelope, reply, answers):
        refuses = reply is not None and not answers and reply.code >= 400
        event = body._settled(reply if refuses else None)
        if event is not None:
            _answer_message(event, envelope, reply, answers)

    def _catch_up(self, reading):
        """Handles what a session has told while its `stream` hook ran: hooks of one session never run at the same time."""
        while (event := reading.later()) is not None:
            self.handle(event)
            del event

    def _on_reset(self, session, event):
        self._told(session, event, "reset")
        _go_on(event)

    def _on_quit(self, session, event):
        self._told(session, event, "quit")
        _go_on(event)

    def _on_disconnect(self, session, event):
        del self._sessions[session.id]
        self._told(session, event, "disconnect")

    def _told(self, session, event, name):
        """A hook that only hears: its answer means nothing."""
        self._called(session, lambda: getattr(session.handler, name)(session) and None, None)
        _answer(event, None)

    def _on_verify(self, session, event):
        _answer(event, self._asked(session, "verify", _NO_SUCH_NAME, event.argument))

    def _on_expand(self, session, event):
        _answer(event, self._asked(session, "expand", _NO_SUCH_NAME, event.argument))

    def _on_help(self, session, event):
        _answer(event, self._asked(session, "help", _NO_HELP, event.argument))

    def _on_etrn(self, session, event):
        _answer(event, self._asked(session, "etrn", _NO_SUCH_NODE, event.argument))

    def _on_unknown(self, session, event):
        # Only a clear yes is one: a hook that knows nothing of this verb returns nothing.
        def asked(*arguments):
            answer = session.handler.unknown(*arguments)
            return False if answer is None else answer

        _answer(event, self._called(session, asked, _UNKNOWN, session, event.verb, event.argument))


class FaultLog:
    """In the place of a `Dispatcher` where a disposition takes the messages and there is no handler: the log is told of faults."""

    asked = ("fault",)

    def __init__(self):
        """No message is ever streamed to it."""
        self.streaming = {}

    def anew(self, most_streams):
        """The same for another run: nothing is kept of any."""
        return self

    @staticmethod
    def handle(event):
        """Tells of a fault. Never raises."""
        try:
            _log_fault(Session(event.session), event.fault)
        except Exception as error:
            _log().error("a fault could not be told", exc_info=error)


def _log():
    from logging import getLogger

    return getLogger("mailwire")


def _log_fault(session, fault):
    _log().warning("a message was not taken from %r: %s", session, fault)


def envelope_of(event, session):
    """The envelope of an event that brings a message."""
    sender, recipients, options, content = event.message
    return Envelope(sender, recipients, content, options=options, session=session, queue_id=event.queue_id)


def _kept(value):
    """What a hook says is kept of a user. Nothing but a clear text is: a field that is empty would let everybody in."""
    if not text(value, "lookup"):
        raise ValueError("lookup: an empty password is nobody's; return None where there is no such user")
    return value


def _go_on(event):
    """Until then the session tells of nothing more, so that no other thread runs its next hook."""
    try:
        event.accept()
    except Misuse:
        # It has not waited so long.
        return


def _answer(event, reply):
    if event.owed:
        if reply is None:
            event.accept()
        else:
            event.reply(reply.code, reply.enhanced, list(reply.lines))


def _answer_message(event, envelope, reply, answers):
    """One answer to all, or those by recipient."""
    if not answers:
        return _answer(event, reply)
    if event.owed == 1 and len(envelope.recipients) > 1:
        raise TypeError("only LMTP has an answer for each recipient; with SMTP return one")
    for place, address in enumerate(envelope.recipients):
        _answer_at(event, place, answers.get(address))


def _by_recipient(answers, envelope):
    """A hook's answers by recipient as replies, by the envelope's spelling of these. One to nobody would be lost."""
    replies = {text(address, "a recipient"): reply_of(one, _BAD_MESSAGE) for address, one in answers.items()}
    meant = {_meaning(address): reply for address, reply in replies.items()}
    wanted = {address: _meaning(address) for address in envelope.recipients}
    nobody = meant.keys() - wanted.values()
    if nobody:
        raise ValueError(f"a hook answers for {', '.join(map(repr, sorted(nobody)))}, no recipient of the message")
    return {address: replies.get(address, meant[one]) for address, one in wanted.items() if one in meant}


def _meaning(address):
    """What two spellings of an address have in common: domains are the same in small and in capital letters (RFC 5321 section 2.4)."""
    local, at, domain = address.rpartition("@")
    return local + at + domain.lower()


def _answer_at(event, place, reply):
    if reply is None:
        event.accept_at(place)
    else:
        event.reply_at(place, reply.code, reply.enhanced, list(reply.lines))


def _no_coroutine(name, hook):
    function = getattr(hook, "__func__", hook)
    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & _COROUTINE:
        raise TypeError(f"{name}: a handler here is made of `def`, not of `async def`, which no event loop would run")

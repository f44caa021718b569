"""From the engine's events to a handler's hooks, and from what they return to answers."""

import threading
from contextlib import suppress
from functools import partial
from types import coroutine
from weakref import ref

from ._answers import (
    LOCAL_ERROR,
    answer_at,
    answer_event,
    answer_message,
    go_on,
    kept_text,
    meant,
    name_of,
    no_coroutine,
    nothing,
    only_true,
    only_yes,
    to_all,
)
from ._errors import Error, Misuse
from ._hooks import ARGUMENTS, hooks_of
from ._loop import is_coroutine
from ._results import Reply
from ._session import Credentials, Discarded, Envelope, Reject, Session
from ._stream import AsyncBody, Body

# What asks a hook that is not called as the event is.
_HOOK_OF = {"hello": "helo", "recipients": "rcpt"}

# What an exception stands for where a user is looked up.
_NOT_JUDGED = Reply(454, "Temporary authentication failure", "4.7.0")

# What is said where the hooks of other messages still read.
_TOO_MANY = Reply(452, "Too many messages are being read here, try again later", "4.3.2")

# The status of an answer that comes when nobody waits for it any more.
_CLOSED = 5


class Dispatcher:
    """Runs a handler's hooks for one run of a server, in threads and on its loop; those of one session never at the same time.

    What is done at an event is a coroutine, also where all hooks are `def`. The thread that has the event drives it, to its end or to
    the first thing that a hook wants awaited; from there on it is a task of the loop.
    """

    def __init__(self, handler, auth, most_streams=0, loop=None):
        """For a handler, object, class or callable, a callable for AUTH or None, so many `stream` hooks at a time, and a `Loop`."""
        self._make = handler if isinstance(handler, type) else None
        self._handler = handler
        self._auth = auth
        self.loop = loop
        self._sessions = {}
        # By the number of a session whose hook runs.
        self._turns = {}
        self._lock = threading.Lock()
        # The `stream` hooks that run, by the number of the session.
        self._streaming = {}
        # The `disconnect` hooks that do, those that have begun before others first.
        self._leaving = {}
        # What is done about too many of these, while there are.
        self._overflow = None
        self._most_streams = most_streams
        self.hooks = hooks_of(handler)
        self._takes_envelope = not self.hooks and self._make is None and callable(handler)
        if not self.hooks and not self._takes_envelope:
            raise TypeError(f"handler: a callable, or an object or class with some of {', '.join(ARGUMENTS)} is needed")
        if {"data", "stream"} <= self.hooks:
            raise TypeError("handler: a message is given to `data` or to `stream`; it has both")
        self.takes_messages = self._takes_envelope or bool({"data", "stream"} & self.hooks)
        self._message_hook = None if self._takes_envelope else "stream" if "stream" in self.hooks else "data"
        hooks = [handler] if self._takes_envelope else [getattr(handler, name) for name in self.hooks]
        if auth is not None:
            hooks.append(auth)
            self.hooks.add("auth")
        self.has_coroutines = any(map(is_coroutine, hooks))

    def asked(self, by_xclient):
        """What the engine is to ask and tell: also what has no hook of its own, as that another client has come by XCLIENT."""
        return self.hooks | {"disconnect", "fault"} | ({"connect"} if by_xclient else set())

    def anew(self, most_streams, loop):
        """The same for another run of the server, which numbers its sessions from the beginning: it knows none of these."""
        return Dispatcher(self._handler, self._auth, most_streams, loop)

    def threads(self):
        """The threads of its own in which hooks run."""
        readers = [turn.thread for turn in list(self._streaming.values())]
        return [thread for thread in readers if thread is not None]

    def handle(self, event):
        """Runs the hook that an event is for, and answers. Never raises.

        A hook that its client waits for no more does not hold the session back. What the session tells while it still runs is left to
        its thread, so that a slow session has one thread at the most, and cancels it if it is a coroutine.
        """
        info = event.session
        with self._lock:
            turn = self._turns.get(info.id)
            if turn is not None:
                turn.left = [*turn.left, event]
            else:
                begun = self._turns[info.id] = _Turn(event)
        if turn is None:
            self._begin(self._work_off(info, begun), begun)
        elif turn.task is not None:
            with suppress(Misuse):
                # Unless the loop is closed, and the coroutine gone with it.
                self.loop.give_up(turn)

    def _begin(self, flow, turn):
        """Runs what is to be done at an event: here, until a hook wants something awaited, and the rest on the loop."""
        if self.loop.is_here():
            # A hook that is no coroutine might block it.
            return self.loop.adopt(flow, turn)
        try:
            flow.send(None)
            while True:
                try:
                    return self.loop.adopt(flow, turn)
                except BaseException as error:
                    failure = error
                # Nothing will await it. The hook that tells of errors may want that in its turn.
                flow.throw(failure)
        except StopIteration:
            return

    async def _work_off(self, info, turn):
        """Handles the event of a turn, of a session of which that is known, and what comes meanwhile."""
        while True:
            event, session = turn.event, None
            kind = event.kind
            try:
                # What the client was told 451 to long ago is asked of nobody.
                if event.is_late:
                    self._catch_up(event.reading)
                elif kind == "disconnect" and "disconnect" not in self.hooks:
                    self._sessions.pop(info.id, None)
                else:
                    if kind == "connect":
                        # By XCLIENT another client comes over the same connection, and has nothing of the one before.
                        self._sessions.pop(info.id, None)
                    session = self._session(info)
                    await getattr(self, f"_on_{kind}")(session, event)
            except BaseException as error:
                if _closes(error):
                    # Its loop is closed. What is dropped is answered.
                    turn.event = None
                    raise
                # Whatever it was must not end the thread that serves everybody.
                await self._not_answered(session, event, error)
            with self._lock:
                if not turn.left:
                    del self._turns[info.id]
                    break
                turn.event = turn.left.pop(0)
            self.loop.begin_next(turn)
            info = turn.event.session
        if turn.task is not None:
            self.loop.leave(turn)

    async def _not_answered(self, session, event, error):
        if _is_late(error, event):
            _log_late(session, event)
        else:
            await self._failed(session, *self._blamed(session, event, error))
            with suppress(Exception):
                # Unless the client has not waited.
                answer_event(event, LOCAL_ERROR)
        self._catch_up(event.reading)

    def _blamed(self, session, event, error):
        """What went wrong with an event, and whose doing it is: that a hook's answer is none to this is the hook's."""
        if session is None:
            return error, f"{name_of(self._handler)}.__init__"
        kind = event.kind
        hook = self._message_hook if kind in ("message", "body", "end_of_data") else _HOOK_OF.get(kind, kind)
        if hook is None:
            name = name_of(session.handler)
        else:
            name = name_of(getattr(session.handler, hook, None) or self._auth or self._handler)
        if isinstance(error, Error):
            error.message = f"the hook {name} gave an answer that is none here: {error.message}"
        return error, name

    def _session(self, info):
        """The session's object, made at its first event."""
        session = self._sessions.get(info.id)
        if session is None:
            session = Session(info)
            session.handler = self._make() if self._make else self._handler
            self._sessions[info.id] = session
        session._info = info
        return session

    def _asked(self, session, name, event, *arguments):
        """A hook's answer to an event as a reply, to be awaited; None: accept."""
        return self._called(session, getattr(session.handler, name), event, session, *arguments)

    async def _called(self, session, hook, event, *arguments, means=None):
        """The same of a hook that is known, whose answer perhaps means another one."""
        try:
            answer = self._begun(hook, *arguments)
            if answer is not None and hasattr(answer, "__await__"):
                answer = await self._ended(answer)
            return meant(hook, answer, means, event)
        except Reject as reject:
            return reject.reply
        except Discarded:
            # Nobody waits for an answer any more.
            return LOCAL_ERROR
        except BaseException as error:
            if _closes(error):
                raise
            await self._failed(session, error, name_of(hook))
            return LOCAL_ERROR

    def _begun(self, hook, *arguments):
        """What a hook gives back, to be awaited where it is that, or where the hook has to run elsewhere: one that may block."""
        if self.loop.is_here() and not is_coroutine(hook):
            return self.loop.aside(hook, *arguments)
        return hook(*arguments)

    async def _ended(self, awaited):
        if not self.loop.is_here():
            await _to_the_loop(awaited)
        answer = await awaited
        # What was called elsewhere may want something awaited in its turn.
        return await answer if hasattr(answer, "__await__") else answer

    async def _failed(self, session, error, name):
        """Tells the handler and the log of an exception in a hook of that name."""
        if not self.loop.gave_up(error):
            _log().error("the hook %s failed for %r", name, session, exc_info=error)
            await self._tell(session, error)

    async def _on_fault(self, session, event):
        fault = event.fault
        _log_fault(session, fault)
        await self._tell(session, fault)

    async def _tell(self, session, error):
        """Calls the `error` hook."""
        if session is not None and "error" in self.hooks:
            try:
                answer = self._begun(session.handler.error, session, error)
                if hasattr(answer, "__await__"):
                    await self._ended(answer)
            except BaseException as another:
                if _closes(another):
                    raise
                if not self.loop.gave_up(another):
                    _log().error("the error hook failed for %r", session, exc_info=another)

    async def _on_connect(self, session, event):
        if "connect" not in self.hooks:
            return event.accept()
        answer_event(event, await self._asked(session, "connect", event))

    async def _on_hello(self, session, event):
        answer_event(event, await self._asked(session, "helo", event, event.argument))

    async def _on_auth(self, session, event):
        username, password, proof, identity = event.credentials
        try:
            credentials = Credentials(username, password.decode(), proof, identity)
        except UnicodeDecodeError:
            # It is nobody's, and a hook that takes it for a text would fail for the users that there are alone.
            return answer_event(event, event.refusal)
        hook = self._auth or session.handler.auth
        answer_event(event, await self._called(session, hook, event, session, credentials, means=only_true))

    async def _on_lookup(self, session, event):
        reply = None
        try:
            kept = self._begun(session.handler.lookup, session, event.username)
            if hasattr(kept, "__await__"):
                kept = await self._ended(kept)
            if kept is not None and kept is not False:
                return event.supply(kept_text(kept))
        except Reject as reject:
            reply = reject.reply
        except BaseException as error:
            if _closes(error) or _is_late(error, event):
                raise
            await self._failed(session, error, name_of(session.handler.lookup))
            reply = _NOT_JUDGED
        answer_event(event, reply)

    async def _on_mail(self, session, event):
        sender, options = event.mail
        answer_event(event, await self._asked(session, "mail", event, sender, options))

    async def _on_recipients(self, session, event):
        for place, (recipient, options) in enumerate(event.recipients):
            reply = await self._asked(session, "rcpt", event, recipient, options)
            try:
                answer_at(event, place, reply)
            except Exception as error:
                if _is_late(error, event):
                    raise
                await self._failed(session, *self._blamed(session, event, error))
                answer_at(event, place, LOCAL_ERROR)

    async def _on_message(self, session, event):
        envelope = envelope_of(event, session)
        if self._takes_envelope:
            hook, arguments = session.handler, (envelope,)
        elif "data" in self.hooks:
            hook, arguments = session.handler.data, (session, envelope)
        else:
            return event.accept()
        answers = {}
        means = partial(to_all, answers, envelope, event)
        reply = await self._called(session, hook, event, *arguments, means=means)
        recipients, kept = envelope.recipients, ref(envelope)
        del envelope, arguments, means
        if (envelope := kept()) is not None:
            # What the application keeps is its own from here on, and takes no room from the messages to come.
            envelope._keep()
        answer_message(event, recipients, reply, answers)

    async def _on_body(self, session, event):
        if not self._begins_to_stream(session, event):
            answer_event(event, _TOO_MANY)
            self._catch_up(event.reading)

    def _begins_to_stream(self, session, event):
        """Whether its hook may run: as many may as there may be connections. One that is no coroutine has a thread.

        A client decides how long its message takes: it must not hold up those that the other threads serve. One that hangs up leaves
        its hook behind, and must not have another one for each time that it does.
        """
        turn = _Turn(event)
        if is_coroutine(session.handler.stream):
            flow = self._stream(session, event, turn, session.handler.stream, partial(AsyncBody, self.loop))
            start = partial(self.loop.adopt, flow, turn)
        else:
            flow = self._stream(
                session, event, turn, partial(no_coroutine, session.handler.stream), partial(Body, self.loop)
            )
            turn.thread = threading.Thread(target=self._begin, args=(flow, turn), name="mailwire-stream", daemon=True)
            start = turn.thread.start
        with self._lock:
            # The message before this one was answered, and its hook is about to end.
            others = len(self._streaming) - (session.id in self._streaming)
            if others >= self._most_streams:
                flow.close()
                return False
            # Its hook may ask at once whether it is one of these.
            self._streaming[session.id] = turn
            try:
                start()
            except BaseException:
                flow.close()
                del self._streaming[session.id]
                raise
        return True

    async def _stream(self, session, event, turn, hook, make_body):
        """A `stream` hook, from its beginning to its answer."""
        try:
            await self._read(session, event, hook, make_body)
        except BaseException as error:
            if _closes(error):
                raise
            await self._failed(session, *self._blamed(session, event, error))
        # In the child of a fork, where nothing more is to be done, this fails.
        self._catch_up(event.reading)
        with self._lock:
            if self._streaming.get(session.id) is turn:
                del self._streaming[session.id]
        self.loop.leave(turn)

    async def _read(self, session, event, hook, make_body):
        envelope = envelope_of(event, session)
        body = make_body(event, envelope)
        answers = {}
        means = partial(to_all, answers, envelope, event)
        reply = await self._called(session, hook, event, session, envelope, body, means=means)
        try:
            await self._answer_body(session, body, envelope, reply, answers)
        except Exception:
            # What the hook has said was no answer to this.
            await self._answer_body(session, body, envelope, LOCAL_ERROR, {})
            raise

    async def _answer_body(self, session, body, envelope, reply, answers):
        refuses = reply is not None and not answers and reply.code >= 400
        event = await body._settled(reply if refuses else None)
        if event is not None:
            try:
                answer_message(event, envelope.recipients, reply, answers)
            except Misuse as error:
                if not _is_late(error, event):
                    raise
                _log_late(session, event)

    def _catch_up(self, reading):
        """Handles what a session has told while its `stream` hook ran, if any did: hooks of one session never run at the same time."""
        while reading is not None and (event := reading.later()) is not None:
            self.handle(event)
            del event

    async def _on_reset(self, session, event):
        await self._told(session, event, "reset")
        go_on(event)

    async def _on_quit(self, session, event):
        await self._told(session, event, "quit")
        go_on(event)

    async def _on_disconnect(self, session, event):
        del self._sessions[session.id]
        with self._lock:
            self._leaving[session.id] = self._turns[session.id]
            # A client decides how often it hangs up, and nobody waits for these: there are as many as there may be connections, and no
            # more than as many again that were cancelled and go on all the same.
            count, most, what = len(self._leaving), self._most_streams, None
            if count > 2 * most:
                what = "those that were cancelled do not end, and no other is called"
            elif count > most:
                what = "those that began before the others are cancelled"
                self.loop.cancel(next(turn for turn in self._leaving.values() if not turn.is_over))
            # A client could fill the log else.
            is_new = what not in (None, self._overflow)
            self._overflow = what
        try:
            if is_new:
                _log().warning("too many disconnect hooks run at a time: %s", what)
            if count <= 2 * most:
                await self._told(session, event, "disconnect")
            else:
                answer_event(event, None)
        finally:
            with self._lock:
                del self._leaving[session.id]

    async def _told(self, session, event, name):
        """A hook that only hears: its answer means nothing."""
        await self._called(session, getattr(session.handler, name), event, session, means=nothing)
        answer_event(event, None)

    async def _on_verify(self, session, event):
        answer_event(event, await self._asked(session, "verify", event, event.argument))

    async def _on_expand(self, session, event):
        answer_event(event, await self._asked(session, "expand", event, event.argument))

    async def _on_help(self, session, event):
        answer_event(event, await self._asked(session, "help", event, event.argument))

    async def _on_etrn(self, session, event):
        answer_event(event, await self._asked(session, "etrn", event, event.argument))

    async def _on_unknown(self, session, event):
        # A hook that knows nothing of this verb returns nothing.
        hook, arguments = session.handler.unknown, (session, event.verb, event.argument)
        answer_event(event, await self._called(session, hook, event, *arguments, means=only_yes))


class _Turn:
    """What hooks of a session do, one after the other."""

    # What came meanwhile, the task that it is on the loop, and a thread of its own, if there are any.
    left, task, thread = (), None, None

    # Whether it is to end, though it may not have come to the loop yet.
    is_over = False

    def __init__(self, event):
        """At an event."""
        self.event = event


@coroutine
def _to_the_loop(awaited):
    """Goes on on the loop: what drives the coroutine that awaits this sees to it."""
    try:
        yield
    except BaseException:
        # There is none, and nobody will ever await it.
        if hasattr(awaited, "close"):
            awaited.close()
        raise


class FaultLog:
    """In the place of a `Dispatcher` where a disposition takes the messages and there is no handler: the log is told of faults."""

    takes_messages = False
    has_coroutines = False

    @staticmethod
    def asked(_by_xclient):
        """What the engine is to tell."""
        return {"fault"}

    def anew(self, most_streams, loop):
        """The same for another run: nothing is kept of any."""
        return self

    def threads(self):
        """It has none of its own."""
        return ()

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
    (sender, options), recipients, content = event.message
    return Envelope(
        sender,
        [recipient for recipient, _ in recipients],
        content,
        options=options,
        rcpt_options=[options for _, options in recipients],
        session=session,
        queue_id=event.queue_id,
    )


def _closes(error):
    """Whether this closes the coroutine that has caught it: such a `GeneratorExit` comes out of nothing that was called or awaited."""
    return isinstance(error, GeneratorExit) and error.__traceback__.tb_next is None


def _is_late(error, event):
    """Whether this is how answering fails where the client has not waited."""
    return isinstance(error, Misuse) and error.status == _CLOSED and not event.owed


def _log_late(session, event):
    _log().warning("the answer to %s came too late for %r: the client is gone, or was told 451", event.kind, session)

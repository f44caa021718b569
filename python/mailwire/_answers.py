"""What a hook's answers mean, and how they reach the engine."""

from functools import partial

from ._errors import Misuse
from ._message import shown, text
from ._results import Reply
from ._session import reply_of

# What an exception stands for but where a user is looked up.
LOCAL_ERROR = Reply(451, "Local error in processing", "4.3.0")


def kept_text(value):
    """What a hook says is kept of a user. Nothing but a clear text is: a field that is empty would let everybody in."""
    if not text(value, "lookup"):
        raise ValueError("lookup: an empty password is nobody's; return None where there is no such user")
    return value


def name_of(hook):
    """What a hook is called where it is defined."""
    if isinstance(hook, partial):
        return name_of(hook.args[0] if hook.func is no_coroutine else hook.func)
    return getattr(hook, "__qualname__", None) or type(hook).__qualname__


def meant(hook, answer, means, event):
    """A hook's answer to an event as a reply; what cannot be one is told with the hook's name."""
    try:
        return _answer_to(event, answer if means is None else means(answer))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"the hook {name_of(hook)} answered {shown(answer)}: {error}") from None


def _answer_to(event, answer):
    """An answer as a reply, where False is what the engine says that refuses this."""
    return event.refusal if answer is False else reply_of(answer)


def only_yes(answer):
    """What an answer means where None is no."""
    return False if answer is None else answer


def only_true(answer):
    """What an answer means at AUTH, where True alone lets somebody in: a code that a hook has from elsewhere must not."""
    if answer is None or isinstance(answer, bool):
        return answer is True
    reply = reply_of(answer)
    if reply.code < 400:
        raise ValueError("True lets somebody in at `auth`, and nothing else")
    return reply


def nothing(answer):
    """What an answer means to whom only something is told."""
    return None


def no_coroutine(stream, *arguments):
    """What a `stream` hook says that has a thread to read in."""
    answer = stream(*arguments)
    if not hasattr(answer, "__await__"):
        return answer
    if hasattr(answer, "close"):
        answer.close()
    raise TypeError(
        "stream: a `def` returned something to await; what wraps an `async def` has to be one too, or it reads as a `def` does"
    )


def go_on(event):
    """Until then the session tells of nothing more, so that no other thread runs its next hook."""
    try:
        event.accept()
    except Misuse:
        # It has not waited so long.
        return


def answer_event(event, reply):
    """One answer to all that an event asks; None: accept."""
    if event.owed:
        if reply is None:
            event.accept()
        else:
            event.reply(*said(reply))


def answer_message(event, recipients, reply, answers):
    """One answer to all, or those by recipient. One that is none is an error of its recipient alone, and raised behind the others."""
    if not answers:
        return answer_event(event, reply)
    if event.owed == 1 and len(recipients) > 1:
        raise TypeError("only LMTP has an answer for each recipient; with SMTP return one")
    failure = None
    for place, address in enumerate(recipients):
        try:
            answer_at(event, place, answers.get(address))
        except Exception as error:
            if not event.owed:
                # Nobody waits.
                raise
            failure = failure or error
            answer_at(event, place, LOCAL_ERROR)
    if failure is not None:
        raise failure


def to_all(answers, envelope, event, answer):
    """What a hook answers to all recipients of a message; with LMTP it may have some by recipient, which go into `answers`."""
    if isinstance(answer, dict):
        answers.update(_by_recipient(answer, envelope, event))
        return None
    return answer


def _by_recipient(answers, envelope, event):
    """A hook's answers by recipient as replies, by the envelope's spelling of these. One to nobody would be lost."""
    replies = {text(address, "a recipient"): _answer_to(event, one) for address, one in answers.items()}
    by_meaning = {_meaning(address): reply for address, reply in replies.items()}
    wanted = {address: _meaning(address) for address in envelope.recipients}
    nobody = by_meaning.keys() - wanted.values()
    if nobody:
        raise ValueError(f"a hook answers for {', '.join(map(repr, sorted(nobody)))}, no recipient of the message")
    return {address: replies.get(address, by_meaning[one]) for address, one in wanted.items() if one in by_meaning}


def _meaning(address):
    """What two spellings of an address have in common: domains are the same in small and in capital letters (RFC 5321 section 2.4)."""
    local, at, domain = address.rpartition("@")
    return local + at + domain.lower()


def answer_at(event, place, reply):
    """One of several answers; None: accept."""
    if reply is None:
        event.accept_at(place)
    else:
        event.reply_at(place, *said(reply))


def said(reply):
    """What the engine takes a reply from. What is not ASCII, as in an address with SMTPUTF8, is `?`: a reply is ASCII."""
    return reply.code, reply.enhanced, [line.encode("ascii", "replace").decode() for line in reply.lines]

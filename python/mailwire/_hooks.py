"""The hooks that a handler may have, what each is called with, and that it takes that, before any client comes."""

from ._answers import name_of

# What stands behind `self`, where there is one.
ARGUMENTS = {
    "connect": ("session",),
    "helo": ("session", "name"),
    "auth": ("session", "credentials"),
    "lookup": ("session", "username"),
    "mail": ("session", "sender", "options"),
    "rcpt": ("session", "recipient", "options"),
    "data": ("session", "envelope"),
    "stream": ("session", "envelope", "body"),
    "reset": ("session",),
    "quit": ("session",),
    "verify": ("session", "name"),
    "expand": ("session", "name"),
    "help": ("session", "topic"),
    "etrn": ("session", "node"),
    "unknown": ("session", "verb", "argument"),
    "disconnect": ("session",),
    "error": ("session", "exception"),
}


def look_at(handler, hooks, auth):
    """Fails with TypeError if one of these hooks of a handler, the handler itself or the callable for AUTH cannot be called as it will be.

    What has no signature, or does not tell it, as some things in C, is not looked at.
    """
    if isinstance(handler, type):
        _takes(handler, (), f"handler: {name_of(handler)} is made for each session")
    for name in hooks:
        hook, arguments = getattr(handler, name), ARGUMENTS[name]
        if isinstance(handler, type) and _is_method(handler, name):
            arguments = ("self", *arguments)
        _takes(hook, arguments, f"handler: the hook {name_of(hook)} is called")
    if not hooks:
        _takes(handler, ("envelope",), f"handler: {name_of(handler)} is called")
    if auth is not None:
        _takes(auth, ARGUMENTS["auth"], f"auth: {name_of(auth)} is called")


def _is_method(handler, name):
    """Whether a class has a plain method of that name, or a part of one, whose first argument is the object."""
    from functools import partialmethod
    from inspect import getattr_static
    from types import FunctionType

    return isinstance(getattr_static(handler, name, None), (FunctionType, partialmethod))


def _takes(called, arguments, what):
    # Here, where a server is made: a program that sends has no use for it.
    from inspect import signature

    try:
        # Not that of what a decorator wraps: it may be called with other arguments.
        known = signature(called, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        known.bind(*arguments)
    except TypeError as error:
        given = f"with ({', '.join(arguments)})" if arguments else "without arguments"
        raise TypeError(f"{what} {given}, which it does not take: {error}") from None

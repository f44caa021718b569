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


def hooks_of(handler):
    """Which of them a handler has."""
    return {name for name in ARGUMENTS if callable(getattr(handler, name, None))}


def look_at(handler, auth):
    """Fails with TypeError if one of the hooks of a handler, the handler itself or the callable for AUTH cannot be called as it will be.

    What has no signature, or does not tell it, as some things in C, is not looked at.
    """
    hooks = hooks_of(handler)
    if isinstance(handler, type):
        _takes(handler, (), f"handler: {name_of(handler)} is made for each session")
    # A callable of its own is asked in place of the handler's.
    for name in hooks - {"auth"} if auth is not None else hooks:
        arguments = ARGUMENTS[name]
        if isinstance(handler, type):
            arguments = _of_class(handler, name, arguments)
        if arguments is not None:
            hook = getattr(handler, name)
            _takes(hook, arguments, f"handler: the hook {name_of(hook)} is called")
    if not hooks:
        _takes(handler, ("envelope",), f"handler: {name_of(handler)} is called")
    if auth is not None:
        _takes(auth, ARGUMENTS["auth"], f"auth: {name_of(auth)} is called")


def _of_class(handler, name, arguments):
    """What a hook of a class takes from the class's own side, with the object in front. None where that cannot be told."""
    from functools import partialmethod
    from inspect import getattr_static
    from types import FunctionType

    hook = getattr_static(handler, name, None)
    if isinstance(hook, (FunctionType, partialmethod)):
        return ("self", *arguments)
    if isinstance(hook, (staticmethod, classmethod)) or not hasattr(type(hook), "__get__"):
        return arguments
    return None


def _takes(called, arguments, what):
    # Here, where a server is made: a program that sends has no use for it.
    from inspect import signature

    try:
        # Not that of what a decorator wraps: it may be called with other arguments.
        known = signature(called, follow_wrapped=False)
    except Exception:
        # Annotations of names that are not there at run time are looked at too, by some versions.
        return
    try:
        known.bind(*arguments)
    except TypeError as error:
        given = f"with ({', '.join(arguments)})" if arguments else "without arguments"
        raise TypeError(f"{what} {given}, which it does not take: {error}") from None

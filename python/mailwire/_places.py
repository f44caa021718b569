"""Where a server listens: addresses, a Unix socket, or sockets that listen already."""

from ._errors import InvalidArgument
from ._message import addresses, path, whole, wrong


def listening(host, port, unix, sockets, named):
    """Where to listen in the engine's words, and the path if it is a Unix socket alone. Options may have `named` a place themselves."""
    elsewhere = "unix" if unix is not None else "sockets" if sockets is not None else None
    for name, given in (("host", host != "127.0.0.1"), ("port", port != 0)):
        if given and elsewhere is not None:
            raise TypeError(f"{name}: it is not listened on where `{elsewhere}` is given; give one of the two")
    if named and elsewhere is None and (host, port) == ("127.0.0.1", 0):
        return [], None
    if sockets is not None:
        if unix is not None:
            raise TypeError("sockets: they are listened on instead of `unix`; give one of the two")
        return descriptors(sockets), _path_of(sockets)
    if unix is not None:
        name = path(unix, "unix")
        return [f"unix:{name}"], name
    hosts = addresses(host, "host")
    if not hosts:
        raise InvalidArgument("host: at least one address is needed")
    return [_address(one, port) for one in hosts], None


def descriptors(sockets):
    """The descriptors of such sockets in the engine's words."""
    from socket import socket

    for one in sockets:
        if not isinstance(one, socket):
            raise wrong("sockets", "a list of listening sockets", one)
        if one.fileno() < 0:
            raise InvalidArgument("sockets: one of them is closed")
    if not sockets:
        raise InvalidArgument("sockets: at least one is needed")
    return [f"fd:{one.fileno()}" for one in sockets]


def _path_of(sockets):
    """The path of Unix sockets; None where one of them has a port."""
    from socket import AF_UNIX

    return sockets[0].getsockname() if all(one.family == AF_UNIX for one in sockets) else None


def _address(host, port):
    if not 0 <= whole(port, "port") <= 65535:
        raise InvalidArgument(f"port: {port} is not between 0 and 65535")
    if host == "localhost":
        host = "127.0.0.1"
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

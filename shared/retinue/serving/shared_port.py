"""A TCP port that several processes listen on: the kernel gives each connection to one of them."""

import socket


def hold_port(host: str, port: int) -> tuple[socket.socket, int]:
    """Return a socket that keeps a port for processes of this user, and the port's number.

    The socket never listens, so it gets no connections; it must be kept while they serve.

    Args:
        host: name or address, that of IPv6 with or without brackets.
        port: its number; 0 takes a free one.

    Raises:
        OSError: the port is taken; those who share a port are not seen as such by others who may share it.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    if port:
        with socket.socket(family, kind, protocol) as probe:  # not shared: it fails where anybody listens
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    held = socket.socket(family, kind, protocol)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held, int(held.getsockname()[1])

"""A way to a server that breaks: connections are reset in the middle of what comes back on them."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextmanager
def breaking(address: str, *, after_bytes: int, breaks: int) -> Iterator[str]:
    """Forward connections to a server; give the address to call instead.

    Args:
        address: the server.
        after_bytes: after so many bytes from the server a connection is reset on both sides.
        breaks: how many connections, the first ones, are broken so.
    """
    host, _, port = address.rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            left = breaks
            with suppress(OSError):  # the listener is closed, or the server is gone
                while True:
                    near, _ = listener.accept()
                    try:
                        far = socket.create_connection((host, int(port)))
                    except OSError:  # a client that comes back while all is being closed
                        near.close()
                        continue
                    limit = after_bytes if left > 0 else None
                    left -= 1
                    threading.Thread(target=_forward, args=(near, far, None), daemon=True).start()
                    threading.Thread(target=_forward, args=(far, near, limit), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # ends `accept`


def _forward(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):  # the other direction has ended
        while data := source.recv(2**16):
            sink.sendall(data)
            passed += len(data)
            if limit is not None and passed > limit:
                break
    for side in (source, sink):
        with suppress(OSError):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            side.shutdown(socket.SHUT_RDWR)
        side.close()

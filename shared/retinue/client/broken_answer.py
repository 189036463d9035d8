"""Answers that broke off, which gRPC does not ask for again: the clients do, once, within the same deadline.

gRPC repeats a call until the first byte of its answer is there. What a replica that is killed had begun to send, or a
proxy had begun to pass on, would be lost.
"""

import re
import time

import grpc

_CODES = (
    grpc.StatusCode.UNAVAILABLE,  # the connection was lost
    grpc.StatusCode.UNKNOWN,  # a proxy ended the answer before its end
    grpc.StatusCode.INTERNAL,  # a proxy reset the stream
    grpc.StatusCode.CANCELLED,  # a server stopped in this instant
)
# What gRPC says of a broken stream, by 1.76 and by 1.85; the services say none of it. A closed channel is not among it.
_SIGNS = re.compile(r"Stream removed|Socket closed|Connection reset|RST_STREAM|^CANCELLED$")


class BrokenAnswer:
    """Decides whether a call that failed is made once more. Only for calls whose request is still at hand.

    Args:
        timeout_s: the deadline of the call, seconds, which begins now and holds for both attempts together.
    """

    def __init__(self, timeout_s: float) -> None:
        self._end_s = time.monotonic() + timeout_s
        self._is_repeated = False

    @property
    def left_s(self) -> float:
        """What is left of the deadline, seconds."""
        return self._end_s - time.monotonic()

    def is_to_be_repeated(self, error: grpc.RpcError) -> bool:
        """Whether this failure broke an answer off, it is the first that did, and there is time to ask again."""
        if self._is_repeated or self.left_s <= 0 or not is_broken_off(error):
            return False
        self._is_repeated = True
        return True


def is_broken_off(error: grpc.RpcError) -> bool:
    """Return whether a failure is neither the service's word nor that no replica was reached, but a broken stream."""
    code, details = error.code(), error.details()
    return code in _CODES and bool(_SIGNS.search(details or ""))

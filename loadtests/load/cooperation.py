"""gRPC under gevent: set up, and asserted.

Without gRPC's own set-up a blocking call holds the whole process: many users become one, and every figure looks fine.
"""

import gevent
import gevent.event
import grpc
import grpc.experimental.gevent

_WAIT_S = 0.1
_NOWHERE = "ipv4:127.0.0.1:1"  # nothing needs to listen: the call waits for a connection until its deadline


class GeventMissing(Exception):
    """A call of gRPC holds all greenlets, so users would wait for each other."""


def set_up_gevent() -> None:
    """Let gRPC wait by gevent's loop, before the first channel is made, and check that it does.

    Raises:
        GeventMissing: it does not.
    """
    grpc.experimental.gevent.init_gevent()
    assert_calls_give_way()


def assert_calls_give_way() -> None:
    """Check that another greenlet runs while a call waits.

    Raises:
        GeventMissing: none does.
    """
    has_run = gevent.event.Event()
    gevent.spawn(has_run.set)
    with grpc.insecure_channel(_NOWHERE, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/nowhere.Nobody/Call")
        try:
            call(b"", timeout=_WAIT_S, wait_for_ready=True)
        except grpc.RpcError:
            if has_run.is_set():
                return
    raise GeventMissing("a blocking call of gRPC does not give way to other greenlets; init_gevent was not called")

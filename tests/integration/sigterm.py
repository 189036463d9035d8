"""Callers who call without pause while a service is told to end."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from loadtests.service_process import ServiceProcess

Code = grpc.StatusCode
Caller = Callable[[grpc.Channel], Callable[[], object]]
"""Given a channel of its own, what it calls again and again."""


def codes_under_sigterm(service: ServiceProcess, callers: Sequence[Caller], *, answers: int) -> Counter[Code]:
    """Terminate a service once it has answered so often; return how all its calls ended.

    Each caller goes on until it is told something else than OK; what it raises itself is raised here.
    """
    codes: Counter[Code] = Counter()
    lock, enough = threading.Lock(), threading.Event()

    def call_until_told(caller: Caller) -> None:
        with grpc.insecure_channel(service.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            call, code = caller(channel), Code.OK
            while code is Code.OK:
                try:
                    call()
                except grpc.RpcError as error:
                    code = error.code()
                with lock:
                    codes[code] += 1
                    if codes[Code.OK] > answers:
                        enough.set()

    with ThreadPoolExecutor(len(callers)) as pool:
        calling = [pool.submit(call_until_told, caller) for caller in callers]
        try:
            is_enough = enough.wait(30)
        finally:
            service.terminate()  # they end in any case
        for one in calling:
            one.result(30)
    assert is_enough
    return codes

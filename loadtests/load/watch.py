"""What the services said of themselves while a load ran: counters before and after, a reading every second."""

from collections.abc import Mapping, Sequence

import gevent
import grpc

from loadtests.load.exposition import Exposition
from loadtests.load.reading import Reading
from loadtests.load.users import Run

_EVERY_S = 1.0


class ServiceWatch:
    """Reads the services' metrics until it is stopped.

    Args:
        addresses: of each service, the side ports of all its replicas.
        run: whose clock is used.
    """

    def __init__(self, addresses: Mapping[str, Sequence[str]], run: Run) -> None:
        self._addresses = addresses
        self._run = run
        self._before = {service: Exposition.scrape(ports) for service, ports in addresses.items()}
        self.readings: list[Reading] = []
        self.missed_count = 0
        self._reader = gevent.spawn(self._read)

    def stop(self) -> Mapping[str, Exposition]:
        """Stop reading and return what each service counted since the watch began.

        Raises:
            OSError: a service does not answer.
        """
        self._reader.kill()
        after = {service: Exposition.scrape(ports) for service, ports in self._addresses.items()}
        return {service: after[service] - before for service, before in self._before.items()}

    def _read(self) -> None:
        while True:
            for service, ports in self._addresses.items():
                try:
                    self.readings.append(self._reading(service, Exposition.scrape(ports)))
                except OSError:  # a service that is too busy to say how busy it is
                    self.missed_count += 1
            gevent.sleep(_EVERY_S)

    def _reading(self, service: str, now: Exposition) -> Reading:
        return Reading(
            at_s=self._run.now_s(),
            service=service,
            queue_length=now.total("retinue_queue_length"),
            in_flight_calls=now.total("retinue_in_flight_calls"),
            cpu_s=now.total("process_cpu_seconds_total"),
            resident_bytes=now.total("process_resident_memory_bytes"),
        )


def assert_reachable(target: str, channel: grpc.Channel, timeout_s: float = 20.0) -> None:
    """Wait until a channel is connected, so that connecting is not measured.

    Raises:
        OSError: nobody answers there.
    """
    try:
        grpc.channel_ready_future(channel).result(timeout=timeout_s)
    except grpc.FutureTimeoutError as error:
        raise OSError(f"nobody answers on {target}") from error

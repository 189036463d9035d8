"""The channel to a service: balancing, health, retries, keepalive and message limits, all as plain data.

Every client opens its channel here, so that none of them forgets one of these.
"""

import ipaddress
import json
import re
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

Target = str | Sequence[str]
"""``"host:port"``, ``"dns:///name:port"`` (or another gRPC scheme), or several ``"ip:port"`` to balance over."""

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_MAX_MESSAGE_BYTES = 64 * 2**20
READINESS_SERVICE = "retinue.readiness"

SERVICE_CONFIG: dict[str, Any] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    # A replica that drains or loads says so by NOT_SERVING and gets no more calls; only round_robin looks at it.
    "healthCheckConfig": {"serviceName": READINESS_SERVICE},
    "methodConfig": [
        {
            "name": [{}],  # every method: all of them only read, so that asking again is harmless
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 4,
                # Never RESOURCE_EXHAUSTED: repeating at once what an overloaded server refused makes it worse.
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # Each failure takes a token, each success gives a tenth back; with half of them gone retries stop. A replica that
    # is killed fails all its calls at once, of which a server takes up to 320 (`grpc.max_in_flight_calls`).
    "retryThrottling": {"maxTokens": 1000, "tokenRatio": 0.1},
}

_SCHEME = re.compile(r"(?:dns|ipv4|ipv6|unix|unix-abstract|xds):")
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\],]+):(?P<port>\d{1,5})", re.ASCII)


def channel_options(max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> list[tuple[str, Any]]:
    """Return the options of every channel.

    Args:
        max_message_bytes: largest message in either direction, bytes, 1 to 2**31 - 1.

    Raises:
        ValueError: the limit is out of range.
    """
    if not 1 <= max_message_bytes < 2**31:
        raise ValueError(f"max_message_bytes is {max_message_bytes}, must be 1 to {2**31 - 1}")
    return [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        # gRPC retries only what it still holds, 256 KiB by default: most pictures would silently never be retried.
        ("grpc.per_rpc_retry_buffer_size", max_message_bytes),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A replica that comes back is found within seconds, not after gRPC's two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]


def target_uri(target: Target) -> str:
    """Return the gRPC name of a target.

    Raises:
        ValueError: an address is not ``host:port``, or several are given and they are not all IPv4 or all IPv6.

    >>> target_uri("vision.example:50051")
    'dns:///vision.example:50051'
    >>> target_uri(["10.0.0.1:50051", "10.0.0.2:50051"])
    'ipv4:10.0.0.1:50051,10.0.0.2:50051'
    """
    if isinstance(target, str):
        return target if _SCHEME.match(target) else f"dns:///{_checked(target)[0]}"
    addresses = [_checked(address) for address in target]
    if not addresses:
        raise ValueError("no address is given")
    if len(addresses) == 1:
        return f"dns:///{addresses[0][0]}"
    try:
        versions = {ipaddress.ip_address(host.strip("[]")).version for _, host in addresses}
    except ValueError as error:
        raise ValueError(
            f"several addresses must be IP addresses ({error}); give one name as dns:///name:port"
        ) from None
    if len(versions) > 1:
        raise ValueError("several addresses must be all IPv4 or all IPv6")
    return f"ipv{versions.pop()}:" + ",".join(address for address, _ in addresses)


def open_channel(
    target: Target,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> grpc.Channel:
    """Return a channel for blocking calls; with credentials it speaks TLS. It connects at the first call.

    Raises:
        ValueError: the target or the limit cannot be used.
    """
    uri, options = target_uri(target), channel_options(max_message_bytes)
    if credentials is None:
        return grpc.insecure_channel(uri, options=options)
    return grpc.secure_channel(uri, credentials, options=options)


def open_async_channel(
    target: Target,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> grpc.aio.Channel:
    """Return a channel for calls from the running event loop, else as `open_channel`.

    Raises:
        ValueError: the target or the limit cannot be used.
    """
    uri, options = target_uri(target), channel_options(max_message_bytes)
    if credentials is None:
        return grpc.aio.insecure_channel(uri, options=options)
    return grpc.aio.secure_channel(uri, credentials, options=options)


def _checked(address: str) -> tuple[str, str]:
    """Return an address and its host."""
    parts = _HOST_AND_PORT.fullmatch(address)
    if parts is None or not 1 <= int(parts["port"]) <= 65535:
        raise ValueError(f"{address!r} is no address: it must be host:port, with an IPv6 host in [brackets]")
    return address, parts["host"]

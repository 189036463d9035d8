import json
from typing import Any

import pytest

from retinue.client.channel import SERVICE_CONFIG, Target, channel_options, open_channel, target_uri


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("vision:50051", "dns:///vision:50051"),
        ("127.0.0.1:1", "dns:///127.0.0.1:1"),
        ("[::1]:65535", "dns:///[::1]:65535"),
        ("dns:///vision.example:50051", "dns:///vision.example:50051"),
        ("unix:/run/retinue.sock", "unix:/run/retinue.sock"),
        (["vision:50051"], "dns:///vision:50051"),
        (["10.0.0.1:1", "10.0.0.2:2"], "ipv4:10.0.0.1:1,10.0.0.2:2"),
        (["[::1]:1", "[fe80::2]:2"], "ipv6:[::1]:1,[fe80::2]:2"),
    ],
)
def test_a_target_has_a_name_that_grpc_understands(target: Target, uri: str) -> None:
    assert target_uri(target) == uri


@pytest.mark.parametrize(
    "target",
    [
        "",
        "vision",
        "vision:",
        ":50051",
        "vision:0",
        "vision:65536",
        "vision:http",
        "http://vision:80",
        "::1:50051",
        "a b:1",
        "a:1,b:2",
        "vision:50051\n",
        [],
        [""],
        ["vision:1", "10.0.0.1:1"],
        ["10.0.0.1:1", "[::1]:1"],
        ["dns:///vision:1", "10.0.0.1:1"],
    ],
)
def test_what_is_no_target_is_refused_at_once(target: Target) -> None:
    with pytest.raises(ValueError, match="address"):
        target_uri(target)
    with pytest.raises(ValueError, match="address"):
        open_channel(target)


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_a_limit_that_grpc_does_not_have_is_refused(limit: int) -> None:
    """-1 would mean no limit to gRPC."""
    with pytest.raises(ValueError, match="max_message_bytes"):
        channel_options(limit)


def test_the_options_say_what_the_documentation_promises() -> None:
    options = dict(channel_options(1000))
    assert options["grpc.max_send_message_length"] == options["grpc.max_receive_message_length"] == 1000
    assert options["grpc.per_rpc_retry_buffer_size"] == 1000
    assert (options["grpc.keepalive_time_ms"], options["grpc.keepalive_timeout_ms"]) == (20_000, 5_000)
    config: dict[str, Any] = json.loads(options["grpc.service_config"])
    assert config == SERVICE_CONFIG
    assert config["healthCheckConfig"] == {"serviceName": "retinue.readiness"}
    assert config["methodConfig"][0]["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]

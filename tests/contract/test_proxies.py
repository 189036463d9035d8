"""What the shipped proxies and `make serve REPLICAS=2` must agree upon."""

import re

import pytest

from loadtests.serve import SERVICES, addresses, front
from loadtests.service_process import REPOSITORY
from retinue.client.call import DEFAULT_STREAM_TIMEOUT_S

HAPROXY = (REPOSITORY / "deploy" / "proxies" / "haproxy.cfg").read_text()
NGINX = (REPOSITORY / "deploy" / "proxies" / "nginx.conf").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_haproxy_listens_and_sends_where_it_is_said(service: str) -> None:
    (section,) = re.findall(rf"^listen {service}\n((?:    .*\n)+)", HAPROXY, re.MULTILINE)
    assert re.findall(r"bind (\S+)", section) == [front(service)]
    servers = [(address, f"127.0.0.1:{port}") for address, port in re.findall(r"server . (\S+) port (\d+)", section)]
    assert servers == [addresses(service, 0), addresses(service, 1)]
    assert "Health/Watch" in section


@pytest.mark.parametrize("service", SERVICES)
def test_nginx_listens_and_sends_where_it_is_said(service: str) -> None:
    (listening,) = re.findall(rf"listen (\S+) http2;\n\s+set \$service {service};", NGINX)
    assert listening == front(service)
    first, second = addresses(service, 0)[0], addresses(service, 1)[0]
    for turn, expected in {"any": [first, second], "a": [first, second], "b": [second, first]}.items():
        (upstream,) = re.findall(rf"upstream {service}_{turn} {{([^}}]+)}}", NGINX)
        assert re.findall(r"server (\S+)", upstream) == expected
        assert len(re.findall(r"server .* backup;", upstream)) == (turn != "any")


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (HAPROXY, r"timeout client (\d+)s"),
        (HAPROXY, r"timeout server (\d+)s"),
        (NGINX, r"client_body_timeout (\d+)s"),
        (NGINX, r"send_timeout (\d+)s"),
        (NGINX, r"grpc_read_timeout (\d+)s"),
        (NGINX, r"grpc_send_timeout (\d+)s"),
    ],
)
def test_proxies_wait_longer_than_the_longest_deadline(text: str, setting: str) -> None:
    assert [float(found) > DEFAULT_STREAM_TIMEOUT_S for found in re.findall(rf"^\s+{setting}", text, re.MULTILINE)] == [
        True
    ]

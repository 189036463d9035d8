"""A port that several may listen on, and nobody else may have."""

import socket

import pytest

from retinue.serving.shared_port import hold_port


def listen(port: int, *, is_shared: bool = True) -> socket.socket:
    """Listen as gRPC does."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        one.bind(("127.0.0.1", port))
        one.listen()
    except OSError:
        one.close()
        raise
    return one


def test_several_listen_on_a_port_that_is_held() -> None:
    held, port = hold_port("127.0.0.1", 0)
    with held, listen(port), listen(port), socket.create_connection(("127.0.0.1", port), 5):
        assert port > 0


def test_a_connection_never_goes_to_who_only_holds_it() -> None:
    held, port = hold_port("127.0.0.1", 0)
    with held, listen(port) as listening:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), 5):
                listening.settimeout(5)
                listening.accept()[0].close()


def test_a_port_that_others_share_cannot_be_held_again() -> None:
    held, port = hold_port("127.0.0.1", 0)
    with held, listen(port), pytest.raises(OSError, match="in use"):
        hold_port("127.0.0.1", port)


def test_a_port_that_one_has_alone_cannot_be_held() -> None:
    with listen(0, is_shared=False) as alone, pytest.raises(OSError, match="in use"):
        hold_port("127.0.0.1", alone.getsockname()[1])


def test_a_port_can_be_held_again_at_once_after_its_connections_were_closed() -> None:
    held, port = hold_port("127.0.0.1", 0)
    with held, listen(port) as listening, socket.create_connection(("127.0.0.1", port), 5):
        listening.accept()[0].close()  # this side keeps the connection's remains for a minute
    hold_port("127.0.0.1", port)[0].close()


@pytest.mark.parametrize("host", ["[::1]", "::1", "localhost", "0.0.0.0"])  # noqa: S104 - that it can be held
def test_hosts_are_names_and_addresses_of_both_kinds(host: str) -> None:
    held, port = hold_port(host, 0)
    with held:
        assert port > 0


def test_a_host_that_nobody_knows_is_told() -> None:
    with pytest.raises(OSError):  # noqa: PT011 - its text is the system's
        hold_port("nobody.invalid", 1)

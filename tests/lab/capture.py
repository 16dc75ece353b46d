"""Packets on the switch: tcpdump writes them, this reads them back as VXLAN frames.

A capture sees the frames between the hosts, on every port of the switch. Only what the tests ask is
parsed: Ethernet, IPv4, UDP, VXLAN (RFC 7348), and the inner Ethernet header.
"""
import struct
from collections import namedtuple

from lab.wait import wait_for

Inner = namedtuple("Inner", "vni source_mac target_mac ethertype outer_source outer_target payload")
VXLAN_PORT = 4789
PCAP_HEADER = 24
PACKET_HEADER = 16
MAX_FRAME = 262144


def records(path):
    """The frames of a pcap file in the machine's byte order; an unfinished last one is left out."""
    data = path.read_bytes()
    offset = PCAP_HEADER
    while offset + PACKET_HEADER <= len(data):
        length = struct.unpack_from("=I", data, offset + 8)[0]
        frame = data[offset + PACKET_HEADER:offset + PACKET_HEADER + length]
        offset += PACKET_HEADER + length
        if len(frame) == length:
            yield frame


def mac_text(data):
    return ":".join(f"{byte:02x}" for byte in data)


def ip_text(data):
    return ".".join(str(byte) for byte in data)


def inner_of(frame):
    """The VXLAN frame inside, None for any other packet."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    udp = 14 + (frame[14] & 15) * 4
    if struct.unpack_from("!H", frame, udp + 2)[0] != VXLAN_PORT:
        return None
    vxlan = udp + 8
    inner = frame[vxlan + 8:]
    return Inner(int.from_bytes(frame[vxlan + 4:vxlan + 7], "big"), mac_text(inner[6:12]),
                 mac_text(inner[0:6]), int.from_bytes(inner[12:14], "big"),
                 ip_text(frame[26:30]), ip_text(frame[30:34]), inner[14:])


class Capture:
    """Records what crosses the switch while the block runs."""

    def __init__(self, lab):
        self.lab = lab
        self.path = lab.dir / "capture.pcap"

    def __enter__(self):
        self.tcpdump = self.lab.switch.start(
            ["tcpdump", "-i", "switch", "-n", "-U", "-s", "0", "-B", "16384", "-Z", "root",
             "-w", str(self.path)], "tcpdump")
        self.tcpdump.wait_log("listening on")
        return self

    def __exit__(self, *_):
        self.tcpdump.stop()

    def frames(self):
        return list(records(self.path))

    def inner_frames(self):
        return [inner for inner in map(inner_of, self.frames()) if inner]

    def wait_frames(self, count, deadline_s=5):
        """Until so many VXLAN frames are written down."""
        wait_for(lambda: len(self.inner_frames()) >= count, deadline_s,
                 lambda: f"{count} VXLAN frames, seen {len(self.inner_frames())}")

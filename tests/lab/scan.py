"""A port scan: sends a SYN to every TCP port and a datagram to every UDP port, and prints as JSON what
answered: "tcp open", "tcp closed", "udp open", "udp closed" -> how many, and the first few open ports.
Run as root:

    scan.py OWN TARGET [LAST]    from the address OWN to TARGET's ports 1 to LAST (65535)
"""
import json
import select
import socket
import struct
import sys
import time

from forge import checksum

QUIET_S = 0.5
SYN, RST = 2, 4
SNDBUFFORCE, RCVBUFFORCE = 32, 33


def syn(own, target, port):
    """RFC 9293; from port 40000."""
    head = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, SYN, 1024, 0, 0)
    pseudo = socket.inet_aton(own) + socket.inet_aton(target) + struct.pack("!HH", socket.IPPROTO_TCP, len(head))
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def datagram(port):
    return struct.pack("!HHHH", 40001, port, 12, 0) + b"scan"


class Answers:
    def __init__(self, target):
        self.target = socket.inet_aton(target)
        self.found = {}
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
                        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP)]
        for s in self.sockets:
            s.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 1 << 24)

    def take(self, wait_s):
        """Whether anything came."""
        ready = select.select(self.sockets, [], [], wait_s)[0]
        for s in ready:
            data = s.recv(65535)
            if data[12:16] == self.target:
                self._judge(data[9], data[(data[0] & 15) * 4:])
        return bool(ready)

    def _judge(self, protocol, body):
        if protocol == socket.IPPROTO_TCP:
            self._note("tcp closed" if body[13] & RST else "tcp open", body)
        elif protocol == socket.IPPROTO_UDP:
            self._note("udp open", body)
        elif body[0] == 3:  # unreachable; of any code it is an answer
            self._note("udp closed" if body[8 + 9] == socket.IPPROTO_UDP else "tcp closed", body[8 + 20 + 2:])

    def _note(self, what, body):
        ports = self.found.setdefault(what, set())
        ports.add(struct.unpack("!H", body[:2])[0])


def scan(own, target, last="65535"):
    answers = Answers(target)
    for protocol, make in ((socket.IPPROTO_TCP, lambda port: syn(own, target, port)),
                           (socket.IPPROTO_UDP, datagram)):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as s:
            s.setsockopt(socket.SOL_SOCKET, SNDBUFFORCE, 1 << 24)
            for port in range(1, int(last) + 1):
                s.sendto(make(port), (target, 0))
                if port % 64 == 0:
                    while answers.take(0):
                        pass
    end = time.monotonic() + QUIET_S
    while time.monotonic() < end:
        answers.take(0.05)
    print(json.dumps({what: {"count": len(ports), "first": sorted(ports)[:10]} for what, ports in answers.found.items()}))


if __name__ == "__main__":
    scan(*sys.argv[1:])

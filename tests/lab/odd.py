"""Odd packets, and what becomes of them. Run as root in a container or on a host:

    odd.py frames MAC SOURCE TARGET NEIGHBOUR    sends the frames of frames() on eth0
    odd.py long MAC SOURCE TARGET                sends packets of 1,400 bytes likewise, with and without DF,
                                                 and with DF of 1,250 bytes and of one more
    odd.py vxlan HOST SOURCE TARGET              sends the datagrams of tunnelled() to HOST's VTEP
    odd.py watch PORT                            prints as JSON, until a packet bears the last mark:
                                                 "frames", which come in by eth0 and bear the mark,
                                                 and "taken", what a program on that port is given

Each packet bears its name; the last one comes with TTL 1 besides, so that its sender hears of the end,
too. Of what differs from one run to the next (the identification of packets that the kernel makes
itself) zeros are printed.
"""
import json
import socket
import struct
import sys

from forge import checksum, packet as ip_packet, udp

MARK, LAST = b"quilt-odd-", b"quilt-odd-last"
PORT, VXLAN_PORT = 7300, 4789
GATEWAY_MAC = bytes.fromhex("0251a9fe0101")
ICMP, UDP, IPV4, VNI_FLAG = 1, 17, b"\x08\x00", 0x08000000
SO_NO_CHECK = 11


def mac_of(ip):
    return b"\x02\x51" + socket.inet_aton(ip)


def packet(name, source, target, tos=0, ttl=64, fragment=0, options=b"", extra=0, bad_sum=0,
           protocol=UDP, port=PORT, udp_sum=0, padding=0, ident=77):
    payload = MARK + name.encode() + b"\0" * padding
    body = struct.pack("!HHHH", 7999, port, 8 + len(payload), udp_sum) + payload
    length = 20 + len(options) + len(body)
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, tos, length + extra, ident, fragment,
                       ttl, protocol, 0, socket.inet_aton(source), socket.inet_aton(target)) + options
    return head[:10] + struct.pack("!H", checksum(head) ^ bad_sum) + head[12:] + body


def icmp(name, kind, code, source, target):
    """RFC 792: an echo request, or an error about a datagram that the target is to have sent."""
    about = b"" if kind == 8 else ip_packet(target, source, UDP, udp(PORT, 7999, b""))
    body = struct.pack("!BBHI", kind, code, 0, 1300) + about + MARK + name.encode()
    body += b"\0" * (len(body) % 2)
    return ip_packet(source, target, ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def icmps(source, target, kind=""):
    kinds = {"echo": (8, 0), "unreachable": (3, 1), "no-port": (3, 3), "too-big": (3, 4), "exceeded": (11, 0)}
    return {name: icmp(kind + name, *numbers, source, target) for name, numbers in kinds.items()}


def ip6(name):
    payload = udp(7999, PORT, MARK + name.encode())
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), UDP, 64, b"\xfd" + b"\0" * 14 + b"\1",
                       b"\xfd" + b"\0" * 14 + b"\2") + payload


def variants(source, target, kind=""):
    """name -> IPv4 packet."""
    odd = {"plain": {}, "ttl1": {"ttl": 1}, "ttl2": {"ttl": 2}, "ttl3": {"ttl": 3}, "ttl255": {"ttl": 255},
           "df": {"fragment": 0x4000}, "more": {"fragment": 0x2000}, "offset": {"fragment": 0x0003},
           "reserved-bit": {"fragment": 0x8000}, "nops": {"options": b"\x01" * 4},
           "alert": {"options": b"\x94\x04\x00\x00"}, "longer": {"extra": 8}, "shorter": {"extra": -4},
           "bad-sum": {"bad_sum": 0x0101}, "protocol": {"protocol": 253}, "vxlan": {"port": VXLAN_PORT},
           "bad-udp-sum": {"udp_sum": 0x1234}}
    odd.update({f"tos{tos:02x}": {"tos": tos} for tos in (1, 2, 3, 0xb8, 0xba, 0xff)})
    found = {name: packet(kind + name, source, target, **words) for name, words in odd.items()}
    found["truncated"] = found["plain"][:22]
    return found | icmps(source, target, kind)


def frames(mac, source, target, neighbour):
    """Ethernet frames as a container may send them, to the mesh and to its neighbour."""
    mine = bytes.fromhex(mac.replace(":", ""))
    head = GATEWAY_MAC + mine + IPV4
    for kind, address in (("far", target), ("near", neighbour)):
        for data in variants(source, address, f"{kind}-").values():
            yield head + data
        yield head + packet(f"{kind}-padded", source, address) + b"\0" * 6
        yield head + packet(f"{kind}-forged", "10.42.1.77", address)
        yield head + packet(f"{kind}-of-a-peer", "10.42.2.77", address)
        yield GATEWAY_MAC + b"\x02" * 6 + IPV4 + packet(f"{kind}-other-mac", source, address)
        yield b"\x02" * 6 + mine + IPV4 + packet(f"{kind}-to-other-mac", source, address)
        yield b"\xff" * 6 + mine + IPV4 + packet(f"{kind}-broadcast", source, address)
        yield GATEWAY_MAC + mine + b"\x81\x00\x00\x01" + IPV4 + packet(f"{kind}-vlan", source, address)
        yield GATEWAY_MAC + mine + b"\x86\xdd" + packet(f"{kind}-not-6", source, address)
    yield GATEWAY_MAC + mine + b"\x86\xdd" + ip6("ip6")
    for name, address in (("vtep", "10.42.2.0"), ("unknown-far", "10.42.2.99"), ("unknown-near", "10.42.1.99"),
                          ("no-node", "10.42.77.1"), ("multicast", "224.0.0.251"), ("myself", source)):
        yield head + packet(name, source, address)


def tunnelled(source, target):
    """name, outer TOS, UDP payload: VXLAN as a peer may send it, and worse."""
    first, second = "10.42.1.0", "10.42.2.0"
    inner_head = mac_of(second) + mac_of(first) + IPV4
    head = struct.pack("!II", VNI_FLAG, 100 << 8)
    for data in variants(source, target).values():
        yield 0, head + inner_head + data
    for outer in range(4):
        for inner in range(4):
            yield outer, head + inner_head + packet(f"ecn-{outer}-{inner}", source, target, tos=inner)
    plain = inner_head + packet("vni", source, target)
    yield 0, struct.pack("!II", VNI_FLAG, 101 << 8) + plain
    yield 0, struct.pack("!II", VNI_FLAG, 100 << 8 | 1) + plain
    yield 0, struct.pack("!II", VNI_FLAG | 1, 100 << 8) + plain
    yield 0, struct.pack("!II", 0, 100 << 8) + plain
    yield 0, head + mac_of("10.42.9.0") + mac_of(first) + IPV4 + packet("other-vtep", source, target)
    yield 0, head + mac_of(second) + mac_of("10.42.9.0") + IPV4 + packet("other-sender", source, target)
    yield 0, head + mac_of(second) + mac_of(second) + IPV4 + packet("own-mac", source, target)
    yield 0, head + inner_head[:12] + b"\x86\xdd" + packet("not-6", source, target)
    yield 0, head + inner_head[:12] + b"\x86\xdd" + ip6("inner-ip6")
    yield 0, head + inner_head + packet("inner-multicast", source, "224.0.0.251")
    yield 0, head + inner_head + packet("inner-broadcast", source, "255.255.255.255")
    yield 0, head + inner_head + packet("inner-own", target, target)
    yield 0, head + inner_head + packet("inner-nobody", "10.42.77.1", target)
    yield 0, head + inner_head + packet("inner-loopback", "127.0.0.1", target)
    yield 0, head + inner_head + packet("no-target", source, "10.42.2.99")
    yield 0, head + inner_head + packet("padded", source, target) + b"\0" * 6
    yield 0, head + plain[:10]
    yield 0, head


def send_all(frames_to_send):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth0", 0))
        for frame in frames_to_send:
            s.send(frame)


def send_frames(mac, source, target, neighbour):
    head = GATEWAY_MAC + bytes.fromhex(mac.replace(":", "")) + IPV4
    send_all([*frames(mac, source, target, neighbour), head + packet("last", source, neighbour),
              head + packet("last", source, target), head + packet("last", source, target, ttl=1)])


def packet_of(size, name, source, target):
    """With DF."""
    padding = size - len(packet(name, source, target))
    return packet(name, source, target, fragment=0x4000, padding=padding)


def send_long(mac, source, target):
    head = GATEWAY_MAC + bytes.fromhex(mac.replace(":", "")) + IPV4
    send_all([head + packet_of(1250, "long-exact-df", source, target),
              head + packet_of(1251, "long-one-more-df", source, target),
              head + packet("long-df", source, target, fragment=0x4000, padding=1350),
              head + packet("long", source, target, padding=1350, ident=78),  # 77: half of it may wait yet
              head + packet("last", source, target), head + packet("last", source, target, ttl=1)])


def send_spoofed(host, data):
    """From another host than a peer, as far as its outer header says."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(ip_packet("192.168.1.66", host, UDP, udp(7999, VXLAN_PORT, data)), (host, 0))


def send_tunnelled(host, source, target):
    head = struct.pack("!II", VNI_FLAG, 100 << 8) + mac_of("10.42.2.0") + mac_of("10.42.1.0") + IPV4
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        for tos, data in tunnelled(source, target):
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            s.sendto(data, (host, VXLAN_PORT))
        send_spoofed(host, head + packet("outer-spoofed", source, target))
        s.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 0)  # outer checksums are the kernel's to judge
        s.sendto(head + packet("with-sum", source, target), (host, VXLAN_PORT))
        s.sendto(head + packet("last", source, target), (host, VXLAN_PORT))
        s.sendto(head + packet("last", source, target, ttl=1), (host, VXLAN_PORT))


def without_own_id(frame):
    """ICMP errors are the kernel's own: their identification, and what is summed of it, as zeros."""
    if frame[12:14] == IPV4 and frame[23] == 1:
        return frame[:18] + b"\0\0" + frame[20:24] + b"\0\0" + frame[26:]
    return frame


def take_all(program):
    """What the kernel has found good enough for a program: what it drops now may still bear the mark."""
    taken = []
    program.settimeout(0.2)
    try:
        while not taken or not taken[-1].startswith(LAST.decode()):
            taken.append(program.recv(65536).rstrip(b"\0").decode())
    except TimeoutError:
        pass
    return taken


def watch(port):
    found = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        s.bind(("eth0", 3))
        s.settimeout(20)
        program.bind(("0.0.0.0", int(port)))
        print("watching", flush=True)
        while True:
            frame, address = s.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING or MARK not in frame:
                continue
            if LAST in frame:
                break
            found.append(without_own_id(frame).hex())
        taken = take_all(program)
    print(json.dumps({"frames": found, "taken": taken}), flush=True)


if __name__ == "__main__":
    {"frames": send_frames, "long": send_long, "vxlan": send_tunnelled, "watch": watch}[sys.argv[1]](*sys.argv[2:])

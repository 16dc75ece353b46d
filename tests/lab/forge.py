"""An intruder's packets: UDP datagrams that flow.c would count, with a source of our choice. Run as
root in the place where the intruder sits:

    forge.py vxlan HOST MAC SOURCE TARGET PORT COUNT    inside VXLAN of VNI 100 to HOST, to its
                                                        VTEP's MAC
    forge.py ip SOURCE TARGET PORT COUNT                plain, by a raw socket
    forge.py frame SOURCE TARGET PORT COUNT             as broadcast frames on eth0
    forge.py vlan SOURCE TARGET PORT COUNT              the same with a VLAN tag
    forge.py arp SENDER TARGET PORT COUNT               asks for TARGET, from COUNT addresses on
                                                        from SENDER
"""
import socket
import struct
import sys

VXLAN_PORT = 4789
VNI = 100
SOURCE_MAC = bytes.fromhex("025100000001")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(source, target, port, sequence):
    """IPv4 (RFC 791) with UDP (RFC 768, no checksum) and one sequence number in it."""
    payload = struct.pack("!Q", sequence)
    udp = struct.pack("!HHHH", 7999, port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def send_vxlan(host, mac, source, target, port, count):
    frame_head = bytes.fromhex(mac.replace(":", "")) + SOURCE_MAC + b"\x08\x00"
    vxlan = struct.pack("!II", 0x08000000, VNI << 8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for sequence in range(int(count)):
            s.sendto(vxlan + frame_head + datagram(source, target, int(port), sequence),
                     (host, VXLAN_PORT))


def send_ip(source, target, port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        for sequence in range(int(count)):
            s.sendto(datagram(source, target, int(port), sequence), (target, 0))


def send_frames(kind, payloads):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth0", 0))
        mac = s.getsockname()[4]
        for payload in payloads:
            s.send(b"\xff" * 6 + mac + kind + payload(mac))


def send_frame(source, target, port, count, kind=b"\x08\x00"):
    send_frames(kind, [lambda mac, i=i: datagram(source, target, int(port), i)
                       for i in range(int(count))])


def send_vlan(source, target, port, count):
    send_frame(source, target, port, count, b"\x81\x00\x00\x01\x08\x00")


def send_arp(sender, target, port, count):
    """Requests (RFC 826)."""
    first = struct.unpack("!I", socket.inet_aton(sender))[0]
    send_frames(b"\x08\x06", [
        lambda mac, i=i: struct.pack("!HHBBH6sI6s4s", 1, 0x0800, 6, 4, 1, mac, first + i, b"",
                                     socket.inet_aton(target)) for i in range(int(count))])


if __name__ == "__main__":
    {"vxlan": send_vxlan, "ip": send_ip, "frame": send_frame, "vlan": send_vlan, "arp": send_arp}[sys.argv[1]](*sys.argv[2:])

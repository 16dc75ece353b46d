"""An intruder's packets: UDP datagrams that flow.c would count, with a source of our choice. Run as
root in the place where the intruder sits:

    forge.py vxlan HOST MAC SOURCE TARGET PORT COUNT    inside VXLAN of VNI 100 to HOST, to its
                                                        VTEP's MAC
    forge.py ip SOURCE TARGET PORT COUNT                plain, by a raw socket
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


if __name__ == "__main__":
    {"vxlan": send_vxlan, "ip": send_ip}[sys.argv[1]](*sys.argv[2:])

"""A cable with a network card that promises to compute checksums inside VXLAN and does not. Run beside
the switch:

    careless_card.py HOST_SIDE SWITCH_SIDE

Copies frames between the two devices. A frame whose checksum the sender has left to the card gets it, but
for what the host sends inside VXLAN, which goes out as it is.
"""
import select
import socket
import struct
import sys

FRAME_MAX = 65536
ETH_P_ALL = 3
ETH_IP4 = 0x0800
VXLAN_PORT = 4789
CHECKSUM_AT = {socket.IPPROTO_TCP: 16, socket.IPPROTO_UDP: 6}


def folded_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def fill(frame, offset, is_careless):
    """Puts the checksum of the TCP or UDP packet in place whose Ethernet header begins at offset."""
    if struct.unpack_from("!H", frame, offset + 12)[0] != ETH_IP4:
        return
    ip = offset + 14
    start = ip + (frame[ip] & 15) * 4
    protocol, end = frame[ip + 9], ip + struct.unpack_from("!H", frame, ip + 2)[0]
    if protocol not in CHECKSUM_AT or end > len(frame):
        return
    if protocol == socket.IPPROTO_UDP and \
            struct.unpack_from("!H", frame, start + 2)[0] == VXLAN_PORT:
        struct.pack_into("!H", frame, start + 6, 0)  # none is as good, outside
        if not is_careless:
            fill(frame, start + 16, is_careless)
        return
    at = start + CHECKSUM_AT[protocol]
    struct.pack_into("!H", frame, at, 0)
    pseudo = bytes(frame[ip + 12:ip + 20]) + struct.pack("!BBH", 0, protocol, end - start)
    value = ~folded_sum(pseudo + bytes(frame[start:end])) & 0xffff
    struct.pack_into("!H", frame, at, value or 0xffff)


def listen(device):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((device, ETH_P_ALL))
    return sock


def main():
    host, switch = (listen(device) for device in sys.argv[1:3])
    print("listening", flush=True)
    while True:
        for source in select.select([host, switch], [], [])[0]:
            data, where = source.recvfrom(FRAME_MAX)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            frame = bytearray(data)
            fill(frame, 0, is_careless=source is host)
            try:
                (switch if source is host else host).send(frame)
            except OSError:
                pass  # longer than the wire takes: lost, as on any other


if __name__ == "__main__":
    main()

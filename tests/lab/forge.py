"""An intruder's packets: UDP datagrams that flow.c would count, with a source of our choice. Run as
root in the place where the intruder sits:

    forge.py vxlan HOST MAC SOURCE TARGET PORT COUNT    inside VXLAN of VNI 100 to HOST (or HOST:PORT),
                                                        to its VTEP's MAC
    forge.py FORM OWN HOST MAC SOURCE TARGET PORT COUNT the same from OWN by a raw socket; FORM:
                                                        fragments, options, ipip
    forge.py ip SOURCE TARGET PORT COUNT                plain, by a raw socket
    forge.py frame SOURCE TARGET PORT COUNT             as broadcast frames on eth0
    forge.py to MAC SOURCE TARGET PORT COUNT            as frames to this MAC
    forge.py mac SOURCE TARGET PORT COUNT               likewise to the gateway's, from another MAC
    forge.py vlan SOURCE TARGET PORT COUNT              broadcast, with a VLAN tag
    forge.py arp SENDER TARGET PORT COUNT               asks for TARGET, from COUNT addresses on
                                                        from SENDER
    forge.py inside HOST SENDER TARGET COUNT            likewise, inside VXLAN to HOST
    forge.py toobig OWN HOST PEER PORT COUNT            ICMP from OWN to HOST: what it sends to PEER,
                                                        from PORT to PORT, is too big, 600 bytes pass
    forge.py answerbig OWN HOST COUNT                   pings HOST, and tells it that the answer is
    forge.py KIND COUNT                                 frames that are no IPv4: ra (IPv6 router
                                                        advertisements), qinq, lldp, stp, answers (ARP,
                                                        for the gateway)
"""
import socket
import struct
import sys

VXLAN_PORT = 4789
VNI = 100
SOURCE_MAC = bytes.fromhex("025100000001")
OTHER_MAC = bytes.fromhex("020000000077")
GATEWAY, GATEWAY_MAC = "169.254.1.1", bytes.fromhex("0251a9fe0101")
BROADCAST = b"\xff" * 6
NOPS = b"\x01" * 4


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def packet(source, target, protocol, payload, fragment=0, options=b""):
    """IPv4 (RFC 791)."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 77 if fragment else 0,
                       fragment, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(target)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source_port, port, payload):
    """RFC 768, no checksum."""
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def datagram(source, target, port, sequence):
    """With one sequence number in it."""
    return packet(source, target, socket.IPPROTO_UDP, udp(7999, port, struct.pack("!Q", sequence)))


def icmp(source, target, kind, code, rest):
    """RFC 792. rest: all behind the checksum."""
    head = struct.pack("!BB", kind, code)
    return packet(source, target, socket.IPPROTO_ICMP, head + struct.pack("!H", checksum(head + b"\0\0" + rest)) + rest)


def tunnelled(mac, source, target, port, count):
    """RFC 7348."""
    head = struct.pack("!II", 0x08000000, VNI << 8) + mac_bytes(mac) + SOURCE_MAC + b"\x08\x00"
    for sequence in range(int(count)):
        yield head + datagram(source, target, int(port), sequence)


def send_vxlan(host, *words):
    address, _, port = host.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for payload in tunnelled(*words):
            s.sendto(payload, (address, int(port or VXLAN_PORT)))


def send_raw(packets, target):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        for data in packets:
            s.sendto(data, (target, 0))


def send_formed(form, own, host, *words):
    """Ways to hide the port from who looks for it at its usual place."""
    packets = []
    for payload in tunnelled(*words):
        body = udp(7999, VXLAN_PORT, payload)
        if form == "fragments":  # the UDP header and eight bytes; the rest
            packets += [packet(own, host, socket.IPPROTO_UDP, body[:16], 0x2000),
                        packet(own, host, socket.IPPROTO_UDP, body[16:], 2)]
        elif form == "options":
            packets.append(packet(own, host, socket.IPPROTO_UDP, body, options=NOPS))
        else:
            packets.append(packet(own, host, socket.IPPROTO_IPIP, packet(own, host, socket.IPPROTO_UDP, body)))
    send_raw(packets, host)


def send_ip(source, target, port, count):
    send_raw([datagram(source, target, int(port), sequence) for sequence in range(int(count))], target)


def send_frames(kind, payloads, to=BROADCAST, own=None):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth0", 0))
        mac = own or s.getsockname()[4]
        for payload in payloads:
            s.send(to + mac + kind + payload(mac))


def send_frame(source, target, port, count, kind=b"\x08\x00", **ends):
    send_frames(kind, [lambda mac, i=i: datagram(source, target, int(port), i)
                       for i in range(int(count))], **ends)


def send_to(mac, *words):
    send_frame(*words, to=mac_bytes(mac))


def send_mac(*words):
    send_frame(*words, to=GATEWAY_MAC, own=OTHER_MAC)


def send_vlan(source, target, port, count):
    send_frame(source, target, port, count, b"\x81\x00\x00\x01\x08\x00")


def arp(operation, mac, sender, target):
    """RFC 826. sender: a number."""
    return struct.pack("!HHBBH6sI6s4s", 1, 0x0800, 6, 4, operation, mac, sender, b"",
                       socket.inet_aton(target))


def number_of(address):
    return struct.unpack("!I", socket.inet_aton(address))[0]


def send_arp(sender, target, port, count):
    first = number_of(sender)
    send_frames(b"\x08\x06", [lambda mac, i=i: arp(1, mac, first + i, target) for i in range(int(count))])


def send_inside(host, sender, target, count):
    head, first = struct.pack("!II", 0x08000000, VNI << 8), number_of(sender)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(int(count)):
            question = arp(1, SOURCE_MAC, first + i, target)
            s.sendto(head + BROADCAST + SOURCE_MAC + b"\x08\x06" + question, (host, VXLAN_PORT))


def send_toobig(own, host, peer, port, count):
    """RFC 792, RFC 1191: quotes the headers of what the host sends to the peer, VXLAN's among them."""
    payload = struct.pack("!II", 0x08000000, VNI << 8) + b"x" * 1392
    quoted = packet(host, peer, socket.IPPROTO_UDP, udp(int(port), int(port), payload))[:36]
    send_raw([icmp(own, host, 3, 4, struct.pack("!HH", 0, 600) + quoted)] * int(count), host)


def send_answerbig(own, host, count):
    ping = struct.pack("!HH", 77, 1) + b"x" * 1400
    quoted = icmp(host, own, 0, 0, ping)[:28]
    told = icmp(own, host, 3, 4, struct.pack("!HH", 0, 600) + quoted)
    send_raw([icmp(own, host, 8, 0, ping)] + [told] * int(count), host)


def router_advertisement(mac):
    """RFC 4861 section 4.2, to all nodes."""
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    source, target = (bytes.fromhex("fe80" + 12 * "00" + "0001"), bytes.fromhex("ff02" + 12 * "00" + "0001"))
    pseudo = source + target + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + target + body


# Ethertype and payload; of stp the length of an 802.3 frame.
KINDS = {
    "ra": (b"\x86\xdd", router_advertisement),
    "qinq": (b"\x88\xa8\x00\x01\x81\x00\x00\x02\x08\x00", lambda mac: datagram("8.8.8.8", "255.255.255.255", 7200, 0)),
    "lldp": (b"\x88\xcc", lambda mac: b"\x02\x07\x04" + mac + b"\x04\x02\x07x\x06\x02\x00\x78\x00\x00"),
    "stp": (struct.pack("!H", 38), lambda mac: b"\x42\x42\x03" + b"\0" * 35),
    "answers": (b"\x08\x06", lambda mac: arp(2, mac, number_of(GATEWAY), GATEWAY)),
}


def send_kind(kind, count):
    ethertype, payload = KINDS[kind]
    send_frames(ethertype, [payload] * int(count))


if __name__ == "__main__":
    sends = {"vxlan": send_vxlan, "ip": send_ip, "frame": send_frame, "to": send_to, "mac": send_mac,
             "vlan": send_vlan, "arp": send_arp, "inside": send_inside, "toobig": send_toobig, "answerbig": send_answerbig}
    sends |= {form: (lambda *words, form=form: send_formed(form, *words)) for form in ("fragments", "options", "ipip")}
    sends |= {kind: (lambda *words, kind=kind: send_kind(kind, *words)) for kind in KINDS}
    sends[sys.argv[1]](*sys.argv[2:])

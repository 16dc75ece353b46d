"""A gRPC client that knows nothing but the first release's contract: three calls, string fields,
encoded by hand. Run on a host, with Debian's python3-grpcio:

    first_release.py ADDRESS:PORT METHOD NUMBER=TEXT...

Prints the reply's fields as JSON, {"1": 1} for success, {"2": "text"} for an error.
"""
import json
import sys

import grpc

TIMEOUT_S = 10


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def encode(fields):
    """Length-delimited fields: number and text."""
    return b"".join(varint(number << 3 | 2) + varint(len(text)) + text for number, text in fields)


def read_varint(data, offset):
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 127) << shift
        shift, offset = shift + 7, offset + 1
        if byte < 128:
            return value, offset


def decode(data):
    fields, offset = {}, 0
    while offset < len(data):
        key, offset = read_varint(data, offset)
        value, offset = read_varint(data, offset)
        if key & 7 == 2:
            offset += value
            value = data[offset - value:offset].decode()
        fields[str(key >> 3)] = value
    return fields


def main(address, method, words):
    fields = [(int(word.split("=", 1)[0]), word.split("=", 1)[1].encode()) for word in words]
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/quilt.QuiltRuntime/{method}", request_serializer=encode,
                                   response_deserializer=decode)
        print(json.dumps(call(fields, timeout=TIMEOUT_S)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

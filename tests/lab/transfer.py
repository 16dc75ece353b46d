"""One TCP transfer with a hash on both ends. Run inside a container:

    transfer.py sink ADDRESS PORT          takes one connection, prints {bytes, sha256}
    transfer.py send ADDRESS PORT BYTES    sends, prints {bytes, sha256, seconds}
"""
import hashlib
import json
import random
import socket
import sys
import time

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60


def sink(address, port):
    listener = socket.create_server((address, port))
    listener.settimeout(TIMEOUT_S)
    print("listening", flush=True)
    connection, _ = listener.accept()
    connection.settimeout(TIMEOUT_S)
    digest, count = hashlib.sha256(), 0
    while data := connection.recv(CHUNK_BYTES):
        digest.update(data)
        count += len(data)
    print(json.dumps({"bytes": count, "sha256": digest.hexdigest()}), flush=True)


def send(address, port, size):
    block = random.Random(size).randbytes(CHUNK_BYTES)
    digest, left, number = hashlib.sha256(), size, 0
    start = time.monotonic()
    with socket.create_connection((address, port), timeout=TIMEOUT_S) as connection:
        while left:
            data = (number.to_bytes(8, "big") + block)[:min(left, CHUNK_BYTES)]
            connection.sendall(data)
            digest.update(data)
            left -= len(data)
            number += 1
    print(json.dumps({"bytes": size, "sha256": digest.hexdigest(),
                      "seconds": round(time.monotonic() - start, 3)}))


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

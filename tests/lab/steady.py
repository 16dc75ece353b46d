"""One TCP connection that says something every 10 ms and waits for the echo. Run inside a container:

    steady.py echo ADDRESS PORT     takes one connection, sends back what comes, until it ends
    steady.py talk ADDRESS PORT     talks until SIGTERM, prints {exchanges, longest_ms}
"""
import json
import signal
import socket
import sys
import time

TIMEOUT_S = 60
PAUSE_S = 0.01


def echo(address, port):
    with socket.create_server((address, port)) as listener:
        listener.settimeout(TIMEOUT_S)
        print("listening", flush=True)
        connection, _ = listener.accept()
        connection.settimeout(TIMEOUT_S)
        while data := connection.recv(4096):
            connection.sendall(data)


def talk(address, port):
    told_to_end = []
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.append(True))
    exchanges, longest_s = 0, 0.0
    with socket.create_connection((address, port), timeout=TIMEOUT_S) as connection:
        print("talking", flush=True)
        while not told_to_end:
            word, heard, start = b"%016d" % exchanges, b"", time.monotonic()
            connection.sendall(word)
            while len(heard) < len(word):
                part = connection.recv(len(word) - len(heard))
                if not part:
                    raise EOFError("the other end has closed")
                heard += part
            if heard != word:
                raise ValueError(f"said {word!r}, heard {heard!r}")
            longest_s = max(longest_s, time.monotonic() - start)
            exchanges += 1
            time.sleep(PAUSE_S)
    print(json.dumps({"exchanges": exchanges, "longest_ms": round(longest_s * 1000)}), flush=True)


if __name__ == "__main__":
    {"echo": echo, "talk": talk}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))

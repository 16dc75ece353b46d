"""A control plane with a crowd of nodes that nobody runs, for agents that are to be kept busy:

    crowded_control.py ADDRESS PORT

The first agent to register gets 10.0.1.0/24; the crowd's node N has 10.0.0.0/24 plus N + 1 networks and
the host IP 172.16.0.0 plus N. What agents are told is told to it with POST /crowd: {"count": 500} makes
the crowd so large and sends everybody the list; {"moved": 7, "step": 1} moves node 7 so many times 65536
addresses on and sends the one event; {"gone": 7} has it deleted. Standard error says "ready", and when it begins to
tell of an order: "sent 1700000000.123456".
"""
import ipaddress
import json
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLUSTER_ID = str(uuid.UUID(int=7, version=4))
REVISION = 1
WATCHERS = []
NODES = {}
LOCK = threading.Lock()


def make_node(number, step=0):
    return {"node_id": str(uuid.UUID(int=number << 16, version=4)), "hostname": f"crowd{number}",
            "host_ip": str(ipaddress.ip_address("172.16.0.0") + number + (step << 16)),
            "subnet": f"{ipaddress.ip_address('10.0.0.0') + 256 * (number + 1)}/24", "cpu_cores": 1,
            "ram_mb": 1, "status": "up", "registered_at": 1700000000, "last_heartbeat": 1700000000}


def list_text():
    return json.dumps({"nodes": list(NODES.values()), "cluster_id": CLUSTER_ID, "revision": REVISION})


def send(watcher, kind, data):
    watcher.write(f"event: {kind}\nid: {REVISION}\ndata: {data}\n\n".encode())
    watcher.flush()


def follow(order):
    """What the order asks for, told to all who watch."""
    global REVISION
    with LOCK:
        REVISION += 1
        if "count" in order:
            NODES.clear()
            NODES.update((number, make_node(number)) for number in range(1, order["count"] + 1))
            event = "snapshot", list_text()
        elif "moved" in order:
            NODES[order["moved"]] = make_node(order["moved"], order["step"])
            event = "node", json.dumps(NODES[order["moved"]] | {"revision": REVISION})
        else:
            event = "node-deleted", json.dumps({"node_id": NODES.pop(order["gone"])["node_id"]})
        print(f"sent {time.time():.6f}", file=sys.stderr, flush=True)
        for watcher in WATCHERS:
            send(watcher, *event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def register(self):
        return {"node_id": str(uuid.UUID(int=1, version=4)), "node_token": "a" * 64, "subnet": "10.0.1.0/24",
                "cluster_cidr": "10.0.0.0/8", "node_prefix": 24, "cluster_id": CLUSTER_ID, "revision": REVISION}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/crowd":
            follow(json.loads(body))
        self.answer(self.register() if self.path.endswith("/register") else {})

    def do_GET(self):
        """The list, or the stream of events, which ends with this process or its reader."""
        if "event-stream" not in self.headers["Accept"]:
            self.answer(json.loads(list_text()))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with LOCK:
            send(self.wfile, "snapshot", list_text())
            WATCHERS.append(self.wfile)
        ended = threading.Event()
        while not ended.wait(5):
            with LOCK:
                self.wfile.write(b": still here\n\n")
                self.wfile.flush()

    def log_message(self, *args):
        """Quiet."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Readers come and go."""


if __name__ == "__main__":
    server = Server((sys.argv[1], int(sys.argv[2])), Handler)
    print('msg="ready"', file=sys.stderr, flush=True)
    server.serve_forever()

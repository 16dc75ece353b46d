"""What the tests of quiltctl share: daemons that are played (python's http.server and python3-grpcio), and quiltctl
run against them."""
import json
import os
import subprocess
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from messages import BUILD, POOL, message_class

QUILTCTL = BUILD / "cli/quiltctl"
ID1 = "11111111-1111-4111-8111-111111111111"
ID2 = "22222222-2222-4222-8222-222222222222"
TOKEN = "ab" * 32
NOBODY = "http://127.0.0.1:9"  # discard: nothing listens


def message(name):
    return message_class("quilt." + name)


class Web:
    """A server that answers from a table and remembers what it was asked."""

    def __init__(self):
        self.answers = {}  # (method, path): (status, body)
        self.asked = []  # (method, path, authorization)
        self.bodies = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                outer.asked.append((self.command, self.path, self.headers.get("Authorization")))
                outer.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                status, body = outer.answers.get((self.command, self.path), (404, {"detail": "no such path"}))
                data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Runtime:
    """Plays quilt.QuiltRuntime: replies by method, requests remembered."""

    def __init__(self):
        self.replies = {}  # method: dict
        self.asked = []  # (method, request)
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        service = POOL.FindServiceByName("quilt.QuiltRuntime")
        handlers = {m.name: self.handler(m.name) for m in service.methods}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def handler(self, name):
        def serve(request, context):
            self.asked.append((name, request))
            if name not in self.replies:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "not played")
            return message(name + "Reply")(**self.replies[name])

        return grpc.unary_unary_rpc_method_handler(
            serve, request_deserializer=message(name + "Request").FromString,
            response_serializer=lambda reply: reply.SerializeToString())

    def stop(self):
        self.server.stop(None).wait()


@pytest.fixture(name="control")
def fixture_control():
    web = Web()
    yield web
    web.stop()


@pytest.fixture(name="agent")
def fixture_agent():
    web = Web()
    yield web
    web.stop()


@pytest.fixture(name="runtime")
def fixture_runtime():
    played = Runtime()
    yield played
    played.stop()


def run(*words, control=None, agent=None, runtime=None, env=None, prefix=()):
    options = ["--agent", agent.url if agent else NOBODY, "--runtime", runtime.url if runtime else NOBODY]
    if control:
        options += ["--control-plane", control.url]
    return subprocess.run([*prefix, QUILTCTL, *options, *words], capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": "/usr/bin", **(env or {}),
                               **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}})


def node(node_id, hostname, last, status="up", **more):
    now = int(time.time())
    return {"node_id": node_id, "hostname": hostname, "host_ip": f"192.168.1.{10 + last}",
            "subnet": f"10.42.{last}.0/24", "cpu_cores": None, "ram_mb": 2048, "status": status,
            "registered_at": now - 7205, "last_heartbeat": now - 12} | more


def play_nodes(control, *nodes):
    control.answers["GET", "/api/nodes"] = (200, {"nodes": list(nodes)})


def failed(result, text):
    """One line on stderr, nothing on stdout, exit code 1."""
    assert result.stdout == ""
    assert result.stderr == f"quiltctl: {text}\n"
    assert result.returncode == 1


def misused(result, text):
    """The same for a wrong command line, exit code 2."""
    assert (result.stdout, result.stderr, result.returncode) == ("", f"quiltctl: {text}\n", 2)

"""A control plane without a stream: a reverse proxy that refuses every event-stream request with
406 and passes all else on, as an older control plane would behave. Run on a host:

    proxy.py LISTEN_ADDRESS PORT UPSTREAM_URL [SKEW_S]

SKEW_S turns the clock that the control plane tells.
"""
import json
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSED_HEADERS = ("Content-Type", "If-None-Match", "Accept", "Last-Event-ID")
ANSWERED_HEADERS = ("Content-Type", "ETag", "Allow")
TIMEOUT_S = 10


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""
    skew_s = 0

    def pass_on(self):
        if "text/event-stream" in self.headers.get("Accept", ""):
            self.answer(406, {}, b"")
            return
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        headers = {name: self.headers[name] for name in PASSED_HEADERS if name in self.headers}
        request = urllib.request.Request(self.upstream + self.path, body, headers,
                                         method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
                self.answer(reply.status, reply.headers, self.turned(reply.read()))
        except urllib.error.HTTPError as error:
            self.answer(error.code, error.headers, error.read())
        except OSError:
            self.answer(502, {}, b"")

    do_GET = do_POST = do_DELETE = pass_on

    def turned(self, body):
        if not self.skew_s or b'"server_time"' not in body:
            return body
        value = json.loads(body)
        value["server_time"] += self.skew_s
        return json.dumps(value).encode()

    def answer(self, status, headers, body):
        self.send_response(status)
        for name in ANSWERED_HEADERS:
            if name in headers:
                self.send_header(name, headers[name])
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)


if __name__ == "__main__":
    Handler.upstream = sys.argv[3]
    Handler.skew_s = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
    print("listening", flush=True)
    server.serve_forever()

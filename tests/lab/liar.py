"""A control plane that says what a file tells it to, read anew for each request:

    liar.py ADDRESS PORT FILE       FILE: {"register": {...}, "nodes": [...], "beat": 200}

It has no event stream. Standard error says "ready".
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def lies(self):
        return json.loads(Path(sys.argv[3]).read_text())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path.endswith("/register"):
            self.answer(200, self.lies()["register"])
        else:
            self.answer(self.lies()["beat"], {})

    def do_GET(self):
        if "event-stream" in self.headers["Accept"]:
            self.answer(406, {})
        else:
            self.answer(200, {"nodes": self.lies()["nodes"]})

    def log_message(self, *args):
        """Quiet."""


if __name__ == "__main__":
    server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
    print('msg="ready"', file=sys.stderr, flush=True)
    server.serve_forever()

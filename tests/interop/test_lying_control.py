"""quilt-mesh-agent, the real daemon, against a control plane that lies: no claim that cannot be is taken
over, and what was known before stays. The agent has no dataplane here, so its wishes are read in /status.

Runs the quilt-mesh-agent of the build that QUILT_BUILD names; needs no privilege."""
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("QUILT_BUILD", Path(__file__).resolve().parents[2] / "build"))
AGENT = BUILD / "agent" / "quilt-mesh-agent"
DEADLINE_S = 20
TRUTH = {"node_id": "11111111-1111-4111-8111-111111111111", "subnet": "10.42.1.0/24", "node_token": "a" * 64,
         "heartbeat_interval_ms": 100, "peer_sync_interval_ms": 100}


def wait_for(fact, describe):
    end = time.monotonic() + DEADLINE_S
    while not (value := fact()):
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {describe()}"
        time.sleep(0.02)
    return value


def node(number, host_ip, subnet=None):
    return {"node_id": f"{number:08d}-0000-4000-8000-000000000000", "hostname": f"node{number}",
            "host_ip": host_ip, "subnet": subnet or f"10.42.{number}.0/24", "status": "up"}


class Liar:
    """A control plane without a stream that says what it is told to. raw: bytes in place of the list's
    whole answer."""

    def __init__(self):
        self.reply, self.nodes, self.raw, self.beat, self.asked = TRUTH, [node(2, "192.168.1.12")], None, 200, 0
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.path == "/api/nodes/register":
                    self.answer(200, liar.reply)
                else:
                    self.answer(liar.beat, {})

            def do_GET(self):
                if "event-stream" in self.headers["Accept"] and liar.raw is None:
                    self.answer(406, {})
                    return
                liar.asked += 1
                if liar.raw is None:
                    self.answer(200, {"nodes": liar.nodes})
                else:
                    self.wfile.write(liar.raw)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *args):
                """The agent hangs up on lies."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Agent:
    """The agent in its stub mode, joined to a liar that has told the truth so far."""

    def __init__(self, directory, liar):
        self.log = directory / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [AGENT, "--control-plane", f"http://127.0.0.1:{liar.server.server_port}", "--host-ip", "192.168.1.11",
                 "--hostname", "node1", "--dataplane", "none", "--state-dir", directory / "state",
                 "--status-addr", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ready = wait_for(lambda: re.search(r'msg="ready".* status_port=(\d+)', self.log.read_text()),
                         self.log.read_text)
        self.url = f"http://127.0.0.1:{ready.group(1)}"
        wait_for(lambda: self.programmed() == {"10.42.2.0/24"}, self.log.read_text)

    def status(self):
        with urllib.request.urlopen(self.url + "/status", timeout=DEADLINE_S) as reply:
            return json.load(reply)

    def programmed(self):
        return {peer["subnet"] for peer in self.status()["peers"] if peer["programmed"]}

    def stop(self):
        assert self.process.poll() is None, self.log.read_text()
        self.process.terminate()
        assert self.process.wait(DEADLINE_S) == 0, self.log.read_text()
        text = self.log.read_text()
        assert not re.search("Sanitizer|runtime error", text), text


@pytest.fixture(name="liar")
def fixture_liar():
    liar = Liar()
    yield liar
    liar.stop()


@pytest.fixture(name="agent")
def fixture_agent(tmp_path, liar):
    agent = Agent(tmp_path, liar)
    yield agent
    agent.stop()


@pytest.mark.parametrize("lie, words", [
    (node(3, "0.0.0.0"), "no address that a host can have"),
    (node(3, "127.0.0.1"), "no address that a host can have"),
    (node(3, "239.1.1.1"), "no address that a host can have"),
    (node(3, "255.255.255.255"), "no address that a host can have"),
    (node(3, "10.42.2.5"), "inside the cluster's own network"),
    (node(3, "192.168.1.11"), "this node's own host IP"),
    (node(3, "192.168.1.13", "10.42.1.0/24"), "this node's own subnet"),
    (node(3, "192.168.1.13", "10.43.3.0/24"), "outside the cluster's network"),
    (node(3, "192.168.1.13", "10.42.3.0/25"), "not of the cluster's node size"),
])
def test_a_peer_that_cannot_be_is_named_and_not_programmed(liar, agent, lie, words):
    liar.nodes = [node(2, "192.168.1.12"), node(4, "192.168.1.14"), lie]
    wait_for(lambda: agent.programmed() == {"10.42.2.0/24", "10.42.4.0/24"}, agent.status)
    assert any(words in problem for problem in agent.status()["problems"])


@pytest.mark.parametrize("lie", [
    {"subnet": "10.43.0.0/24"},
    {"subnet": "10.42.1.0/25"},
    {"subnet": "192.168.1.0/24", "cluster_cidr": "192.168.0.0/16"},
    {"subnet": "128.0.0.0/1", "cluster_cidr": "0.0.0.0/0", "node_prefix": 1},
    {"subnet": "127.0.1.0/24", "cluster_cidr": "127.0.0.0/8"},
    {"node_prefix": 33},
    {"node_prefix": -1},
    {"vni": 0},
    {"vxlan_port": 65536},
    {"heartbeat_interval_ms": 1},
    {"heartbeat_interval_ms": -1},
    {"peer_sync_interval_ms": 0},
    {"node_id": "../../etc"},
    {"node_token": "x" * 65},
    {"node_token": "x\r\nHost: elsewhere"},
    {"node_token": "x y"},
    {"node_token": "\u00fc"},
])
def test_an_identity_that_cannot_be_is_refused_and_the_old_one_stays(liar, agent, lie):
    before = agent.status()
    liar.reply, liar.beat = TRUTH | lie, 404
    wait_for(lambda: any("answer is unusable" in problem for problem in agent.status()["problems"]), agent.status)
    after = agent.status()
    assert [after[key] for key in ("node_id", "subnet")] == [before[key] for key in ("node_id", "subnet")]
    assert agent.programmed() == {"10.42.2.0/24"}


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize("raw", ids=range(15), argvalues=[
    b"",
    b"\0" * 1000,
    b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 99999 X\r\n\r\n",
    HEAD + b"Content-Length: 5\r\n\r\n{\"no",
    HEAD + b"Content-Length: 2\r\n\r\n{}",
    HEAD + b"Content-Length: 12\r\n\r\n{\"nodes\":{}}",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nxx",
    HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0",
    HEAD + b"\r\nevent: snapshot\ndata: " + b"[" * 100000 + b"\n\n",
    HEAD + b"\r\nevent: snapshot\ndata: {\"nodes\":[{}]}\n\n",
    HEAD + b"\r\nevent: node\ndata: {\"node_id\":\"x\"}\n\n",
    HEAD + b"\r\nevent: node-deleted\ndata: []\n\n",
    HEAD + b"\r\ndata: " + b"x" * (17 << 20),
    HEAD + b"X: " + b"y" * 500000 + b"\r\n\r\n",
])
def test_an_answer_that_is_garbage_changes_nothing(liar, agent, raw):
    liar.raw = raw
    begin = liar.asked
    wait_for(lambda: liar.asked >= begin + 2, agent.status)
    assert agent.programmed() == {"10.42.2.0/24"}
    liar.raw = None
    liar.nodes = [node(2, "192.168.1.12"), node(4, "192.168.1.14")]
    wait_for(lambda: agent.programmed() == {"10.42.2.0/24", "10.42.4.0/24"}, agent.status)


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer " + "b" * 64, "Basic " + "a" * 64, "bearer " + "a" * 64])
def test_nobody_without_the_token_makes_the_node_leave(agent, header):
    request = urllib.request.Request(agent.url + "/leave", data=b"", method="POST",
                                     headers={"Authorization": header} if header is not None else {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=DEADLINE_S)
    assert refused.value.code == 403
    assert agent.programmed() == {"10.42.2.0/24"}


@pytest.mark.parametrize("headers, code", [
    ({"Host": "attacker.example"}, 421), ({"Host": "127.0.0.1.attacker.example:9180"}, 421),
    ({"Origin": "http://attacker.example"}, 403), ({"Origin": "null"}, 403), ({"Host": "localhost"}, 200), ({}, 200)])
@pytest.mark.parametrize("path", ["/status", "/metrics", "/livez"])
def test_a_web_page_learns_nothing_through_a_browser_on_this_host(agent, path, headers, code):
    request = urllib.request.Request(agent.url + path, headers=headers)
    try:
        answered = urllib.request.urlopen(request, timeout=DEADLINE_S).status
    except urllib.error.HTTPError as refused:
        answered = refused.code
    assert answered == code


def test_thousands_of_impossible_peers_are_counted_and_not_told_one_by_one(liar, agent):
    crowd = [node(i, f"127.{i >> 16}.{i >> 8 & 255}.{i & 255}", "10.42.3.0/24") for i in range(10, 30010)]
    liar.nodes = [node(2, "192.168.1.12"), node(4, "192.168.1.14"), *crowd]
    wait_for(lambda: agent.programmed() == {"10.42.2.0/24", "10.42.4.0/24"}, agent.log.read_text)
    text = agent.log.read_text()
    assert text.count("peer is ignored") == 16
    assert len(re.findall('msg="more peers are ignored.* count=29984', text)) == 1
    problems = agent.status()["problems"]
    assert sum("no address that a host can have" in problem for problem in problems) == 16
    assert any("29984 more peers are ignored" in problem for problem in problems)
    liar.nodes = [node(2, "192.168.1.12"), node(4, "192.168.1.14")]
    wait_for(lambda: agent.status()["problems"] == [], agent.log.read_text)

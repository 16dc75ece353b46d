"""quilt-mesh-agent and quilt-mesh-control, the real daemons, with a way between them that loses answers:
whoever was registered and did not hear of it is found again, by the token that it made itself.

Runs the programs of the build that QUILT_BUILD names; needs no privilege."""
import http.client
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "rest")]
from plane import BUILD, SANITIZER_REPORT, Plane, wait_for  # noqa: E402 (of the tests of the REST API)

AGENT = BUILD / "agent" / "quilt-mesh-agent"


class LossyWay:
    """Passes requests on, and only as many answers to registrations as it is told to."""

    def __init__(self, plane):
        self.plane, self.loses, self.wishes = plane, True, []
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if "event-stream" in (self.headers["Accept"] or ""):
                    self.answer(406, b"")
                    return
                connection = http.client.HTTPConnection("127.0.0.1", way.plane.port, timeout=20)
                connection.request(self.command, self.path, body)
                reply = connection.getresponse()
                answer = reply.read()
                connection.close()
                if self.path == "/api/nodes/register":
                    way.wishes.append(json.loads(body))
                    if way.loses:
                        self.close_connection = True
                        return
                self.answer(reply.status, answer)

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = pass_on

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Agent:
    """The agent in its stub mode; its host IP can be any."""

    def __init__(self, directory, way):
        self.directory, self.way, self.log = directory, way, directory / "agent.log"
        self.process = None

    def start(self, host_ip):
        self.log.write_text("")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [AGENT, "--control-plane", f"http://127.0.0.1:{self.way.server.server_port}", "--host-ip", host_ip,
                 "--hostname", "node1", "--dataplane", "none", "--state-dir", self.directory / "state",
                 "--status-addr", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def state(self):
        return json.loads((self.directory / "state" / "agent.json").read_text())["content"]

    def wait_registered(self):
        return wait_for(lambda: re.search('msg="ready" node_id=(\\S+)', self.log.read_text()), 20,
                        self.log.read_text).group(1)

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(20) == 0, self.log.read_text()
        assert not SANITIZER_REPORT.search(self.log.read_text()), self.log.read_text()


@pytest.fixture(name="plane")
def fixture_plane(tmp_path):
    plane = Plane(tmp_path)
    yield plane.start()
    plane.end()


@pytest.fixture(name="way")
def fixture_way(plane):
    way = LossyWay(plane)
    yield way
    way.stop()


@pytest.fixture(name="agent")
def fixture_agent(tmp_path, way):
    agent = Agent(tmp_path, way)
    yield agent
    agent.end()


def test_an_agent_that_missed_its_first_answer_is_the_same_node_from_another_address(plane, way, agent):
    agent.start("192.168.1.11")
    wait_for(lambda: len(way.wishes) >= 2, 20, agent.log.read_text)
    assert "identity" not in agent.state()  # it has heard nothing
    agent.kill()
    first = plane.nodes()
    way.loses = False
    before = len(way.wishes)
    agent.start("192.168.1.99")
    assert [agent.wait_registered()] == [node["node_id"] for node in first]
    assert [(node["host_ip"], node["subnet"]) for node in plane.nodes()] == [("192.168.1.99", "10.42.1.0/24")]
    told = agent.state()
    assert told["identity"]["node_token"] == told["new_token"] == way.wishes[0]["new_token"]
    assert len({wish["new_token"] for wish in way.wishes}) == 1
    assert len({wish["instance_id"] for wish in way.wishes[:before]}) == 1
    assert way.wishes[before]["instance_id"] != way.wishes[0]["instance_id"]


def test_registrations_of_one_process_whose_answers_are_lost_are_one_generation(plane, way, agent):
    agent.start("192.168.1.11")
    wait_for(lambda: len(way.wishes) >= 3, 20, agent.log.read_text)
    way.loses = False
    node_id = agent.wait_registered()
    assert agent.state()["identity"]["generation"] == 1
    wait_for(lambda: "agent" in plane.ask("GET", f"/api/nodes/{node_id}").json(), 20, agent.log.read_text)


def test_an_agent_that_cannot_save_goes_on_says_so_and_saves_when_it_can(plane, way, agent):
    way.loses = False
    obstacle = agent.directory / "state" / "agent.json.tmp"
    obstacle.mkdir(parents=True)
    obstacle.parent.chmod(0o700)
    agent.start("192.168.1.11")
    node_id = agent.wait_registered()
    assert 'msg="state" problem="save state: ' in agent.log.read_text()
    assert not (agent.directory / "state" / "agent.json").exists()
    obstacle.rmdir()
    wait_for(lambda: 'msg="state is saved again"' in agent.log.read_text(), 20, agent.log.read_text)
    agent.kill()
    agent.start("192.168.1.99")
    assert agent.wait_registered() == node_id
    assert [node["host_ip"] for node in plane.nodes()] == ["192.168.1.99"]

"""The real agent, without a dataplane and without a runtime."""
import json
import os
import re
import signal
import subprocess
import urllib.request

from lab.wait import wait_for
from plane import BUILD

AGENT = BUILD / "agent" / "quilt-mesh-agent"


class Agent:
    """One run of the agent; what it keeps is in DIRECTORY/state, its host's name is the directory's unless
    another is given. prefix: the words of a program that runs it."""

    def __init__(self, plane, directory, ip, env=None, prefix=(), name=None):
        self.plane, self.name = plane, name or directory.name
        self.log_path = directory / "agent.log"
        argv = [*prefix, AGENT, "--control-plane", f"http://127.0.0.1:{plane.port}", "--host-ip", ip,
                "--dataplane", "none", "--state-dir", directory / "state", "--status-addr", "127.0.0.1:0",
                "--hostname", self.name]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, **(env or {})})

    def node_id(self):
        """As the control plane knows it; None: not at all."""
        return next((node["node_id"] for node in self.plane.nodes() if node["hostname"] == self.name), None)

    def wait_known(self):
        return wait_for(self.node_id, 20, self.log_path.read_text)

    def log(self):
        return self.log_path.read_text()

    def ask(self, path):
        port = wait_for(lambda: re.search(r'msg="ready".* status_port=(\d+)', self.log()), 20, self.log).group(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.read().decode()

    def status(self):
        return json.loads(self.ask("/status"))

    def programmed(self):
        """The peers' subnets that it would have routes to."""
        return {peer["subnet"] for peer in self.status()["peers"] if peer["programmed"]}

    def heartbeats(self):
        """So many have been answered."""
        return int(re.search(r"^quilt_agent_heartbeats_total (\d+)", self.ask("/metrics"), re.MULTILINE).group(1))

    def wait_beat(self, deadline_s):
        """Until it has been answered a heartbeat, just now."""
        before = self.heartbeats()
        wait_for(lambda: self.heartbeats() > before, deadline_s, self.log, 0.002)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.log()

    def end(self):
        self.process.kill()
        self.process.wait(10)

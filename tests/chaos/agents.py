"""The real agent, without a dataplane and without a runtime."""
import os
import subprocess

from lab.wait import wait_for
from plane import BUILD

AGENT = BUILD / "agent" / "quilt-mesh-agent"


class Agent:
    """One run of the agent; what it keeps is in DIRECTORY/state, its host's name is the directory's."""

    def __init__(self, plane, directory, ip, env=None):
        self.plane, self.name = plane, directory.name
        self.log_path = directory / "agent.log"
        argv = [AGENT, "--control-plane", f"http://127.0.0.1:{plane.port}", "--host-ip", ip, "--dataplane",
                "none", "--state-dir", directory / "state", "--status-addr", "127.0.0.1:0", "--hostname",
                self.name]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, **(env or {})})

    def node_id(self):
        """As the control plane knows it; None: not at all."""
        return next((node["node_id"] for node in self.plane.nodes() if node["hostname"] == self.name), None)

    def wait_known(self):
        return wait_for(self.node_id, 20, self.log_path.read_text)

    def end(self):
        self.process.kill()
        self.process.wait(10)

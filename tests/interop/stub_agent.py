"""quilt-mesh-agent in its stub mode, joining a control plane over TLS with the token that is in its file."""
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "rest")]
from plane import BUILD, SANITIZER_REPORT, wait_for  # noqa: E402 (of the tests of the REST API)

AGENT = BUILD / "agent" / "quilt-mesh-agent"


class StubAgent:
    """It is node9, with the state in its directory."""

    def __init__(self, directory):
        self.log, self.state, self.token_file = directory / "agent.log", directory / "state", directory / "token"
        self.process = None

    def start(self, plane, token, *options):
        """token: what it is given; None: nothing."""
        if token:
            self.token_file.write_text(token)
            self.token_file.chmod(0o600)
            options = ["--token-file", self.token_file, *options]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [AGENT, "--control-plane", f"https://127.0.0.1:{plane.port}", "--host-ip", "192.168.1.9",
                 "--hostname", "node9", "--dataplane", "none", "--state-dir", self.state,
                 "--status-addr", "127.0.0.1:0", *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def wait_log(self, text):
        wait_for(lambda: text in self.log.read_text(), 40, self.log.read_text)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(10) == 0, self.log.read_text()
        assert not SANITIZER_REPORT.search(self.log.read_text()), self.log.read_text()

"""A runtime that serves gRPC over TLS, in a host of its own, with a CA by the openssl command: clients in that
host, with whatever certificate."""
import ctypes
import socket
import subprocess
import sys
from pathlib import Path

from runtime_host import RUNTIME, Host, wait_for
from test_grpc_access import CALLER, HEALTH, METHODS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lab.pki import Authority  # noqa: E402 (the tests' own package)

HOST_IP = "192.168.1.10"
PORT = 50051
TARGET = f"{HOST_IP}:{PORT}"
NODE = "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"
CLONE_NEWNET = 0x40000000


class TlsHost(Host):
    """A runtime beyond loopback, with a node's certificate, and people with and without papers."""

    def __init__(self, directory):
        super().__init__(directory)
        self.ca = Authority(directory / "pki")
        self.paper = self.ca.issue("node", f"node/{NODE}", [HOST_IP])
        self.run("ip", "address", "add", f"{HOST_IP}/32", "dev", "lo")

    def tls_options(self):
        return ["--tls-cert", self.paper.cert, "--tls-key", self.paper.key, "--tls-ca", self.ca.cert]

    def runtime_argv(self, *options):
        return self.argv(RUNTIME, "--state-dir", self.dir / "state", "--run-dir", self.dir / "run",
                         *(options or ["--grpc-addr", TARGET, *self.tls_options()]))

    def connect(self):
        """Calls come from a process in the namespace."""

    def open_caller(self, paper, *options, ca=None, target=TARGET):
        words = ["--tls", ca or self.ca.cert, paper.cert if paper else "", paper.key if paper else ""]
        return subprocess.Popen(self.argv("/usr/bin/python3", "-B", CALLER, *words, *options, target),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, paper, names=(HEALTH, *METHODS), **kwargs):
        """method -> status and detail."""
        with self.open_caller(paper, "--detail", **kwargs) as caller:
            out, _ = caller.communicate("\n".join(names) + "\n", timeout=60)
        return {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}

    def statuses(self, paper, names=(HEALTH, *METHODS), **kwargs):
        return {name: said.split()[0] for name, said in self.ask(paper, names, **kwargs).items()}

    def is_cut(self, paper, *log_texts, **kwargs):
        """Not even health is answered, and the log, which says one a second, says why."""
        begin = len(self.log.read_text())

        def is_told():
            assert self.statuses(paper, [HEALTH], **kwargs) == {HEALTH: "UNAVAILABLE"}
            said = self.log.read_text()[begin:]
            return all(text in said for text in ('msg="a gRPC connection was cut"', *log_texts))
        return wait_for(is_told, f"the log to say {log_texts}")

    def open_socket(self):
        """A plain connection to the port, from inside."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self.holder.pid}/ns/net", "rb") as there, open("/proc/self/ns/net", "rb") as here:
            assert libc.setns(there.fileno(), CLONE_NEWNET) == 0
            try:
                return socket.create_connection((HOST_IP, PORT), timeout=20)
            finally:
                assert libc.setns(here.fileno(), CLONE_NEWNET) == 0

    def s_client(self, *options):
        done = subprocess.run(self.argv("timeout", "10", "openssl", "s_client", "-connect", TARGET, *options),
                              input="", capture_output=True, text=True, timeout=30, check=False)
        return done.stdout + done.stderr

"""A mesh of a hundred real agents, of which three have a kernel of their own.

                       switch
      +--------+----------+---------+---------+---------+
    plane    kernel1   kernel2   kernel3    near       far
    control  agent     agent     agent      37 agents  60 agents, both without a dataplane
             runtime   runtime   runtime

What is cut is what stands between the control plane and them: a cable, or packets that nftables drops.
"""
from contextlib import ExitStack

from disk import Disk
from lab import kernel
from lab.wait import wait_for

KERNELS = 3


class Hundred:
    """count agents; the far ones are six in ten. timeout_s: the cluster's node timeout; the other
    intervals follow it."""

    def __init__(self, bed, count, timeout_s):
        self.count, self.timeout_s = count, timeout_s
        self.mesh = bed.mesh(hosts=KERNELS + 1, is_started=False,
                             control_options=f"--node-timeout {timeout_s * 1000:.0f}ms")
        self.plane, *self.kernels = self.mesh.nodes
        self.far_count = count * 6 // 10
        self.clocks = [Disk(self.mesh.lab.dir / "no", self._clock_dir(name)) for name in ("plane", "agents")]
        self._start_control()
        for node in self.kernels:
            self.mesh.start_runtime(node)
            self.mesh.agents[node.name] = node.start(self.mesh.agent_command(node), env=self.clocks[1].env())
        self.near = self._crowd("near", "192.168.1.240", 1, count - self.far_count - KERNELS)
        self.far = self._crowd("far", "192.168.1.241", 101, self.far_count)
        wait_for(lambda: len(self.nodes()) == count, 60, lambda: f"{len(self.nodes())} of {count} nodes")
        for node in self.kernels:
            wait_for(lambda node=node: len(self.routes(node)) == count - 1, 30,
                     lambda node=node: f"{node.name} has {len(self.routes(node))} routes")

    def _clock_dir(self, name):
        directory = self.mesh.lab.dir / f"clock-{name}"
        directory.mkdir()
        return directory

    def _start_control(self):
        self.plane.run("mkdir", "-p", "/var/lib/quilt-mesh")
        self.mesh.control_url = f"http://{self.plane.ip}:8080"
        self.mesh.control = self.plane.start(self.mesh.control_command(), env=self.clocks[0].env()).wait_ready()

    def _crowd(self, name, ip, first, count):
        """A host with that many agents that touch no kernel; each has an address and a name of its own."""
        host = self.mesh.lab.host(name, ip)
        agents = [host.start(["quilt-mesh-agent", "--control-plane", self.mesh.control_url, "--host-ip",
                              f"192.168.2.{number}", "--hostname", f"{name}{number}", "--dataplane", "none",
                              "--state-dir", f"/var/lib/agent{number}", "--status-addr", "127.0.0.1:0"],
                             f"quilt-mesh-agent-{number}", env=self.clocks[1].env())
                  for number in range(first, first + count)]
        return host, agents

    # ---- asking -----------------------------------------------------------------------------------

    def nodes(self):
        return self.mesh.get("/api/nodes")["nodes"]

    def downs(self):
        return sorted(node["hostname"] for node in self.nodes() if node["status"] == "down")

    def status_of(self, node):
        return self.mesh.listed()[node.name]["status"]

    def readiness(self):
        return self.mesh.get("/readyz")

    def metric(self, name):
        text = self.plane.out("curl", "-sS", "-m", "5", f"{self.mesh.control_url}/metrics")
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))

    def revision(self):
        return self.metric("quilt_control_revision")

    def log(self):
        return self.mesh.control.log()

    @staticmethod
    def routes(node):
        return {route for route in kernel.overlay_routes(node) if route.endswith("/24")}

    # ---- doing ------------------------------------------------------------------------------------

    def wait_beaten(self):
        """Until every node has been heard again: wall seconds are all that a node shows, so it takes two
        of them."""
        since = max(node["last_heartbeat"] for node in self.nodes()) + 1
        wait_for(lambda: all(node["last_heartbeat"] >= since for node in self.nodes()), 2 * self.timeout_s + 5,
                 "a heartbeat of everybody")

    def scaled(self, seconds):
        """A time of the matrix, where the node timeout is 30 s."""
        return seconds * self.timeout_s / 30


class Writes:
    """What the kernels of the three are told while the block runs."""

    def __init__(self, hundred):
        self.logs = [kernel.ChangeLog(node) for node in hundred.kernels]

    def __enter__(self):
        with ExitStack() as stack:
            for log in self.logs:
                stack.enter_context(log)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *args):
        return self.stack.__exit__(*args)

    def lines(self):
        return [line for log in self.logs for line in log.lines()]

    def deletions(self):
        return [line for log in self.logs for line in log.deletions()]

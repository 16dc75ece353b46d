"""A mesh as a user sets it up: README's commands, typed on README's hosts.

node1 (192.168.1.10) runs the control plane, and every node a runtime and an agent. The commands are
kept here once; demo and tests type the same ones. A TlsMesh joins by the line that the control plane
prints; a Mesh is the laboratory's, in plain HTTP.
"""
import json
import re

from lab.network import Lab
from lab.wait import wait_for

FIRST_IP = 10
CONTROL_COMMAND = "quilt-mesh-control --listen {ip}:8080 --db-path /var/lib/quilt-mesh/quilt-mesh.db"
RUNTIME_COMMAND = "quilt-runtime"
AGENT_COMMAND = "quilt-mesh-agent --control-plane {control_plane} --host-ip {ip}"
PKI = "/var/lib/quilt-mesh/pki"
JOIN_LINE = re.compile(r"^quilt-mesh-agent --control-plane https://\S+ --host-ip HOST_IP "
                       r"--token (quilt1-\S+)$", re.MULTILINE)
READY_URL = "http://127.0.0.1:9180/readyz"


class Mesh:
    """Hosts node1.. with their daemons; one container c1.. on each."""

    def __init__(self, build, host_count=3, control_options="", agent_options="",
                 runtime_options="", lab=None, mtu=1500, env=None):
        self.lab = lab or Lab(build, env)
        self.control_options = control_options
        self.agent_options = agent_options
        self.runtime_options = runtime_options
        self.mtu = mtu
        self.control = None
        self.control_url = None
        self.nodes = []
        self.runtimes = {}
        self.agents = {}
        self.containers = []
        for _ in range(host_count):
            self.add_host()

    def add_host(self):
        """The next host: powered on and plugged in, nothing runs on it yet."""
        number = len(self.nodes) + 1
        node = self.lab.host(f"node{number}", f"192.168.1.{FIRST_IP + number - 1}", self.mtu)
        self.nodes.append(node)
        return node

    def start_all(self):
        self.start_control()
        for node in self.nodes:
            self.start_node(node)
        self.wait_joined()
        for node in self.nodes:
            self.add_container(node)
        return self

    def control_command(self):
        return f"{CONTROL_COMMAND.format(ip=self.nodes[0].ip)} {self.control_options}".strip()

    def agent_command(self, node):
        words = AGENT_COMMAND.format(control_plane=self.control_url, ip=node.ip)
        return f"{words} {self.agent_options}".strip()

    def start_control(self):
        first = self.nodes[0]
        first.run("mkdir", "-p", "/var/lib/quilt-mesh")
        self.control_url = f"http://{first.ip}:8080"
        self.control = first.start(self.control_command()).wait_ready()

    def start_runtime(self, node):
        command = f"{RUNTIME_COMMAND} {self.runtime_options}".strip()
        self.runtimes[node.name] = node.start(command).wait_ready()

    def start_agent(self, node):
        self.agents[node.name] = node.start(self.agent_command(node)).wait_ready()

    def start_node(self, node):
        self.start_runtime(node)
        self.start_agent(node)

    def daemons(self):
        return [self.control, *self.runtimes.values(), *self.agents.values()]

    def get(self, path, node=None, check=True):
        """A GET of the control plane from a host, as JSON (None when there is no answer)."""
        place = node or self.nodes[0]
        done = place.run("curl", "-sS", "--max-time", "5", f"{self.control_url}{path}",
                         check=check)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def register(self, hostname, ip):
        """Registers a node that does not exist; what the control plane answers."""
        body = json.dumps({"hostname": hostname, "host_ip": ip})
        return json.loads(self.nodes[0].out("curl", "-sS", "-f", "-d", body, f"{self.control_url}/api/nodes/register"))

    def listed(self):
        """hostname -> node, as the control plane lists it."""
        return {node["hostname"]: node for node in self.get("/api/nodes")["nodes"]}

    def subnet_of(self, node):
        return self.listed()[node.name]["subnet"]

    def routes_of(self, node):
        """The peers' subnets that this host has an overlay route to."""
        text = node.net("ip", "-4", "route", "show", "dev", "vxlan100", "proto", "81",
                        check=False).stdout
        return set(re.findall(r"^(10\.\S+/\d+) ", text, re.MULTILINE))

    def has_full_routes(self, nodes=None):
        """Whether each of the hosts has exactly one route to each of the others."""
        nodes = nodes or self.nodes
        subnets = {name: entry["subnet"] for name, entry in self.listed().items()}
        if any(node.name not in subnets for node in nodes):
            return False
        return all(self.routes_of(node) == {subnets[peer.name] for peer in nodes
                                            if peer is not node} for node in nodes)

    def wait_joined(self, nodes=None, deadline_s=20):
        wait_for(lambda: self.has_full_routes(nodes), deadline_s,
                 lambda: "full routes between the nodes: " + str(
                     {node.name: self.routes_of(node) for node in nodes or self.nodes}) +
                 "\n".join(f"\n--- {d.name} on {d.place.name}\n{d.log_tail(15)}"
                           for d in self.daemons()))

    def wait_settled(self):
        """Until every agent says that it is ready: it has compared want and have since it started
        and had nothing left to do."""
        for node in self.nodes:
            wait_for(lambda node=node: self.is_settled(node), 20,
                     lambda node=node: f"{node.name} to be ready:\n" +
                     node.run("curl", "-s", "-m", "5", READY_URL, check=False).stdout)

    def is_settled(self, node):
        return node.run("curl", "-s", "-f", "-m", "5", READY_URL, check=False).returncode == 0

    def add_container(self, node, name=None):
        """A container's network on the node, attached to the mesh by quiltctl."""
        container = node.container(name or f"c{node.name.removeprefix('node')}")
        self.attach(container)
        self.containers.append(container)
        return container

    def attach(self, container):
        answer = json.loads(container.host.out(
            "quiltctl", "endpoint", "attach", container.name, container.netns, "-o", "json"))
        container.ip = answer["ip"].split("/")[0]
        return answer

    def close(self):
        self.lab.close()


class TlsMesh(Mesh):
    """Over TLS, with the access token that the control plane prints at its first start."""
    token = None
    ca_file = f"{PKI}/ca-bundle.pem"

    def control_command(self):
        return f"{super().control_command()} --tls auto"

    def agent_command(self, node):
        words = f"{super().agent_command(node)}"
        return f"{words} --token {self.token}" if self.token else words

    def start_control(self):
        super().start_control()
        self.control_url = f"https://{self.nodes[0].ip}:8080"
        self.control.wait_log("--token ")
        self.token = JOIN_LINE.search(self.control.log())[1]

    def ask(self, method, path, body=None, check=True):
        """A request of the admin, from the control plane's host: the answer's text."""
        words = ["curl", "-sS", "--max-time", "5", "--cacert", self.ca_file, "--cert",
                 f"{PKI}/admin.pem", "--key", f"{PKI}/admin-key.pem", "-X", method]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        if check:
            words.append("--fail-with-body")
        return self.nodes[0].run(*words, f"{self.control_url}{path}", check=check)

    def get(self, path, node=None, check=True):
        done = self.ask("GET", path, check=check)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def new_token(self, **wish):
        return json.loads(self.ask("POST", "/api/tokens", wish).stdout)["token"]

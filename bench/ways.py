"""The ways that the data path suite compares. Each has two hosts of its own on a switch of its own,
drawn alike, so that no way pays for another one's firewall, and the underlay is the same for all:

     source on node1 ── eth0, MTU 1500 ── switch ── eth0, MTU 1500 ── target on node2
"""
import json
import re
import shutil
from pathlib import Path

from lab.mesh import Mesh
from lab.network import Lab
from lab.place import Container
from lab.program import SYSTEM_PATH, CommandFailed
from lab.wait import Timeout

CGROUPS = Path("/sys/fs/cgroup")
HOST_IPS = ("192.168.1.10", "192.168.1.11")


class Unavailable(Exception):
    """This machine, or this version, cannot go this way; the text says why."""


class Way:
    """source and target are places with a network, target.ip is where the traffic goes."""

    def __init__(self, name, build):
        self.name = name
        self.lab = Lab(build)
        self.number = 0

    def set_up(self):
        raise NotImplementedError

    def fresh_pair(self):
        """Two containers that nobody has sent from or to before."""
        raise NotImplementedError

    def close(self):
        self.lab.close()


class HostToHost(Way):
    """No overlay: the programs run on the hosts themselves."""

    def __init__(self, build):
        super().__init__("host-to-host", build)

    def set_up(self):
        self.source, self.target = (self.lab.host(f"node{n + 1}", ip) for n, ip in enumerate(HOST_IPS))

    def fresh_pair(self):
        return None


class Flannel(Way):
    """What flannel's VXLAN backend and its bridge plugin set up: a VXLAN device, one onlink route, one
    permanent neighbour and one forwarding entry a peer; containers on a bridge that is their gateway.
    No firewall and no masquerading."""
    NAME, DEVICE, VNI, PORT = "flannel-style", "flannel.1", 1, 8472

    def __init__(self, build):
        super().__init__(self.NAME, build)
        self.count = 0

    def set_up(self):
        self.hosts = [self.lab.host(f"node{n + 1}", ip) for n, ip in enumerate(HOST_IPS)]
        for number, host in enumerate(self.hosts, 1):
            self._draw_overlay(host, number)
            self._draw_bridge(host, number)
        for number, host in enumerate(self.hosts, 1):
            self._add_peer(host, 3 - number, HOST_IPS[2 - number])
        self.source, self.target = self.fresh_pair()

    @staticmethod
    def _mac(number):
        return f"02:f1:0a:2a:{number:02x}:00"

    def _draw_overlay(self, host, number):
        host.run("sysctl -q -w net.ipv4.ip_forward=1")
        host.run(f"ip link add {self.DEVICE} address {self._mac(number)} mtu 1450 type vxlan id {self.VNI} "
                 f"local {host.ip} dev eth0 dstport {self.PORT} nolearning")
        host.run(f"ip addr add 10.42.{number}.0/32 dev {self.DEVICE}")
        host.run(f"ip link set {self.DEVICE} up")

    @staticmethod
    def _draw_bridge(host, number):
        host.run("ip link add cni0 mtu 1450 type bridge")
        host.run(f"ip addr add 10.42.{number}.1/24 dev cni0")
        host.run("ip link set cni0 up")

    def _add_peer(self, host, number, ip):
        vtep, mac = f"10.42.{number}.0", self._mac(number)
        host.run(f"ip neigh add {vtep} lladdr {mac} dev {self.DEVICE} nud permanent")
        host.run(f"bridge fdb add {mac} dev {self.DEVICE} dst {ip} self permanent")
        host.run(f"ip route add {vtep}/24 via {vtep} dev {self.DEVICE} onlink")

    def _add_container(self, host, number):
        container = host.container(f"c{self.count}")
        container.ip = f"10.42.{number}.{1 + self.count}"
        port = f"veth{self.count}"
        host.run(f"ip link add {port} mtu 1450 type veth peer name eth0 mtu 1450 netns {container.name}")
        host.run(f"ip link set {port} master cni0 up")
        container.run(f"ip addr add {container.ip}/24 dev eth0")
        container.run("ip link set eth0 up")
        container.run(f"ip route add default via 10.42.{number}.1")
        return container

    def fresh_pair(self):
        self.count += 1
        return [self._add_container(host, number) for number, host in enumerate(self.hosts, 1)]


class FlannelWithRules(Flannel):
    """The same with the rules that flanneld itself adds when it is started with --ip-masq, as its
    manifests do: what goes between containers is not masqueraded, all else is, and forwarding is
    allowed (pkg/trafficmngr/nftables, its nftables mode; the iptables mode has the same rules).
    Masquerading turns connection tracking on, and nothing is kept out of it."""
    NAME = "flannel with its rules"
    CLUSTER = "10.42.0.0/16"

    def set_up(self):
        super().set_up()
        for number, host in enumerate(self.hosts, 1):
            host.run("nft", self._rules(f"10.42.{number}.0/24"))

    def _rules(self, subnet):
        within = f"ip daddr {self.CLUSTER}"
        chains = {"forward { type filter hook forward priority filter; }":
                  [f"ip saddr {self.CLUSTER} accept", f"{within} accept"],
                  "postrtg { type nat hook postrouting priority srcnat; }":
                  ["meta mark 0x4000 return",
                   f"ip saddr {subnet} {within} return",
                   f"ip saddr {self.CLUSTER} ip daddr {subnet} return",
                   f"ip saddr != {subnet} {within} return",
                   f"ip saddr {self.CLUSTER} ip daddr != 224.0.0.0/4 masquerade fully-random",
                   f"ip saddr != {self.CLUSTER} {within} masquerade fully-random"]}
        lines = ["add table ip flannel-ipv4"]
        for chain, rules in chains.items():
            lines.append(f"add chain ip flannel-ipv4 {chain}")
            lines += [f"add rule ip flannel-ipv4 {chain.split()[0]} {rule}" for rule in rules]
        return "\n".join(lines)


class Quilt(Way):
    """The real daemons, as a user starts them, with one of the data paths."""

    def __init__(self, build, dataplane):
        super().__init__(f"our {'eBPF' if dataplane == 'ebpf' else dataplane} path", build)
        self.dataplane = dataplane
        self.count = 0

    def set_up(self):
        self.mesh = Mesh(self.lab.build, 2, lab=self.lab, agent_options=f"--dataplane {self.dataplane}")
        self.mesh.start_control()
        for node in self.mesh.nodes:
            self._start(node)
        self.mesh.wait_joined()
        self.source, self.target = self.fresh_pair()

    def _start(self, node):
        self.mesh.start_runtime(node)
        try:
            self.mesh.start_agent(node)
        except (CommandFailed, Timeout) as failure:
            last = str(failure).strip().splitlines()[-1]
            raise Unavailable(f"the agent refuses `--dataplane {self.dataplane}`: {last}") from failure

    def fresh_pair(self):
        self.count += 1
        return [self.mesh.add_container(node, f"{node.name}c{self.count}") for node in self.mesh.nodes]


class Swarm(Way):
    """Docker's Swarm, as a user sets it up: one dockerd a host, an attachable overlay network, containers
    on it. Docker has its own firewall, and its overlay lives in a namespace of its own."""
    IMAGE, NETWORK = "pause", "overlay"

    def __init__(self, build):
        super().__init__("Docker Swarm", build)
        self.count = 0

    def set_up(self):
        if not shutil.which("dockerd", path=SYSTEM_PATH):
            raise Unavailable("dockerd is not installed")
        self.hosts = [self.lab.host(f"node{n + 1}", ip) for n, ip in enumerate(HOST_IPS)]
        for host in self.hosts:
            self._start(host)
        first, second = self.hosts
        first.run("docker", "swarm", "init", "--advertise-addr", first.ip, "--listen-addr", first.ip)
        token = first.out("docker", "swarm", "join-token", "-q", "worker").strip()
        second.run("docker", "swarm", "join", "--token", token, "--advertise-addr", second.ip, f"{first.ip}:2377")
        first.run("docker", "network", "create", "--driver", "overlay", "--attachable", self.NETWORK)
        self.source, self.target = self.fresh_pair()

    @staticmethod
    def _mount_cgroups(host):
        """As this machine has them: a host of the laboratory has a /sys of its own, without."""
        host.run("mount", "-t", "tmpfs", "tmpfs", CGROUPS)
        for _, path, kind, options, *_ in map(str.split, Path("/proc/mounts").read_text().splitlines()):
            if kind in ("cgroup", "cgroup2"):
                host.run("mkdir", "--parents", path)
                host.run("mount", "-t", kind, "-o", options, kind, path)

    def _start(self, host):
        """dockerd with an image of one program that waits."""
        self._mount_cgroups(host)
        daemon = host.start(["dockerd", "--exec-opt", "native.cgroupdriver=cgroupfs", "--storage-driver", "vfs",
                             "--cgroup-parent", f"/{self.lab.id}-{host.name}"], "dockerd")
        try:
            daemon.wait_log("API listen on", 60)
        except CommandFailed as failure:
            raise Unavailable(f"dockerd does not run here: {str(failure).splitlines()[-1]}") from failure
        needed = re.findall(r"/\S+", host.out("ldd", "/bin/sleep"))
        image = host.dir / "image.tar"
        host.run("tar", "--create", "--dereference", "--file", image, "/bin/sleep", *needed)
        host.run("docker", "import", image, self.IMAGE)

    def _add_container(self, host):
        name = f"c{self.count}"
        host.run("docker", "run", "--detach", "--name", name, "--network", self.NETWORK, self.IMAGE,
                 "/bin/sleep", "infinity")
        told = json.loads(host.out("docker", "inspect", name))[0]["NetworkSettings"]
        container = Container(host, name)
        container.netns = told["SandboxKey"].replace("/var/run/", "/run/")  # a link, followed from outside
        container.ip = told["Networks"][self.NETWORK]["IPAddress"]
        return container

    def fresh_pair(self):
        self.count += 1
        return [self._add_container(host) for host in self.hosts]

    def close(self):
        super().close()
        below = [path for top in CGROUPS.glob("*/") for path in [*top.glob(f"{self.lab.id}*"),
                                                                 *top.glob(f"{self.lab.id}*/**/*/")]]
        for path in sorted(below, reverse=True):
            path.rmdir()


def all_ways(build):
    """The ways, not yet set up, in the order of the table."""
    return [HostToHost(build), Flannel(build), FlannelWithRules(build), Swarm(build), Quilt(build, "kernel"),
            Quilt(build, "ebpf")]

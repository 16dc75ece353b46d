"""The peers suite: one real agent and one real runtime of a cluster of 10,000 nodes that nobody runs (see
tests/lab/crowded_control.py), beside `ip -batch` and `bridge -batch` that write the same, round by round on
hosts of their own that share this kernel.

From nothing: from the moment at which the control plane begins to send its list until the runtime has
written the last route. CPU is that of both daemons with all their threads, to the nanosecond.

A re-check: every daemon looks at all once in 30 s. What 31 s take is read every half second; most of these
have no look in them, so their median is what heartbeats and probes take, and what is more is the looks'.
"""
import json
import re
import statistics
import sys
import time
from datetime import datetime

from lab.program import cpu_ns, rss_mib
from lab.wait import wait_for
from report import Row, median_ratio

MANY, FEW = 10000, 10
IP = "192.168.1.10"
PLANES = {"kernel": "our kernel path", "ebpf": "our eBPF path"}
CHANGES = 20
IDLE_SECONDS = 31  # every daemon looks at all once in it
CALM_SECONDS = 6
SAMPLE_SECONDS = 0.5
RECHECK_LIMIT_MS = 100


def progress(text):
    print(f"bench: peers: {text}", file=sys.stderr, flush=True)


def network(number):
    return f"10.{(number + 1) >> 8 & 255}.{(number + 1) & 255}.0"


def host_ip(number):
    return f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def mac(number):
    return "02:51:" + ":".join(f"{int(part):02x}" for part in network(number).split("."))


class Node:
    """A host with a control plane, a runtime and an agent of its own."""

    def __init__(self, lab, name, plane):
        self.host = lab.host(name, IP)
        self.host.net("ip", "route", "add", "172.16.0.0/12", "via", "192.168.1.1")
        self.control = self.host.start(["/usr/bin/python3", "-B", str(lab.tool("crowded_control.py")), IP, "8080"],
                                       "control").wait_ready()
        self.runtime = self.host.start("quilt-runtime").wait_ready()
        self.agent = self.host.start(f"quilt-mesh-agent --control-plane http://{IP}:8080 --host-ip {IP} "
                                     f"--dataplane {plane}").wait_ready()

    def order(self, **words):
        self.host.net("curl", "-sS", "-f", "-d", json.dumps(words), f"http://{IP}:8080/crowd")

    def objects(self):
        """How many routes, neighbours and forwarding entries the kernel has."""
        words = (["ip", "-4", "route", "show", "dev", "vxlan100", "proto", "81"],
                 ["ip", "-4", "neigh", "show", "dev", "vxlan100"], ["bridge", "fdb", "show", "dev", "vxlan100"])
        return [len(self.host.net(*some).stdout.splitlines()) for some in words]

    def injected(self):
        """When the runtime wrote its routes, and how many."""
        found = re.findall(r'time=(\S+) level=info msg="routes? injected"(?: count=(\d+))?', self.runtime.log())
        return [(datetime.fromisoformat(at).timestamp(), int(count or 1)) for at, count in found]

    def fill(self, count):
        """Seconds until so many peers were programmed."""
        self.order(count=count)
        sent = float(re.findall(r"^sent (\S+)", self.control.log(), re.MULTILINE)[-1])
        wait_for(lambda: sum(n for _, n in self.injected()) >= count, 120, lambda: f"routes: {self.objects()}", 0.1)
        wait_for(lambda: self.objects() == [count] * 3, 20, lambda: f"{count} of all, there are {self.objects()}")
        return self.injected()[-1][0] - sent

    def cpu_ms(self):
        return (cpu_ns(self.agent.pid) + cpu_ns(self.runtime.pid)) / 1e6

    def cost_of_change(self, first):
        """CPU milliseconds of one peer that moves to another host IP, everything that follows included; what
        heartbeats and probes take meanwhile is not."""
        idle = statistics.median(self.samples(CALM_SECONDS)) / SAMPLE_SECONDS
        start, before = time.monotonic(), self.cpu_ms()
        for number in range(CHANGES):
            self.order(moved=number % FEW + 1, step=first + number // FEW)
            time.sleep(0.1)
        time.sleep(1)
        return (self.cpu_ms() - before - idle * (time.monotonic() - start)) / CHANGES

    def samples(self, seconds):
        """CPU milliseconds of each half second of that time."""
        start, before, samples = time.monotonic(), self.cpu_ms(), []
        for number in range(1, int(seconds / SAMPLE_SECONDS) + 1):
            time.sleep(max(0, start + number * SAMPLE_SECONDS - time.monotonic()))  # the measurement itself
            now = self.cpu_ms()
            samples.append(now - before)
            before = now
        return samples

    def recheck(self):
        """CPU milliseconds of looking at all and finding nothing to write; those of a second without such a look;
        and the kernel's words about writes."""
        monitors = [self.host.start(words, name) for words, name in (
            (["ip", "monitor", "link", "neigh", "route", "address", "dev", "vxlan100"], "writes-ip"),
            (["bridge", "monitor", "fdb"], "writes-bridge"), (["nft", "monitor"], "writes-nft"))]
        time.sleep(0.5)
        said = sum(len(one.log()) for one in monitors)
        samples = self.samples(IDLE_SECONDS)
        idle = statistics.median(samples)
        written = sum(len(one.log()) for one in monitors) - said
        for one in monitors:
            one.cease()
        return sum(samples) - idle * len(samples), idle / SAMPLE_SECONDS, written

    def end(self):
        for program in (self.agent, self.runtime, self.control):
            program.stop() if program is not self.control else program.cease()


def batch_seconds(lab, name, is_spread=False):
    """The same objects by iproute2, on a host of its own; with is_spread the routes have our scopes (see
    docs/decisions/routes-spread-over-scopes.md), too, which nobody would think of."""
    host = lab.host(name, IP)
    host.net("ip", "link", "add", "vxlan100", "type", "vxlan", "id", "100", "dstport", "4789", "local", IP, "nolearning")
    host.net("ip", "addr", "add", "10.0.1.0/32", "dev", "vxlan100")
    host.net("ip", "link", "set", "vxlan100", "up")
    numbers = range(1, MANY + 1)
    ip_file, bridge_file = host.dir / "ip.batch", host.dir / "bridge.batch"
    ip_file.write_text("".join(f"neigh replace {network(n)} lladdr {mac(n)} dev vxlan100 nud permanent extern_learn "
                               f"protocol 81\n" for n in numbers) +
                       "".join(f"route replace {network(n)}/24 via {network(n)} dev vxlan100 onlink protocol 81 "
                               f"scope {(n + 1) >> 8 if is_spread else 0}\n" for n in numbers))
    bridge_file.write_text("".join(f"fdb replace {mac(n)} dev vxlan100 dst {host_ip(n)} self permanent extern_learn\n"
                                   for n in numbers))
    start = time.monotonic()
    host.net("ip", "-batch", ip_file)
    host.net("bridge", "-batch", bridge_file)
    return time.monotonic() - start


def measure_rounds(lab, rounds):
    """Seconds from nothing, ours, iproute2's, and iproute2's with our scopes; and the last node of ours, full."""
    ours, theirs, spread, node = [], [], [], None
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        if node:
            node.end()
        node = Node(lab, f"ours{number}", "kernel")
        ours.append(node.fill(MANY))
        theirs.append(batch_seconds(lab, f"batch{number}"))
        spread.append(batch_seconds(lab, f"spread{number}", is_spread=True))
    return ours, theirs, spread, node


def rows_of(plane, few, many):
    """What a full node costs, once it is programmed."""
    change_few, change_many = few.cost_of_change(1), many.cost_of_change(1)
    progress(f"{PLANES[plane]}: {IDLE_SECONDS} s of nothing")
    time.sleep(2)
    recheck, idle, written = many.recheck()
    ratio = change_many / change_few
    return [
        Row(f"one changed peer among {MANY:,}: {PLANES[plane]}", f"{change_many:.2f} ms CPU",
            f"{ratio:.2f} of {change_few:.2f} ms among {FEW}", "≤ 2", ratio <= 2,
            {"few_ms": change_few, "many_ms": change_many}),
        Row(f"all {MANY:,} looked at with nothing changed, every 30 s: {PLANES[plane]}", f"{recheck:.0f} ms CPU",
            "agent and runtime", f"< {RECHECK_LIMIT_MS} ms", recheck < RECHECK_LIMIT_MS, {"ms": recheck}),
        Row(f"a second between two such looks, heartbeats and probes in it: {PLANES[plane]}", f"{idle:.2f} ms CPU",
            "agent and runtime", values={"ms": idle}),
        Row(f"bytes that the kernel's monitors say of writes meanwhile: {PLANES[plane]}", f"{written}", "", "0",
            written == 0, {"bytes": written}),
        *[Row(f"resident memory of `{name}` with {MANY:,} peers: {PLANES[plane]}", f"{rss_mib(daemon.pid):.1f} MiB")
          for name, daemon in (("quilt-mesh-agent", many.agent), ("quilt-runtime", many.runtime))]]


def measure(lab, is_quick):
    ours, theirs, spread, full = measure_rounds(lab, 2 if is_quick else 5)
    ratio = median_ratio(ours, theirs)
    rows = [Row(f"{MANY:,} peers programmed from nothing", f"{statistics.median(ours):.2f} s",
                f"{ratio:.2f} of `ip -batch` and `bridge -batch`, {statistics.median(theirs):.2f} s", "≤ 1", ratio <= 1,
                {"ours": ours, "batch": theirs}),
            Row("the same beside an `ip -batch` that spreads its routes over scopes as we do",
                f"{statistics.median(ours):.2f} s", f"{median_ratio(ours, spread):.2f} of {statistics.median(spread):.2f} s",
                values={"batch": spread})]
    for plane in PLANES:
        few = Node(lab, f"few-{plane}", plane)
        few.fill(FEW)
        if plane != "kernel":
            full.end()
            full = Node(lab, f"full-{plane}", plane)
            full.fill(MANY)
        rows += rows_of(plane, few, full)
        few.end()
    return rows

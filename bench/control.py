"""The control plane suite: one control plane on CPU 0, the load on CPU 1. Beside it, in the same
rounds: a bare libmicrohttpd server with a fixed reply, and etcd, where it is installed.

How etcd is asked: over its own gRPC, by a C client as lean as ours, one request in flight on each
connection; no TLS, no authentication, one member, its log on the same disk. Puts are single keys as
long as our record of a node (a registration of ours writes two records); leases are kept alive over
one stream a connection; a watch is one stream on a connection of its own, as each agent has one.

What the disk lets anybody do for one client is measured, too: a bare server that writes two pages,
flushes them and answers, with nothing of a database or a log.
"""
import json
import re
import shutil
import statistics
import sys
from pathlib import Path

from lab.program import cpu_ns, rss_mib
from lab.wait import wait_for
from plot import growth_svg
from report import Row, median_ratio

CONTROL_PORT, SMALL_PORT, LIST_PORT, FLUSH_PORT, ETCD_PORT = 8080, 9990, 9991, 9992, 2379
CLUSTER = "--cluster-cidr 10.0.0.0/8 --node-timeout 1h"
SERVER, LOAD = ["taskset", "-c", "0"], ["taskset", "-c", "1"]
NODES, CROWD, MANY = 254, 250, 10000
WATCHES_EACH = 16  # more streams a node may not have
GROWTH_SIZES = (250, 1000, 2500, 5000, 10000)
GROWTH_LIMIT = 1.3


class Bed:
    """A host with the servers on it, and the words to load them."""

    def __init__(self, lab, build, is_quick):
        self.host = lab.host("load")
        self.dir = lab.dir
        self.tools = Path(build) / "bench"
        self.rounds = 3 if is_quick else 7
        self.seconds = 1 if is_quick else 2
        self.changes = 50 if is_quick else 200
        self.number = 0
        self.has_etcd = bool(shutil.which("etcd")) and (self.tools / "etcd").exists()

    def progress(self, text):
        print(f"bench: control: {text}", file=sys.stderr, flush=True)

    def directory(self, what):
        self.number += 1
        directory = self.dir / f"{what}{self.number}"
        directory.mkdir()
        return directory

    def control(self, nodes=0, port=CONTROL_PORT, node_prefix=22, directory=None):
        """A control plane with an empty database, then filled."""
        directory = directory or self.directory("db")
        program = self.host.start(
            [*SERVER, "quilt-mesh-control", "--listen", f"127.0.0.1:{port}", "--log-level", "warn",
             "--db-path", f"{directory}/q.db", *CLUSTER.split(), "--node-prefix", str(node_prefix)], directory.name)
        self.wait_answers(port)
        if nodes:
            self.load("fill", nodes, port=port)
        return program

    def baseline(self, port, *words):
        program = self.host.start([*SERVER, str(self.tools / "baseline"), str(port), *words],
                                  f"baseline{port}")
        self.wait_answers(port)
        return program

    def etcd(self, nodes=0):
        directory = self.directory("etcd")
        urls = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PORT + 1}"
        program = self.host.start(
            [*SERVER, shutil.which("etcd"), "--data-dir", f"{directory}/data",
             "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
             "--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1],
             "--initial-cluster", f"default={urls[1]}", "--logger", "zap", "--log-level", "error"],
            directory.name)
        self.wait_answers(ETCD_PORT)
        if nodes:
            self.etcd_load("fill", nodes)
        return program

    def wait_answers(self, port):
        wait_for(lambda: self.host.run("curl", "-s", "-f", f"http://127.0.0.1:{port}/health",
                                       check=False).returncode == 0, 20, f"port {port} to answer")

    def _run(self, tool, *words, deadline_s=150):
        done = self.host.run(*LOAD, self.tools / tool, *words, deadline_s=deadline_s)
        result = json.loads(done.stdout)
        if result.get("failures"):
            raise RuntimeError(f"{tool} {words}: {result}")
        return result

    def load(self, what, *words, port=CONTROL_PORT, clients=64, seconds=None):
        return self._run("load", f"127.0.0.1:{port}", clients, seconds or self.seconds, what,
                         *words)

    def etcd_load(self, what, *words, clients=64):
        return self._run("etcd", f"127.0.0.1:{ETCD_PORT}", clients, self.seconds, what, *words)

    def storm(self, agents):
        return self._run("storm", f"127.0.0.1:{CONTROL_PORT}", agents)

    def crowd(self, watchers, changes, *identity):
        """Watchers of the control plane: what they measured, and the program that holds them."""
        return self._hold("crowd", [f"127.0.0.1:{CONTROL_PORT}", watchers, changes, *identity])

    def etcd_crowd(self, watchers, changes):
        return self._hold("etcd", [f"127.0.0.1:{ETCD_PORT}", watchers, changes, "watch"])

    def _hold(self, tool, words):
        self.number += 1
        program = self.host.start([*LOAD, str(self.tools / tool), *map(str, words)],
                                  f"{tool}-watch{self.number}")
        program.wait_log('"watchers"', 400)
        line = re.search(r"^\{.*\}$", program.log(), re.MULTILINE)[0]
        return json.loads(line), program

    def ids(self, port=CONTROL_PORT):
        listed = self.host.out("curl", "-s", f"http://127.0.0.1:{port}/api/nodes")
        path = self.dir / f"ids{port}"
        path.write_text("".join(f"{n['node_id']}\n" for n in json.loads(listed)["nodes"]))
        return path, len(listed)


class Series:
    """Rounds of one measurement, of a bare server and of etcd."""

    def __init__(self, what, bare_name="the bare server"):
        self.what, self.bare_name = what, bare_name
        self.ours, self.bare, self.etcd = [], [], []

    def add(self, ours, bare=None, etcd=None):
        self.ours.append(ours)
        if bare:
            self.bare.append(bare)
        if etcd:
            self.etcd.append(etcd)

    def row(self, wanted_bare=None, wanted_etcd=None):
        """Requests a second: more is better."""
        beside, wanted, kept, values = [], [], [], {"per_second": statistics.median(self.ours)}
        for name, others, least in ((self.bare_name, self.bare, wanted_bare),
                                    ("etcd", self.etcd, wanted_etcd)):
            if not others:
                if least and name == "etcd":
                    beside.append("etcd: not installed (tools/bootstrap bench)")
                continue
            ratio = median_ratio(self.ours, others)
            values[name] = {"per_second": statistics.median(others), "ratio": ratio}
            beside.append(f"{ratio:.2f} of {name}'s {statistics.median(others):,.0f}/s")
            if least:
                wanted.append(f"≥ {least} of {name}")
                kept.append(ratio >= least)
        return Row(self.what, f"{statistics.median(self.ours):,.0f}/s", "; ".join(beside),
                   "; ".join(wanted), all(kept) if kept else None, values)


def measure_memory(bed, count):
    """Resident memory with so many nodes and watchers, and when etcd has as many."""
    bed.progress(f"memory with {count} nodes and watchers")
    control = bed.control(count - 1)  # the crowd's own node is the last
    _, crowd = bed.crowd(count, 1)
    ours = rss_mib(control.pid)
    crowd.stop()
    control.stop()
    limit = 16 if count == NODES else 200
    row = Row(f"memory with {count:,} nodes and as many watchers", f"{ours:.1f} MiB",
              wanted=f"< {limit} MiB, below etcd's", is_met=ours < limit, values={"mib": ours})
    if bed.has_etcd:
        etcd = bed.etcd(count)
        _, crowd = bed.etcd_crowd(count, 1)
        theirs = rss_mib(etcd.pid)
        crowd.stop()
        etcd.kill()
        row.beside = f"etcd: {theirs:,.1f} MiB"
        row.is_met = row.is_met and ours < theirs
        row.values["etcd_mib"] = theirs
    return row


def measure_requests(bed):
    """Heartbeats and lists, all servers up, one loaded at a time."""
    control = bed.control(NODES - 1)
    _, crowd = bed.crowd(0, 0)
    crowd.stop()
    ids, list_bytes = bed.ids()
    servers = [control, bed.baseline(SMALL_PORT), bed.baseline(LIST_PORT, str(list_bytes))]
    if bed.has_etcd:
        servers.append(bed.etcd(NODES))
    beats = Series("heartbeats, 64 connections")
    lists = Series(f"list of {NODES} nodes ({list_bytes / 1000:.0f} kB), 64 connections")
    p50, p99 = [], []
    for number in range(bed.rounds):
        bed.progress(f"heartbeats and lists, round {number + 1} of {bed.rounds}")
        beats.add(bed.load("heartbeat", ids)["per_second"],
                  bed.load("heartbeat", ids, port=SMALL_PORT)["per_second"],
                  bed.has_etcd and bed.etcd_load("keepalive", NODES)["per_second"])
        lists.add(bed.load("list")["per_second"], bed.load("list", port=LIST_PORT)["per_second"],
                  bed.has_etcd and bed.etcd_load("range", NODES)["per_second"])
        _, crowd = bed.crowd(NODES, 0)
        beat = bed.load("heartbeat", ids)
        crowd.stop()
        p50.append(beat["p50_ms"])
        p99.append(beat["p99_ms"])
    for server in servers:
        server.kill()
    p99_ms = statistics.median(p99)
    return [beats.row(0.75, 4),
            Row(f"heartbeats with {NODES} watchers open: latency under full load",
                f"p99 {p99_ms:.2f} ms", f"p50 {statistics.median(p50):.2f} ms", "p99 < 5 ms",
                p99_ms < 5, {"p50_ms": statistics.median(p50), "p99_ms": p99_ms}),
            lists.row(0.7, 15)]


class Secure:
    """A control plane that speaks TLS, with so many nodes, and what others need to come over TLS."""

    def __init__(self, bed, nodes=0):
        self.host, self.directory = bed.host, bed.directory("tls")
        if nodes:
            bed.control(nodes, directory=self.directory).stop()
        self.control = self.host.start(
            [*SERVER, "quilt-mesh-control", "--listen", f"127.0.0.1:{CONTROL_PORT}", "--log-level", "warn",
             "--db-path", f"{self.directory}/q.db", "--tls", "auto", *CLUSTER.split(), "--node-prefix", "22"],
            f"{self.directory.name}-secure")
        self.ca = self.directory / "pki/ca-bundle.pem"
        wait_for(lambda: self._curl("health", check=False).returncode == 0, 20, "the control plane to answer")
        self.token = re.search(r"--token (\S+)", self.control.log())[1]
        self.server = self.directory / "pki/server.pem", self.directory / "pki/server-key.pem"
        self.key, request = self.directory / "key.pem", self.directory / "csr.pem"
        self.host.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", "/CN=bench", "-keyout", self.key, "-out", request)
        self.request = request.read_text()

    def _curl(self, path, *words, check=True):
        return self.host.run("curl", "-s", "-f", "--cacert", self.ca, *words,
                             f"https://127.0.0.1:{CONTROL_PORT}/{path}", check=check)

    def join(self, number):
        """One more node: files with its id and its certificate for our key."""
        address = f"192.168.{number // 200 + 1}.{number % 200 + 1}"
        wish = {"hostname": f"bench{number}", "host_ip": address, "csr": self.request}
        told = json.loads(self._curl("api/nodes/register", "-H", f"Authorization: Bearer {self.token}",
                                     "-d", json.dumps(wish)).stdout)
        ids, cert = self.directory / f"id{number}", self.directory / f"cert{number}.pem"
        ids.write_text(told["node_id"] + "\n")
        cert.write_text(told["certificate"])
        return ids, cert


def measure_tls(bed):
    """Heartbeats over TLS, with the node's certificate, beside a bare server with the same one of its own."""
    secure = Secure(bed)
    ids, cert = secure.join(0)
    bare = bed.host.start([*SERVER, str(bed.tools / "baseline"), str(SMALL_PORT), "0", *map(str, secure.server)], "bare")
    bare.wait_log("ready", 20)
    beats = Series("heartbeats over TLS, 64 connections")
    for number in range(bed.rounds):
        bed.progress(f"heartbeats over TLS, round {number + 1} of {bed.rounds}")
        words = "heartbeat", ids, cert, secure.key
        beats.add(bed.load(*words)["per_second"], bed.load(*words, port=SMALL_PORT)["per_second"])
    secure.control.kill()
    bare.kill()
    return [beats.row(0.7)]


def measure_tls_memory(bed, count):
    """As measure_memory(), but each watcher over TLS."""
    bed.progress(f"memory with {count} nodes and watchers over TLS")
    members = -(-count // WATCHES_EACH)
    secure = Secure(bed, count - members)
    certs = [secure.join(number)[1] for number in range(members)]
    _, crowd = bed.crowd(count, 0, secure.key, *certs)
    ours = rss_mib(secure.control.pid)
    crowd.stop()
    secure.control.kill()
    return Row(f"memory with {count:,} nodes and as many watchers over TLS", f"{ours:.1f} MiB", values={"mib": ours})


def measure_long_list(bed):
    """The list of a large cluster, all servers up, one loaded at a time."""
    control = bed.control(MANY)
    _, list_bytes = bed.ids()
    servers = [control, bed.baseline(LIST_PORT, str(list_bytes))]
    if bed.has_etcd:
        servers.append(bed.etcd(MANY))
    lists = Series(f"list of {MANY:,} nodes ({list_bytes / 1e6:.1f} MB), 8 connections")
    for number in range(bed.rounds):
        bed.progress(f"the long list, round {number + 1} of {bed.rounds}")
        lists.add(bed.load("list", clients=8)["per_second"],
                  bed.load("list", port=LIST_PORT, clients=8)["per_second"],
                  bed.has_etcd and bed.etcd_load("range", MANY, clients=8)["per_second"])
    for server in servers:
        server.kill()
    return [lists.row()]


def measure_writes(bed):
    """Registrations, each a new node on disk before its reply, beside puts."""
    cells = {n: Series(f"durable registrations, {n} client{'s' * (n > 1)}", "the flushing server")
             for n in (1, 64)}
    floor = Series("the flushing server: bare, writes two pages, flushes, answers; 1 client")
    etcd = bed.etcd() if bed.has_etcd else None
    bare = bed.baseline(FLUSH_PORT, "flush", str(bed.dir / "flushed"))
    for number in range(bed.rounds):
        bed.progress(f"durable writes, round {number + 1} of {bed.rounds}")
        for clients, cell in cells.items():
            control = bed.control(node_prefix=24)  # 65,534 subnets: more than a round can take
            ours = bed.load("register", clients=clients, seconds=1)["per_second"]
            control.kill()
            puts = etcd and bed.etcd_load("put", clients=clients)["per_second"]
            least = clients == 1 and bed.load("register", port=FLUSH_PORT, clients=1, seconds=1)["per_second"]
            cell.add(ours, least, puts)
            if least:
                floor.add(least, None, puts)
    bare.kill()
    if etcd:
        etcd.kill()
    return [cells[64].row(None, 1.5), cells[1].row(None, 2), floor.row()]


def measure_watches(bed):
    """From sending one change to its last watcher."""
    control = bed.control(NODES - 1)
    etcd = bed.etcd(NODES) if bed.has_etcd else None
    ours, theirs = [], []
    for number in range(bed.rounds):
        bed.progress(f"one change to {CROWD} watchers, round {number + 1} of {bed.rounds}")
        result, crowd = bed.crowd(CROWD, bed.changes)
        crowd.stop()
        ours.append(result)
        if etcd:
            result, crowd = bed.etcd_crowd(CROWD, bed.changes)
            crowd.stop()
            theirs.append(result)
    control.kill()
    last = statistics.median(r["last_p50_ms"] for r in ours)
    p99 = statistics.median(r["last_p99_ms"] for r in ours)
    row = Row(f"one change to {CROWD} watchers: until the last one has it",
              f"{last:.2f} ms, p99 {p99:.2f} ms",
              wanted="≤ 0.7 of etcd's; p99 < 10 ms", is_met=p99 < 10,
              values={"last_p50_ms": last, "last_p99_ms": p99})
    if etcd:
        etcd.kill()
        ratio = median_ratio(*([r["last_p50_ms"] for r in side] for side in (ours, theirs)))
        row.beside = (f"{ratio:.2f} of etcd's "
                      f"{statistics.median(r['last_p50_ms'] for r in theirs):.2f} ms")
        row.is_met = row.is_met and ratio <= 0.7
        row.values["etcd_ratio"] = ratio
    return [row, measure_many_watchers(bed)]


def measure_many_watchers(bed):
    bed.progress(f"one change to {MANY} watchers")
    control = bed.control(NODES - 1)
    result, crowd = bed.crowd(MANY, bed.changes // 4)
    crowd.stop()
    control.kill()
    last = result["last_p50_ms"]
    return Row(f"one change to {MANY:,} watchers: until the last one has it", f"{last:.0f} ms",
               f"p99 {result['last_p99_ms']:.0f} ms", "< 250 ms", last < 250,
               {"last_p50_ms": last, "last_p99_ms": result["last_p99_ms"]})


def measure_storm(bed):
    bed.progress(f"a storm of {MANY} agents")
    control = bed.control()
    result = bed.storm(MANY)
    control.kill()
    seconds, worst = result["seconds"], result["beat_worst_ms"]
    return Row(f"a storm of {MANY:,} agents that register and open streams", f"{seconds:.1f} s",
               f"{result['beats']:,} heartbeats meanwhile, p99 {result['beat_p99_ms']:.0f} ms, "
               f"worst {worst:.0f} ms", "< 30 s, no heartbeat over 1 s",
               seconds < 30 and worst < 1000, result)


def measure_growth(bed, plot_path):
    """CPU time of the control plane for one heartbeat and for one change, by size of the cluster."""
    bed.progress("growth: filling the clusters")
    ports = {size: CONTROL_PORT + number for number, size in enumerate(GROWTH_SIZES)}
    controls = {size: bed.control(size, port) for size, port in ports.items()}
    ids = {size: bed.ids(port)[0] for size, port in ports.items()}
    costs = {what: {size: [] for size in GROWTH_SIZES} for what in ("heartbeat", "change")}
    for number in range(bed.rounds):
        bed.progress(f"growth, round {number + 1} of {bed.rounds}")
        for what, cells in costs.items():
            for size, cell in cells.items():
                before = cpu_ns(controls[size].pid)
                result = bed.load(what, ids[size] if what == "heartbeat" else size,
                                  port=ports[size], seconds=1)
                cell.append((cpu_ns(controls[size].pid) - before) / result["replies"] / 1000)
    for control in controls.values():
        control.kill()
    rows, curves = [], {}
    for what, cells in costs.items():
        curves[f"a {what}"] = [median_ratio(cells[size], cells[GROWTH_SIZES[0]])
                               for size in GROWTH_SIZES]
        us = {size: statistics.median(cell) for size, cell in cells.items()}
        ratio = curves[f"a {what}"][-1]
        rows.append(Row(f"CPU time of a {what} at {MANY:,} nodes", f"{us[MANY]:.1f} µs",
                        f"{ratio:.2f} of the {us[GROWTH_SIZES[0]]:.1f} µs at {GROWTH_SIZES[0]}",
                        f"≤ {GROWTH_LIMIT}", ratio <= GROWTH_LIMIT, {"us": us, "ratio": ratio}))
    if plot_path:
        plot_path.write_text(growth_svg(
            f"Cost of one request, relative to that at {GROWTH_SIZES[0]} nodes", GROWTH_SIZES,
            curves, GROWTH_LIMIT))
    return rows


def measure(lab, build, is_quick, plot_path):
    bed = Bed(lab, build, is_quick)
    if not bed.has_etcd:
        bed.progress("etcd is not installed or its client not built (tools/bootstrap bench), so "
                     "nothing is compared to it")
    return [*measure_requests(bed), *measure_tls(bed), *measure_long_list(bed), *measure_writes(bed),
            *measure_watches(bed), measure_memory(bed, NODES), measure_memory(bed, MANY),
            measure_tls_memory(bed, MANY), measure_storm(bed), *measure_growth(bed, plot_path)]

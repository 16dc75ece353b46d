"""The data path suite: the same traffic over each way, one way right after the other, round by round.

All is measured by one small program (bench/traffic.c) whose ends are pinned, so that a row says how long
a way is in instructions and caches, and not where the scheduler puts things: both ends on CPU 0; four
streams are two on each CPU; datagrams are sent on CPU 0 and received on CPU 1. The hosts share one
kernel, and a packet is carried to its end by the CPU that sends it. So only ratios mean anything, and
nothing here is a network card. cubic at both ends; MTU 1500 on the underlay, whose veths pass packets of
up to 64 KB as they are, as a network card does that cuts them itself.
"""
import contextlib
import json
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab.place import Host
from lab.program import cpu_ns
from plot import bars_svg
from report import Row, median_ratio
from ways import Unavailable, all_ways

SECONDS = "1s"
HOST, FLANNEL, RULED = "host-to-host", "flannel-style", "flannel with its rules"
KERNEL, EBPF = "our kernel path", "our eBPF path"
BESIDE = {HOST: (), FLANNEL: (HOST,), KERNEL: (HOST, FLANNEL, RULED), EBPF: (HOST, FLANNEL, RULED)}

FIRST_PACKETS, FIRST_LIMIT_US = 9, 200
DISTURBED = 0.05
SERVERS = {7101: ("stream", 0), 7102: ("stream", 1), 7103: ("echo", 0), 7104: ("datagram", 1), 7105: ("connect", 0)}


@dataclass
class Run:
    """One run of the traffic program, from CPU 0."""
    kind: str
    port: int
    words: tuple = ()


ONE_STREAM, FOUR_STREAMS = Run("stream", 7101, ("1", "1")), Run("stream", 7101, ("4", "2"))
ECHO, DATAGRAM, CONNECT = Run("echo", 7103), Run("datagram", 7104), Run("connect", 7105)
RUNS = (ONE_STREAM, FOUR_STREAMS, ECHO, DATAGRAM, CONNECT)


@dataclass
class Cell:
    """What a run is asked for. flannel and host: the ratios that the eBPF path has to keep."""
    what: str
    run: Run
    figure: str
    unit: str
    flannel: float
    host: float | None = None
    is_more_better: bool = True
    extra: tuple = ()  # other figures worth keeping

    def limits_of(self, way):
        if way == KERNEL:
            return {FLANNEL: 1.0}
        if way == EBPF:
            return {FLANNEL: self.flannel} | ({HOST: self.host} if self.host else {})
        return {}

    def keeps(self, ratio, limit):
        return ratio >= limit if self.is_more_better else ratio <= limit


CELLS = (
    Cell("TCP, client and server on one CPU", ONE_STREAM, "gbit_per_second", "Gbit/s", 1.5, 0.75),
    Cell("TCP, 4 streams", FOUR_STREAMS, "gbit_per_second", "Gbit/s", 1.35, 0.78),
    Cell("CPU seconds a GB, 1 stream", ONE_STREAM, "cpu_seconds_per_gb", "s/GB", 0.7, None, False),
    Cell("request/response round trip, median", ECHO, "p50_us", "µs", 0.7, 1.18, False, ("p99_us",)),
    Cell("64-byte UDP packets a second", DATAGRAM, "per_second", "/s", 2.1, 0.8, extra=("sent", "received")),
    Cell("connect-request-close a second", CONNECT, "per_second", "/s", 1.5, 0.86),
)


def beside(way):
    """The ways that one is compared to."""
    return BESIDE.get(way, (HOST, FLANNEL))


def progress(text):
    print(f"bench: data: {text}", file=sys.stderr, flush=True)


def idle_seconds():
    return float(Path("/proc/uptime").read_text().split()[1])


class Meter:
    """CPU time of a run: of both programs, and of the kernel's threads that take over when there is
    much to do. Others on the machine do not count, but how busy they were is kept."""

    def __init__(self):
        self.kernel = [path.parent.name for path in Path("/proc").glob("[0-9]*/comm")
                       if path.read_text().startswith("ksoftirqd/")]
        self.others_s = self.all_s = 0.0

    def _ours(self, server):
        children = resource.getrusage(resource.RUSAGE_CHILDREN)  # the client, once it has ended
        return children.ru_utime + children.ru_stime + sum(map(cpu_ns, [*server, *self.kernel])) / 1e9

    def during(self, servers, measure):
        start, idle, ours = time.monotonic(), idle_seconds(), self._ours(servers)
        told = measure()
        ours = self._ours(servers) - ours
        machine = (time.monotonic() - start) * os.cpu_count()
        self.others_s += max(0.0, machine - (idle_seconds() - idle) - ours)
        self.all_s += machine
        return told, ours


class Bench:
    def __init__(self, build):
        self.build = build
        self.tool = str(Path(build) / "bench" / "traffic")
        self.meter = Meter()
        self.ways, self.notes, self.servers = [], [], {}

    def open(self, stack):
        """Draws the ways that can be gone here; notes say which cannot, and why."""
        for way in all_ways(self.build):
            stack.callback(way.close)
            try:
                progress(f"drawing {way.name}")
                way.set_up()
            except Unavailable as reason:
                self.notes.append(f"{way.name}: {reason}")
                continue
            self.ways.append(way)
            for port, (kind, cpu) in SERVERS.items():
                words = ["taskset", "-c", str(cpu), self.tool, "serve", kind, f"{way.target.ip}:{port}"]
                self.servers[way.name, port] = way.target.start(words, f"{kind}{port}").wait_log("ready")

    def run(self, way, run):
        """What the traffic program says, and what it cost."""
        words = "taskset", "-c", "0", self.tool, run.kind, f"{way.target.ip}:{run.port}", SECONDS, *run.words
        servers = [self.servers[way.name, port].pid for port, (kind, _) in SERVERS.items() if kind == run.kind]
        told, cpu_s = self.meter.during(servers, lambda: json.loads(way.source.out(*words)))
        if "bytes_from_start" in told:
            told["cpu_seconds_per_gb"] = cpu_s / told["bytes_from_start"] * 1e9
        return told

    def rounds(self, count):
        """run -> way -> what was said, round by round. Who is first changes from round to round, so that
        none is always the one that finds the caches cold."""
        told = {(run.kind, run.words): {way.name: [] for way in self.ways} for run in RUNS}
        for number in range(count):
            progress(f"round {number + 1} of {count}")
            first = number % len(self.ways)
            for run in RUNS:
                for way in self.ways[first:] + self.ways[:first]:
                    told[run.kind, run.words][way.name].append(self.run(way, run))
        share = self.meter.others_s / self.meter.all_s
        if share > DISTURBED:
            self.notes.append(f"a quiet machine: others took {share:.0%} of the CPUs meanwhile")
        return told

    def first_packets(self, way):
        """How much longer the first packet between two new containers takes than the second."""
        progress(f"first packets, {way.name}")
        more = []
        for _ in range(FIRST_PACKETS):
            source, target = way.fresh_pair()
            told = json.loads(source.out("taskset", "-c", "0", self.tool, "first", target.ip))
            more.append(told["first_us"] - told["second_us"])
        middle, is_ours = statistics.median(more), way.name in (KERNEL, EBPF)
        return Row(f"first packet between two new containers, minus the second: {way.name}", f"{middle:.0f} µs",
                   f"worst of {FIRST_PACKETS}: {max(more):.0f} µs", f"< {FIRST_LIMIT_US} µs" if is_ours else "",
                   middle < FIRST_LIMIT_US if is_ours else None, {"us": more})


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"q1": low, "median": middle, "q3": high}


def figure_text(cell, rounds):
    value = statistics.median(one[cell.figure] for one in rounds)
    if cell.unit == "/s":
        return f"{value:,.0f}/s"
    text = f"{value:.3f} {cell.unit}" if value < 1 else f"{value:.2f} {cell.unit}"
    if "p99_us" in cell.extra:
        text += f", p99 {statistics.median(one['p99_us'] for one in rounds):.1f} µs"
    return text


def row_of(cell, way, told):
    """One line: a figure of one way, beside the ways it is compared to."""
    mine = [one[cell.figure] for one in told[way]]
    values = {cell.figure: quartiles(mine),
              "per_round": {key: [one[key] for one in told[way]] for key in (cell.figure, *cell.extra)}}
    for other in beside(way):
        theirs = [one[cell.figure] for one in told[other]]
        values[other] = {"ratio": median_ratio(mine, theirs),
                         "quartiles": quartiles([a / b for a, b in zip(mine, theirs)])}
    limits = cell.limits_of(way)
    kept = [cell.keeps(values[other]["ratio"], limit) for other, limit in limits.items()]
    words = [f"{values[other]['ratio']:.2f} of {other}" for other in beside(way)]
    sign = "≥" if cell.is_more_better else "≤"
    return Row(f"{cell.what}: {way}", figure_text(cell, told[way]), "; ".join(words),
               "; ".join(f"{sign} {limit:g} of {other}" for other, limit in limits.items()),
               all(kept) if kept else None, values)


def ratios(rows_by_cell, way_names, other):
    """The table of the ratios to one way, as Markdown. rows_by_cell: in the order of the ways."""
    names = [name for name in way_names if other in beside(name)]
    lines = [f"| to {other} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for what, rows in rows_by_cell.items():
        shown = [f"{row.values[other]['ratio']:.2f}" for row in rows if other in row.values]
        lines.append(f"| {what} | {' | '.join(shown)} |")
    return "\n".join(lines)


def plot(rows_by_cell, way_names):
    """Each cell as bars relative to host-to-host; where less is better, the inverse."""
    groups = {}
    for cell in CELLS:
        ratios = [row.values[HOST]["ratio"] for row in rows_by_cell[cell.what][1:]]
        groups[cell.what] = [1.0, *(ratio if cell.is_more_better else 1 / ratio for ratio in ratios)]
    return bars_svg("Relative to host-to-host traffic; longer is better (times and costs: the inverse)",
                    way_names, groups)


def measure(build, rounds, plot_path):
    """The rows, the tables of ratios, and notes about what is missing."""
    with contextlib.ExitStack() as stack:
        bench = Bench(build)
        bench.open(stack)
        told = bench.rounds(rounds)
        by_cell = {cell.what: [row_of(cell, way.name, told[cell.run.kind, cell.run.words]) for way in bench.ways]
                   for cell in CELLS}
        first = [bench.first_packets(way) for way in bench.ways if not isinstance(way.source, Host)]
    names = [way.name for way in bench.ways]
    if plot_path:
        plot_path.write_text(plot(by_cell, names))
    tables = [ratios(by_cell, names, other) for other in (HOST, FLANNEL, RULED)]
    return [row for rows in by_cell.values() for row in rows] + first, tables, bench.notes

"""Traffic between containers, and what became of it."""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.program import find_tool

TRANSFER = Path(__file__).with_name("transfer.py")
FLOW_PORT = 7001
TRANSFER_PORT = 7002
FLOW_MIN_S = 1.0


def ping(source, address, count=1, deadline_s=2):
    """Whether all of the pings are answered."""
    return source.run("ping", "-n", "-q", "-i", "0.01", "-c", count, "-w", deadline_s, address,
                      check=False).returncode == 0


def ping_ms(source, address, count=20):
    """The median round trip in milliseconds."""
    text = source.out("ping", "-n", "-i", "0.01", "-c", count, "-w", 10, address)
    times = sorted(float(found) for found in re.findall(r"time=([\d.]+) ms", text))
    return times[len(times) // 2]


def ping_matrix(containers):
    """(from, to) -> answered, for all pairs, each with itself included. containers: with .ip."""
    pairs = [(a, b) for a in containers for b in containers]
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = pool.map(lambda pair: ping(pair[0], pair[1].ip), pairs)
        return {(a.name, b.name): answer for (a, b), answer in zip(pairs, answers)}


def transfer(source, target, size_bytes, deadline_s=300):
    """Sends random-looking bytes over TCP; returns seconds, after both ends' SHA-256 have been
    found equal and every byte has been counted."""
    python = find_tool("python3") if not Path("/usr/bin/python3").exists() else "/usr/bin/python3"
    sink = target.start([python, str(TRANSFER), "sink", target.ip, str(TRANSFER_PORT)],
                        f"sink-{target.name}")
    sink.wait_log("listening")
    done = source.run(python, TRANSFER, "send", target.ip, TRANSFER_PORT, size_bytes,
                      deadline_s=deadline_s)
    sink.wait_end(30)
    sent = json.loads(done.stdout)
    got = json.loads(sink.log().splitlines()[-1])
    if (sent["bytes"], sent["sha256"]) != (got["bytes"], got["sha256"]) \
            or sent["bytes"] != size_bytes:
        raise AssertionError(f"sent {sent}, arrived {got}")
    return sent["seconds"]


class Flow:
    """1,000 datagrams a second from one container to another while the block runs and for a second at
    least; then lost and longest_gap_ms say what became of them."""

    def __init__(self, source, target, per_second=1000, port=FLOW_PORT):
        self.source = source
        self.target = target
        self.per_second = per_second
        self.port = port
        self.flow = str(source.lab.build / "tests" / "lab" / "flow")

    def __enter__(self):
        name = f"{self.source.name}-{self.target.name}-{self.port}"
        self.receiver = self.target.start([self.flow, "recv", str(self.port)], f"recv-{name}")
        self.receiver.wait_log("receiving")
        self.sender = self.source.start(
            [self.flow, "send", self.target.ip, str(self.port), str(self.per_second)],
            f"send-{name}")
        self.sender.wait_log("sending")
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.sender.cease()
            self.receiver.cease()
            return
        # A flow of less than a second proves little.
        time.sleep(max(0.0, self.start + FLOW_MIN_S - time.monotonic()))
        self.sender.stop()
        self.receiver.stop()
        sent = json.loads(self.sender.log().splitlines()[-1])
        got = json.loads(self.receiver.log().splitlines()[-1])
        self.sent = sent["sent"]
        self.refused = sent["refused"]
        self.received = got["received"]
        self.duplicates = got["duplicates"]
        self.longest_gap_ms = got["longest_gap_ms"]
        self.lost = self.sent - self.received
        self.report = f"sent {sent}, got {got}"

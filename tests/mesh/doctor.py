"""What the tests of quiltctl doctor share: its report, and faults that are made and mended."""
import contextlib
import json
import time

from lab.wait import wait_for

WHOLE_S = 10  # what the doctor may take


def doctor(node, *options):
    begin = time.monotonic()
    done = node.run("quiltctl", "doctor", "-o", "json", *options, check=False)
    assert time.monotonic() - begin < WHOLE_S
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["healthy"] else 1), done.stderr
    return report


def causes(node):
    return [finding["cause"] for finding in doctor(node)["findings"]]


def wait_healthy(node):
    wait_for(lambda: not doctor(node)["findings"], 30,
             lambda: json.dumps(doctor(node), indent=1), 0.2)


@contextlib.contextmanager
def fault(node, make, mend):
    """Commands that break something and mend it; afterwards the node is healthy again."""
    try:
        for command in make:
            node.run(command)
        yield
    finally:
        for command in mend:
            node.run(command)
    wait_healthy(node)


def only_finding(node):
    report = doctor(node)
    assert len(report["findings"]) == 1, json.dumps(report, indent=1)
    return report["findings"][0]


def nft(node, *commands):
    for command in commands:
        node.net("nft", command)


@contextlib.contextmanager
def wall(node, *commands):
    """A firewall of another program."""
    try:
        nft(node, "add table inet lab_wall", *commands)
        yield
    finally:
        node.net("nft", "delete", "table", "inet", "lab_wall")
    wait_healthy(node)


def mac_of(node, name):
    return json.loads(node.net("ip", "-j", "link", "show", name).stdout)[0]["address"]


def index_of(node, name):
    return json.loads(node.net("ip", "-j", "link", "show", name).stdout)[0]["ifindex"]

"""What the operator sees when something breaks: one line a change of situation, a status that names
what is wrong, figures that Prometheus can read."""
import re
import time

import pytest

from lab.wait import wait_for

AWAY_S = 7  # long enough for the stream, the poll and the heartbeat to fail, each more than once
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(\{([a-z_]+="[^"\\]*",?)+\})? (-?[0-9.e+-]+)')


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2, control_options="--node-timeout 9s")


def status(node):
    return node.run("quiltctl", "status", check=False)


def wait_healthy(node):
    wait_for(lambda: status(node).returncode == 0, 20, lambda: status(node).stdout, 0.2)


def new_lines(agent, start, words):
    return [line for line in agent.log()[start:].splitlines() if f'msg="{words}' in line]


def test_status_names_the_peer_that_a_firewall_hides(mesh):
    node, peer = mesh.nodes
    wait_healthy(node)
    node.net("nft", "add table ip lab_wall; add chain ip lab_wall in "
             "{ type filter hook input priority -300; }; "
             "add rule ip lab_wall in udp dport 4789 drop")
    try:
        done = status(node)
    finally:
        node.net("nft", "delete", "table", "ip", "lab_wall")
    assert done.returncode == 1
    assert f"{peer.name} ({peer.ip}) does not answer over the overlay" in done.stdout
    assert "UDP 4789" in done.stdout
    wait_healthy(node)


def test_an_absent_control_plane_is_one_line_and_its_return_one_more(mesh):
    agents = list(mesh.agents.values())
    starts = [len(agent.log()) for agent in agents]
    mesh.control.kill()
    for agent, start in zip(agents, starts):
        wait_for(lambda a=agent, s=start: new_lines(a, s, "the control plane is away"), 20,
                 "the absence to be told")
    time.sleep(AWAY_S)  # for lines that should not come
    assert status(mesh.nodes[1]).returncode == 1
    mesh.control.start().wait_ready()
    for agent, start in zip(agents, starts):
        wait_for(lambda a=agent, s=start: new_lines(a, s, "the control plane is back"), 20,
                 "the return to be told")
        assert len(new_lines(agent, start, "the control plane is away")) == 1
        assert len(new_lines(agent, start, "the control plane is back")) == 1
    for node in mesh.nodes:
        wait_healthy(node)


@pytest.mark.parametrize("url", ["http://192.168.1.10:8080", "http://127.0.0.1:9180",
                                 "http://127.0.0.1:9181"])
def test_every_line_of_the_metrics_is_a_sample_of_a_declared_family(mesh, url):
    text = mesh.nodes[0].out("curl", "-sSf", "-m", "5", f"{url}/metrics")
    assert text.endswith("\n")
    types, samples = {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            assert len(line.split(" ", 3)) == 4, line
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"declared twice: {name}"
            assert (kind == "counter") == name.endswith("_total"), line
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = match[1]
            family = name if name in types else re.sub("_(bucket|sum|count)$", "", name)
            assert family in types, f"not declared: {line}"
            series = line.rsplit(" ", 1)[0]
            assert series not in samples, f"twice: {series}"
            samples.add(series)
    assert len(samples) > 10

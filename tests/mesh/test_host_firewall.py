"""A host whose own firewall drops what it does not know, with the rules that README gives for it."""
import contextlib
import re
from pathlib import Path

import pytest
from doctor import only_finding, wait_healthy

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
ECHO_RULE = "iifname vxlan100 icmp type echo-request accept"


@pytest.fixture(scope="module")
def mesh(module_bed):
    mesh = module_bed.mesh(hosts=2)
    wait_healthy(mesh.nodes[0])
    return mesh


def rules_of_readme():
    section = README.split("### Firewall\n")[1].split("\n##")[0]
    return re.findall(r"^    nft (add rule inet filter .*)$", section, re.MULTILINE)


@contextlib.contextmanager
def strict(nodes, rules):
    """Chains that drop, and what an administrator has in them besides."""
    try:
        for node in nodes:
            node.net("nft", "add table inet filter; "
                     "add chain inet filter input { type filter hook input priority 0; policy drop; }; "
                     "add chain inet filter forward { type filter hook forward priority 0; policy drop; }; "
                     "add rule inet filter input iifname lo accept; "
                     "add rule inet filter input ct state established,related accept; " + "; ".join(rules))
        yield
    finally:
        for node in nodes:
            node.net("nft", "delete", "table", "inet", "filter", check=False)
    for node in nodes:
        wait_healthy(node)


def test_the_rules_of_readme_let_the_mesh_work_and_keep_it_healthy(mesh):
    here, there = mesh.containers
    with strict(mesh.nodes, rules_of_readme()):
        for node in mesh.nodes:
            wait_healthy(node)
            assert "This node is healthy." in node.run("quiltctl", "status").stdout
        here.run("ping", "-c1", "-W2", there.ip)


def test_rules_that_forget_the_pings_out_of_the_overlay_are_named_where_they_are(mesh):
    first, other = mesh.nodes
    forgetful = [rule for rule in rules_of_readme() if ECHO_RULE not in rule]
    with strict([other], forgetful):
        found = only_finding(other)
        assert (found["cause"], found["severity"]) == ("pings-dropped-here", "warning")
        assert "inet filter" in found["what"]
        # From afar: its answers do not come, though those to the agent's probes, which were there before, may.
        found_afar = only_finding(first)
        assert found_afar["cause"] == "vxlan-lost" and "pings in from vxlan100" in found_afar["mend"]
        other.run("sh", "-c", found["mend"])
        wait_healthy(other)
        wait_healthy(first)


def test_peers_that_are_silent_for_the_same_rules_are_told_with_them(mesh):
    forgetful = [rule for rule in rules_of_readme() if ECHO_RULE not in rule]
    with strict(mesh.nodes, forgetful):
        found = only_finding(mesh.nodes[0])
        assert (found["cause"], found["severity"]) == ("pings-dropped-here", "error")
        assert "node2 (192.168.1.11)" in found["shows"] and "on the hosts that are silent" in found["mend"]

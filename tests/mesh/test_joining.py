"""A fourth host joins: how long until the others have its route."""
import re
from datetime import datetime, timezone

from lab.bed import RELEASE
from lab.traffic import ping
from lab.wait import wait_for

STREAM_LIMIT_MS = 100
POLL_LIMIT_MS = 6000
PROXY_PORT = 8081


class RouteClock:
    """When each of the hosts got its route to a subnet, by the kernel's own notifications."""

    def __init__(self, nodes):
        self.monitors = [node.start(["ip", "-ts", "-4", "monitor", "route"], "route-clock")
                         for node in nodes]
        self.nodes = nodes
        for node, monitor in zip(nodes, self.monitors):
            wait_for(lambda node=node, monitor=monitor: self._hears(node, monitor), 5,
                     "ip monitor to listen", 0.05)

    @staticmethod
    def _hears(node, monitor):
        node.net("ip", "route", "add", "blackhole", "203.0.113.99/32")
        node.net("ip", "route", "del", "blackhole", "203.0.113.99/32")
        return "203.0.113.99" in monitor.log()

    def last_seen(self, subnet, deadline_s):
        """Seconds since 1970 at which the last host had the route."""
        wait_for(lambda: all(self._seen_at(m, subnet) for m in self.monitors), deadline_s,
                 f"all hosts to have a route to {subnet}")
        return max(self._seen_at(monitor, subnet) for monitor in self.monitors)

    @staticmethod
    def _seen_at(monitor, subnet):
        found = re.search(rf"^\[(\S+)\] ?{re.escape(subnet)} via", monitor.log(), re.MULTILINE)
        return datetime.fromisoformat(found[1]).timestamp() if found else None


def registered_at(agent):
    """When the agent logged that it has its register reply."""
    found = re.search(r"^time=(\S+)Z level=info msg=\"?registered\b", agent.log(), re.MULTILINE)
    assert found, f"the agent never said that it has registered:\n{agent.log_tail()}"
    return datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc).timestamp()


def join_ms(mesh, limit_ms):
    """Milliseconds from the register reply of one more host to the last host's route to it."""
    others = list(mesh.nodes)
    clock = RouteClock(others)
    newcomer = mesh.add_host()
    mesh.start_node(newcomer)
    subnet = f"10.42.{len(mesh.nodes)}.0/24"
    at = clock.last_seen(subnet, limit_ms / 1000 + 5)
    mesh.wait_joined(deadline_s=limit_ms / 1000 + 5)
    container = mesh.add_container(newcomer)
    assert all(ping(container, peer.ip) for peer in mesh.containers)
    return (at - registered_at(mesh.agents[newcomer.name])) * 1000


def test_the_others_have_a_newcomers_route_within_100_ms_of_its_register_reply(bed):
    mesh = bed.mesh(build=RELEASE)
    assert join_ms(mesh, STREAM_LIMIT_MS) < STREAM_LIMIT_MS


def test_without_a_stream_the_others_have_a_newcomers_route_within_6_s(bed):
    mesh = bed.mesh(is_started=False)
    mesh.start_control()
    proxy = mesh.nodes[0].start(
        ["/usr/bin/python3", "-B", str(mesh.lab.tool("proxy.py")), mesh.nodes[0].ip,
         str(PROXY_PORT), mesh.control_url], "proxy").wait_log("listening")
    mesh.control_url = f"http://{mesh.nodes[0].ip}:{PROXY_PORT}"
    for node in mesh.nodes:
        mesh.start_node(node)
    mesh.wait_joined()
    for node in mesh.nodes:
        mesh.add_container(node)
    assert join_ms(mesh, POLL_LIMIT_MS) < POLL_LIMIT_MS
    assert '" 406 ' in proxy.log(), "no agent has even asked for the stream"

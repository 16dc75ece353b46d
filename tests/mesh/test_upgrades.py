"""Agent and runtime end in every way and come back, also as another build with other programs for the
fast path: of 1,000 packets a second none is lost, and no TCP flow breaks."""
import json
import os
import signal
import time

import pytest

from lab.traffic import Flow
from lab.wait import wait_for

IS_FULL = bool(os.environ.get("QUILT_TEST_FULL"))
# The promise is of 30,000 packets.
FLOW_S = 30 if IS_FULL else 3
EXCHANGES_MIN = 20 * FLOW_S
STEADY_PORT = 7020
PROGRAM_PINS = ("from_container", "to_container")


@pytest.fixture(scope="module", params=["kernel", "ebpf"])
def mesh(module_bed, request):
    mesh = module_bed.mesh(hosts=2, agent_options=f"--dataplane {request.param}")
    mesh.dataplane = request.param
    mesh.release = mesh.agents["node1"].argv[0]
    mesh.following = str(mesh.lab.build / "tests" / "lab" / "next" / "quilt-mesh-agent-next")
    return mesh


class Steady:
    """A TCP connection that is in use while the block runs."""

    def __init__(self, source, target):
        words = ["/usr/bin/python3", "-B", str(source.lab.tool("steady.py"))]
        self.echo = target.start([*words, "echo", target.ip, str(STEADY_PORT)], "steady-echo").wait_log("listening")
        self.talk = source.start([*words, "talk", target.ip, str(STEADY_PORT)], "steady-talk").wait_log("talking")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.talk.cease()
            self.echo.cease()
            return
        assert self.talk.stop() == 0, self.talk.log_tail()
        assert self.echo.wait_end() == 0, self.echo.log_tail()
        self.said = json.loads(self.talk.log().splitlines()[-1])


def come_back(mesh, daemon, how):
    daemon.signal(how)
    assert daemon.wait_end(5) == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    daemon.start().wait_ready()
    mesh.wait_settled()


def restart(kind, how):
    def act(mesh):
        for daemon in getattr(mesh, kind).values():
            come_back(mesh, daemon, how)
    return act


def programs(node):
    """The ids of the fast path's programs that are pinned."""
    (layout,) = node.out("ls", "/sys/fs/bpf/quilt").split()
    return [json.loads(node.out("/usr/sbin/bpftool", "-j", "prog", "show", "pinned",
                                f"/sys/fs/bpf/quilt/{layout}/{pin}"))["tag"] for pin in PROGRAM_PINS]


def change_build(mesh):
    """Every agent is replaced by one of the other build, and the runtimes start anew."""
    for node in mesh.nodes:
        agent = mesh.agents[node.name]
        before = programs(node) if mesh.dataplane == "ebpf" else None
        agent.argv[0] = mesh.following if agent.argv[0] == mesh.release else mesh.release
        come_back(mesh, agent, signal.SIGTERM)
        come_back(mesh, mesh.runtimes[node.name], signal.SIGTERM)
        if before:
            wait_for(lambda node=node, before=before: not set(before) & set(programs(node)), 5, "other programs")


EVENTS = {"agents stop and start": restart("agents", signal.SIGTERM),
          "agents are killed": restart("agents", signal.SIGKILL),
          "runtimes stop and start": restart("runtimes", signal.SIGTERM),
          "runtimes are killed": restart("runtimes", signal.SIGKILL),
          "another build and back": change_build}


@pytest.mark.parametrize("event", EVENTS)
def test_no_packet_is_lost_and_no_flow_breaks_when(mesh, event):
    first, second = mesh.containers
    times = 0
    with Steady(first, second) as steady, Flow(first, second) as there, Flow(second, first, port=7011) as back:
        end = time.monotonic() + FLOW_S
        while times < 2 or time.monotonic() < end:
            EVENTS[event](mesh)
            times += 1
    print(f"{times} times, {there.sent} and {back.sent} packets, {there.lost} and {back.lost} lost, "
          f"longest gaps {there.longest_gap_ms} and {back.longest_gap_ms} ms; TCP: {steady.said}")
    for flow in (there, back):
        assert flow.sent > 900 * FLOW_S
        assert (flow.lost, flow.refused) == (0, 0), flow.report
    assert steady.said["exchanges"] > EXCHANGES_MIN

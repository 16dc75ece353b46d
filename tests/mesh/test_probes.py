"""The agents probe each other: who is dead is down in 5 s, who only looks so is not."""
import json
import os
import re
import signal
import time

from lab.wait import seconds_until, wait_for

IS_FULL = bool(os.environ.get("QUILT_TEST_FULL"))
# The promise is 5 minutes; every run keeps it for half of one.
TROUBLE_S = 300 if IS_FULL else 30
STOPPED_S = 8
DOWN_LIMIT_S = 5
LOSS_PERCENT = 30


def statuses(mesh):
    return {name: node["status"] for name, node in mesh.listed().items()}


def downs(mesh):
    """How often a node was ever marked down: nothing is missed between two looks."""
    text = mesh.nodes[0].out("curl", "-sS", f"{mesh.control_url}/metrics")
    return int(re.search(r"^quilt_control_downs_total (\d+)", text, re.MULTILINE)[1])


def status_of(node):
    return json.loads(node.out("curl", "-sS", "http://127.0.0.1:9180/status"))


def probes_of(node):
    return {peer["hostname"]: peer["probe"] for peer in status_of(node)["peers"]}


def wait_watched(mesh):
    """Until every agent reaches every other one, on both paths."""
    def is_so():
        return all(probe and probe["state"] == "reached" and probe.get("underlay_us") and
                   probe.get("overlay_us") for node in mesh.nodes
                   for probe in probes_of(node).values())
    wait_for(is_so, 20, lambda: str({node.name: probes_of(node) for node in mesh.nodes}))


def test_a_dead_host_is_down_within_5_s(bed):
    mesh = bed.mesh(hosts=4)
    wait_watched(mesh)
    lost = mesh.nodes[3]
    lost.set_cable(False)
    took_s = seconds_until(lambda: statuses(mesh)[lost.name] == "down", 2 * DOWN_LIMIT_S,
                           lambda: "the dead host to be down" + mesh.control.log_tail(20))
    print(f"down after {took_s:.2f} s")
    assert took_s < DOWN_LIMIT_S
    assert set(statuses(mesh).values()) == {"up", "down"} and downs(mesh) == 1
    assert any(f"silent_hosts={lost.ip}" in mesh.agents[node.name].log() for node in mesh.nodes[:3])


def lose_packets(node, percent):
    """Of all that comes in from other hosts, at random."""
    node.net("nft", "add table inet loss")
    node.net("nft", "add chain inet loss input { type filter hook prerouting priority -400; }")
    node.net("nft", f"add rule inet loss input iifname eth0 numgen random mod 100 < {percent} drop")


def test_neither_a_stopped_agent_nor_loss_nor_busy_processors_are_deaths(bed):
    mesh = bed.mesh(hosts=4)
    wait_watched(mesh)
    burners = [mesh.nodes[0].start(["sh", "-c", "while :; do :; done"], f"burner{number}")
               for number in range(os.cpu_count())]
    for node in mesh.nodes:
        lose_packets(node, LOSS_PERCENT)
    end = time.monotonic() + TROUBLE_S
    stopped = 0
    while time.monotonic() < end:
        agent = mesh.agents[mesh.nodes[stopped % len(mesh.nodes)].name]
        agent.signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        agent.signal(signal.SIGCONT)
        time.sleep(1)
        stopped += 1
    for burner in burners:
        burner.cease()
    for node in mesh.nodes:
        node.net("nft", "delete table inet loss")
    print(f"{stopped} agents stopped for {STOPPED_S} s each in {TROUBLE_S} s")
    assert downs(mesh) == 0 and set(statuses(mesh).values()) == {"up"}


def test_a_node_whose_agent_is_dead_is_kept_and_shown_as_unknown(bed):
    mesh = bed.mesh(hosts=3, control_options="--node-timeout 4s")
    wait_watched(mesh)
    silent = mesh.nodes[2]
    mesh.agents[silent.name].kill()
    wait_for(lambda: mesh.listed()[silent.name].get("unknown"), 10,
             "the node without an agent to be unknown")
    time.sleep(4)
    assert statuses(mesh)[silent.name] == "up" and downs(mesh) == 0
    assert mesh.has_full_routes()
    silent.set_cable(False)
    wait_for(lambda: statuses(mesh)[silent.name] == "down", 10, "the node that died to be down")
    silent.set_cable(True)
    mesh.start_agent(silent)


def beat(mesh, node_id, probes):
    body = json.dumps({"probes": probes})
    mesh.nodes[0].out("curl", "-sS", "-f", "-d", body,
                      f"{mesh.control_url}/api/nodes/{node_id}/heartbeat")


def test_one_liar_brings_nobody_down(bed):
    mesh = bed.mesh(hosts=3)
    wait_watched(mesh)
    liar = mesh.register("liar", "192.168.1.200")["node_id"]
    honest = {name: node["node_id"] for name, node in mesh.listed().items() if name != "liar"}
    lies = [{"node_id": node_id, "watched": True, "silent_ms": 3000,
             "state": "lost" if name == "node3" else "reached"} for name, node_id in honest.items()]
    end = time.monotonic() + 2 * DOWN_LIMIT_S
    while time.monotonic() < end:
        beat(mesh, liar, lies)
        time.sleep(0.5)
    assert downs(mesh) == 0 and set(statuses(mesh).values()) == {"up"}
    shown = [cell for cell in mesh.get("/api/mesh")["probes"] if cell["from"] == liar]
    assert {cell["probe"]["state"] for cell in shown} == {"lost", "reached"}


def udp_answers(node, payloads, target, source_port):
    """What comes back to a program that sends these bytes."""
    program = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", {source_port}))
s.settimeout(0.25)
for payload in {payloads!r}:
    s.sendto(payload, ({target!r}, 9180))
    try:
        answer = s.recv(2048)
        while answer[4] == 1:  # the agent probes this host, too
            answer = s.recv(2048)
        print(len(answer))
    except TimeoutError:
        print(0)
"""
    return [int(line) for line in node.out("/usr/bin/python3", "-c", program).split()]


def test_the_responder_answers_probes_of_peers_only_and_nothing_that_is_larger(bed):
    mesh = bed.mesh(hosts=2, is_started=False)
    stranger = mesh.lab.host("stranger", "192.168.1.99")
    mesh.start_control()
    mesh.start_node(mesh.nodes[0])
    mesh.start_runtime(mesh.nodes[1])
    request = b"QMP\x01\x01\x00\x00\x2c" + b"12345678"
    garbage = [b"", b"QMP", request[:15], b"X" + request[1:], b"QMP\x01\x02" + request[5:],
               b"QMP\x01\x03" + request[5:], bytes(1400)]
    target = mesh.nodes[0].ip
    assert udp_answers(stranger, [request], target, 9180) == [0]
    mesh.register("played", mesh.nodes[1].ip)
    wait_for(lambda: udp_answers(mesh.nodes[1], [request], target, 9180) == [len(request)], 10,
             "a peer's probe to be answered")
    assert udp_answers(mesh.nodes[1], [request + bytes(1000)], target, 9180) == [len(request)]
    assert udp_answers(mesh.nodes[1], [request], target, 9181) == [0]
    assert not any(udp_answers(mesh.nodes[1], garbage, target, 9180))
    assert mesh.agents[mesh.nodes[0].name].is_alive()


def test_quiltctl_mesh_shows_every_way_and_what_is_wrong_with_it(bed):
    mesh = bed.mesh(hosts=3)
    wait_watched(mesh)
    first, *_, last = mesh.nodes
    control = ("--control-plane", mesh.control_url)

    def is_whole():
        text = first.out("quiltctl", *control, "mesh")
        return "as it should be" in text and len(re.findall(r"\d+\.\d+ms", text)) == 6
    # A busy machine may lose a packet or two, which is told until others have followed.
    wait_for(is_whole, 90, lambda: first.out("quiltctl", *control, "mesh", "-o", "wide"))

    last.net("nft", "add table inet hole")
    last.net("nft", "add chain inet hole input { type filter hook prerouting priority -400; }")
    last.net("nft", "add rule inet hole input udp dport 4789 drop")
    wait_for(lambda: "no overlay" in first.out("quiltctl", *control, "mesh"), 90,
             lambda: first.out("quiltctl", *control, "mesh", "-o", "wide"), interval_s=1)
    last.net("nft", "delete table inet hole")

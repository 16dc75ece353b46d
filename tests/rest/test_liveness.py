"""Who is up and who is down, on a clock that is compressed by --node-timeout."""
import signal
import threading
import time

import pytest
from lab.wait import wait_for
from plane import problem

TIMEOUT_S = 1.5


@pytest.fixture
def quick(make_plane):
    return make_plane("--node-timeout", f"{int(TIMEOUT_S * 1000)}ms").start()


class Beats(threading.Thread):
    """Keeps some nodes alive until the end of the with block."""

    def __init__(self, plane, node_ids):
        super().__init__()
        self.plane, self.node_ids = plane, node_ids
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.wait(TIMEOUT_S / 10):
            for node_id in list(self.node_ids):
                self.plane.beat(node_id)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.join()


def wait_status(plane, node_id, status, deadline_s=TIMEOUT_S * 4):
    wait_for(lambda: plane.status_of(node_id) == status, deadline_s, f"{node_id} to be {status}")


def test_the_intervals_follow_the_timeout(quick):
    reply = quick.join(1)
    assert (reply["heartbeat_interval_ms"], reply["node_timeout_ms"],
            reply["peer_sync_interval_ms"]) == (500, 1500, 250)


def test_a_silent_node_is_down_and_a_beat_brings_it_back(quick):
    node_id = quick.join(1)["node_id"]
    began = time.monotonic()
    wait_status(quick, node_id, "down")
    assert TIMEOUT_S <= time.monotonic() - began < TIMEOUT_S + 2
    assert quick.beat(node_id) == 200
    wait_status(quick, node_id, "up", 2)
    wait_status(quick, node_id, "down")


def test_a_node_that_beats_stays_up(quick):
    ids = [quick.join(number)["node_id"] for number in range(5)]
    with Beats(quick, ids[1:]):
        wait_status(quick, ids[0], "down")
        time.sleep(TIMEOUT_S)
        assert [node["status"] for node in quick.nodes()] == ["down"] + ["up"] * 4


def test_who_comes_to_a_down_nodes_address_is_that_node(quick):
    one = quick.join(1)
    wait_status(quick, one["node_id"], "down")
    again = quick.join(1, hostname="renamed")
    assert (again["node_id"], again["subnet"]) == (one["node_id"], one["subnet"])
    assert again["node_token"] != one["node_token"]
    old = {"node_id": one["node_id"], "node_token": one["node_token"]}
    problem(quick.register(1, **old), 409, "node_token")


def test_a_deleted_nodes_subnet_comes_back_after_the_quarantine(quick):
    node_id = quick.join(1)["node_id"]
    quick.ask("DELETE", f"/api/nodes/{node_id}")
    assert quick.metric('quilt_control_subnets{state="quarantined"}') == 1
    assert quick.join(2)["subnet"] == "10.42.2.0/24"
    wait_for(lambda: quick.metric('quilt_control_subnets{state="quarantined"}') == 0,
             TIMEOUT_S * 4, "the quarantine to end")
    assert quick.join(3)["subnet"] == "10.42.1.0/24"


def test_a_quarantine_waits_for_a_live_node_that_has_not_applied_the_deletion(quick):
    keeper, gone = quick.join(1), quick.join(2)
    path = f"/api/nodes/{keeper['node_id']}/heartbeat"
    quarantined = 'quilt_control_subnets{state="quarantined"}'
    quick.ask("DELETE", f"/api/nodes/{gone['node_id']}")
    end = time.monotonic() + TIMEOUT_S * 4
    while time.monotonic() < end:
        assert quick.ask("POST", path, {"revision_applied": gone["revision"]}).status == 200
        assert quick.metric(quarantined) == 1
        time.sleep(TIMEOUT_S / 5)
    revision = quick.ask("POST", path, {"revision_applied": gone["revision"] + 1}).json()["revision"]
    assert revision == gone["revision"] + 1
    wait_for(lambda: quick.metric(quarantined) == 0, TIMEOUT_S, "the quarantine to end")


def test_a_node_that_keeps_falling_silent_is_told_of_and_comes_back_each_time(quick):
    node_id = quick.join(1)["node_id"]
    for _ in range(3):
        wait_status(quick, node_id, "down")
        assert quick.beat(node_id) == 200
        wait_status(quick, node_id, "up", 2)
    assert quick.log().count("a node keeps falling silent") == 1
    assert quick.metric("quilt_control_downs_total") == 3


def test_many_that_fall_silent_together_are_doubted(quick):
    ids = [quick.join(number)["node_id"] for number in range(6)]
    alive = ids[3:]
    with Beats(quick, alive):
        wait_for(lambda: quick.metric("quilt_control_doubt") == 1, TIMEOUT_S * 4, "doubt")
        assert {node["status"] for node in quick.nodes()} == {"up"}
        ready = quick.ask("GET", "/readyz").json()
        assert ready["doubt"] is True and "marks nobody down" in ready["detail"]
        assert [node.get("unknown", False) for node in quick.nodes()] == [True] * 3 + [False] * 3
        assert ready["nodes_unknown"] == quick.metric("quilt_control_nodes_unknown") == 3
        time.sleep(TIMEOUT_S)
        assert {node["status"] for node in quick.nodes()} == {"up"}
        alive += ids[1:3]  # now only one is silent
        wait_status(quick, ids[0], "down")
        assert quick.metric("quilt_control_doubt") == 0
    assert quick.log().count("nobody is marked down") == 1


def test_a_restart_gives_everybody_a_full_timeout(quick):
    ids = [quick.join(number)["node_id"] for number in range(2)]
    quick.stop()
    time.sleep(TIMEOUT_S * 1.5)
    quick.start()
    began = time.monotonic()
    assert [node["status"] for node in quick.nodes()] == ["up", "up"]
    assert [node["unknown"] for node in quick.nodes()] == [True, True]
    assert [node["last_heartbeat_or_later"] for node in quick.nodes()] == [True, True]
    assert quick.beat(ids[1]) == 200
    assert not {"unknown", "last_heartbeat_or_later"} & quick.ask("GET", f"/api/nodes/{ids[1]}").json().keys()
    wait_status(quick, ids[0], "down")
    silent = quick.ask("GET", f"/api/nodes/{ids[0]}").json()
    assert "unknown" not in silent and silent["last_heartbeat_or_later"]
    assert time.monotonic() - began >= TIMEOUT_S - 0.2


def test_a_control_plane_that_was_stopped_blames_nobody(quick):
    ids = [quick.join(number)["node_id"] for number in range(2)]
    quick.process.send_signal(signal.SIGSTOP)
    time.sleep(TIMEOUT_S * 2)
    quick.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "was held up" in quick.log(), 5, "the absence to be noticed")
    assert [node["status"] for node in quick.nodes()] == ["up", "up"]
    assert [quick.beat(node_id) for node_id in ids] == [200, 200]

"""quiltctl as a person or a script meets it: words in, words and exit codes out. Here: the control plane, and the
node's status."""
import json
import socket
import struct
import subprocess
import threading
import time

import pytest
from played import (  # noqa: F401 (fixtures)
    ID1, ID2, NOBODY, QUILTCTL, failed, fixture_agent, fixture_control, fixture_runtime, misused,
    node, play_nodes, run)

# ---- nodes -----------------------------------------------------------------------------------------

def test_nodes_are_listed_in_a_table(control):
    play_nodes(control, node(ID1, "node1", 1), node(ID2, "node2", 2, "down"))
    result = run("node", "ls", control=control)
    assert result.returncode == 0
    lines = [line.split(None, 4) for line in result.stdout.splitlines()]
    assert lines[0] == ["HOSTNAME", "STATUS", "HOST-IP", "SUBNET", "LAST-SEEN"]
    assert lines[1][:4] == ["node1", "up", "192.168.1.11", "10.42.1.0/24"]
    assert lines[1][4] in ("12s ago", "13s ago", "14s ago")
    assert lines[2][:4] == ["node2", "down", "192.168.1.12", "10.42.2.0/24"]


def test_a_node_that_has_not_been_heard_is_shown_as_unknown(control):
    play_nodes(control, node(ID1, "node1", 1, unknown=True), node(ID2, "node2", 2, "down", unknown=True))
    lines = run("node", "ls", control=control).stdout.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["unknown", "down"]


def test_a_node_not_heard_since_the_control_planes_start_is_not_said_to_be_silent_for_long(control):
    began = int(time.time()) - 3 * 24 * 3600
    play_nodes(control, node(ID1, "node1", 1, unknown=True, last_heartbeat=began, last_heartbeat_or_later=True),
               node(ID2, "node2", 2, last_heartbeat=began))
    lines = run("node", "ls", control=control).stdout.splitlines()
    assert [line.split(None, 4)[4] for line in lines[1:]] == ["3d ago or later", "3d ago"]


def test_wide_shows_the_rest(control):
    play_nodes(control, node(ID1, "node1", 1))
    header, row = run("node", "ls", "-o", "wide", control=control).stdout.splitlines()
    assert header.split() == ["HOSTNAME", "STATUS", "HOST-IP", "SUBNET", "LAST-SEEN", "CPUS", "RAM", "REGISTERED",
                              "NODE-ID"]
    assert row.endswith(f"-     2048 MiB  2h ago      {ID1}")


def test_json_is_what_the_control_plane_said(control):
    nodes = [node(ID1, "node1", 1, new_field={"x": 1})]
    play_nodes(control, *nodes)
    result = run("node", "ls", "-o", "json", control=control)
    assert json.loads(result.stdout) == nodes


def test_an_empty_list_is_a_header_or_an_empty_array(control):
    play_nodes(control)
    assert run("node", "ls", control=control).stdout == "HOSTNAME  STATUS  HOST-IP  SUBNET  LAST-SEEN\n"
    assert json.loads(run("node", "ls", "--output=json", control=control).stdout) == []


def test_a_hostile_name_cannot_paint_the_terminal(control):
    play_nodes(control, node(ID1, "x\x1b[2J\u202e\n", 1))
    result = run("node", "show", ID1, control=control)
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout
    assert "x\\u001b[2J\\u202e\\u000a" in result.stdout
    assert "\x1b" not in run("node", "ls", "-o", "json", control=control).stdout


def test_nor_can_what_is_given_for_a_token(control):
    made = {"id": "aaaaaaaa", "role": "node", "created_at": 1, "token": "quilt1-\x1b[2J"}
    control.answers["POST", "/api/tokens"] = (200, made)
    result = run("token", "create", control=control)
    assert (result.returncode, result.stdout) == (1, "")
    assert "make a token: the answer makes no sense" in result.stderr and "\x1b" not in result.stderr


@pytest.mark.parametrize("word", [ID2, ID2.upper(), "node2", "NODE2"])
def test_a_node_is_shown_by_id_and_by_name(control, word):
    play_nodes(control, node(ID1, "node1", 1), node(ID2, "node2", 2))
    assert json.loads(run("node", "show", word, "-o", "json", control=control).stdout)["node_id"] == ID2
    assert f"node_id         {ID2}\n" in run("node", "show", word, control=control).stdout


def test_a_name_that_nobody_has_is_an_error(control):
    play_nodes(control, node(ID1, "node1", 1))
    failed(run("node", "show", "nodeX", control=control),
           "find node nodeX: there is none; 'quiltctl node ls' lists them")


def test_a_name_that_two_nodes_have_is_an_error_that_names_both(control):
    play_nodes(control, node(ID1, "twin", 1), node(ID2, "twin", 2))
    failed(run("node", "rm", "twin", control=control),
           f"find node twin: several nodes have this name; give one of the ids {ID1} {ID2}")
    assert [m for m, _, _ in control.asked] == ["GET"]


def test_a_node_is_removed_by_name(control):
    play_nodes(control, node(ID1, "node1", 1, "down"))
    control.answers["DELETE", f"/api/nodes/{ID1}"] = (204, None)
    result = run("node", "rm", "node1", control=control)
    assert (result.stdout, result.stderr) == (f"removed node node1 ({ID1})\n", "")
    assert control.asked[-1][:2] == ("DELETE", f"/api/nodes/{ID1}")
    assert json.loads(run("node", "rm", "node1", "-o", "json", control=control).stdout) == {
        "removed": ID1, "hostname": "node1"}


def test_removing_a_live_node_says_what_will_happen(control):
    play_nodes(control, node(ID1, "node1", 1))
    control.answers["DELETE", f"/api/nodes/{ID1}"] = (204, None)
    result = run("node", "rm", ID1, control=control)
    assert result.returncode == 0
    assert "will register again" in result.stderr


def test_a_subnet_is_reserved_listed_and_taken_back(control):
    reserved = {"host": "node7", "subnet": "10.42.7.0/24", "created_at": int(time.time()) - 7205}
    control.answers["PUT", "/api/reservations/node7"] = (200, reserved)
    control.answers["GET", "/api/reservations"] = (200, {"reservations": [reserved]})
    control.answers["DELETE", "/api/reservations/node7"] = (204, None)
    result = run("node", "reserve", "NODE7", "10.42.7.0/24", control=control)
    assert (result.returncode, result.stdout) == (0, "reserved 10.42.7.0/24 for NODE7\n")
    assert json.loads(control.bodies[-1]) == {"subnet": "10.42.7.0/24"}
    assert json.loads(run("node", "reserve", "node7", "10.42.7.0/24", "-o", "json", control=control).stdout) == reserved
    result = run("reservation", "ls", control=control)
    assert result.stdout == "HOST   SUBNET        RESERVED\nnode7  10.42.7.0/24  2h ago\n"
    assert json.loads(run("reservation", "ls", "-o", "json", control=control).stdout) == [reserved]
    assert run("reservation", "rm", "node7", control=control).stdout == "nothing is reserved for node7 any more\n"


def test_a_reservation_that_cannot_be_never_leaves_this_host(control):
    misused(run("node", "reserve", "a/../b", "10.42.7.0/24", control=control),
            "reserve a subnet: host: 'a/../b' is neither a host name nor an IPv4 address")
    misused(run("reservation", "rm", "a/../b", control=control),
            "take a reservation back: host: 'a/../b' is neither a host name nor an IPv4 address")
    result = run("node", "reserve", "node7", "10.42.7.1/24", control=control)
    assert result.returncode == 2 and result.stderr.startswith("quiltctl: reserve a subnet: ")
    assert control.asked == []


def test_a_reservation_that_is_not_there_is_answered_with_where_they_are_listed(control):
    control.answers["DELETE", "/api/reservations/node8"] = (404, {"detail": "no subnet is reserved for this host"})
    failed(run("reservation", "rm", "node8", control=control),
           "take a reservation back: no subnet is reserved for this host "
           f"(HTTP 404 from {control.url}); 'quiltctl reservation ls' shows what there is")


def test_what_stands_in_the_way_of_a_reservation_is_shown(control):
    control.answers["PUT", "/api/reservations/node7"] = (409, {"title": "Conflict", "detail": "subnet: is in use"})
    failed(run("node", "reserve", "node7", "10.42.7.0/24", control=control),
           f"reserve a subnet: subnet: is in use (HTTP 409 from {control.url})")


def test_the_reason_of_a_refusal_is_shown(control):
    play_nodes(control, node(ID1, "node1", 1))
    control.answers["DELETE", f"/api/nodes/{ID1}"] = (503, {"title": "Unavailable", "detail": "the disk is full"})
    failed(run("node", "rm", ID1, control=control), f"remove node: the disk is full (HTTP 503 from {control.url})")


def test_something_else_on_the_port_is_recognised(control):
    control.answers["GET", "/api/nodes"] = (200, b"<html>hello</html>")
    result = run("node", "ls", control=control)
    assert result.returncode == 1 and f"is {control.url} the right URL?" in result.stderr
    control.answers["GET", "/api/nodes"] = (200, {"nodes": [{"node_id": 5}]})
    result = run("node", "ls", control=control)
    assert result.returncode == 1 and "node_id" in result.stderr


# ---- where the control plane is --------------------------------------------------------------------

def test_nobody_there_is_said_with_what_to_do():
    result = run("node", "ls", "--control-plane", NOBODY)
    assert result.returncode == 1
    assert result.stderr.startswith("quiltctl: list nodes: ")
    assert "Connection refused; is quilt-mesh-control running there?" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_first_control_plane_that_answers_is_asked(control):
    play_nodes(control)
    assert run("node", "ls", "--control-plane", NOBODY, control=control).returncode == 0
    assert run("node", "ls", env={"QUILT_CONTROL_PLANE": f"{NOBODY},{control.url}/"}).returncode == 0


@pytest.fixture
def hangs_up():
    """The URL of one that reads a question and breaks off; and how many it has read."""
    read = []

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return  # closed
            with client:
                read.append(client.recv(65536))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", read
        server.shutdown(socket.SHUT_RDWR)


def test_only_what_changes_nothing_is_asked_of_the_next_after_one_that_broke_off(control, hangs_up):
    url, read = hangs_up
    play_nodes(control)
    both = {"QUILT_CONTROL_PLANE": f"{url},{control.url}"}
    assert run("node", "ls", env=both).returncode == 0
    assert len(read) == len(control.asked) == 1
    result = run("token", "create", env=both)
    assert result.returncode == 1 and "Connection reset" in result.stderr, result
    assert len(read) == 2 and len(control.asked) == 1


def test_who_cannot_be_reached_was_asked_nothing(control):
    control.answers["POST", "/api/tokens"] = (201, {})
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, \
            socket.create_connection(full.getsockname()), socket.socket() as waits:
        waits.setblocking(False)
        waits.connect_ex(full.getsockname())
        began = time.monotonic()
        run("token", "create", env={"QUILT_CONTROL_PLANE": f"http://127.0.0.1:{full.getsockname()[1]},{control.url}"})
        assert time.monotonic() - began > 2, "a way that swallows what is sent"
    assert [asked[:2] for asked in control.asked] == [("POST", "/api/tokens")]


def test_without_a_url_the_agent_knows(control, agent):
    play_nodes(control)
    agent.answers["GET", "/status"] = (200, {"control_plane": {"url": control.url}})
    assert run("node", "ls", agent=agent).returncode == 0
    assert control.asked == [("GET", "/api/nodes", None)]


# ---- status ----------------------------------------------------------------------------------------

STATUS = {"version": "0.1.0", "node_id": ID1, "hostname": "node1", "host_ip": "192.168.1.11",
          "subnet": "10.42.1.0/24", "device": {"name": "vxlan100", "mtu": 1450, "up": True, "problem": ""},
          "peers": [{"node_id": ID2, "hostname": "node2", "status": "up", "programmed": True, "problem": ""}],
          "problems": []}
RUNTIME_STATUS = {"version": "0.1.0", "subnet": "10.42.1.0/24", "cluster_cidr": "10.42.0.0/16", "endpoints": 2,
                  "addresses_free": 252, "routes": 1}


def test_a_healthy_node_exits_with_0(control, agent, runtime):
    control.answers["GET", "/health"] = (200, {"status": "ok"})
    agent.answers["GET", "/status"] = (200, {**STATUS, "control_plane": {"url": control.url}})
    runtime.replies["GetStatus"] = RUNTIME_STATUS
    result = run("status", agent=agent, runtime=runtime)
    assert result.stdout.endswith("\nThis node is healthy.\n")
    assert result.returncode == 0
    report = json.loads(run("status", "-o", "json", agent=agent, runtime=runtime).stdout)
    assert report["healthy"] is True and report["problems"] == []
    assert report["runtime"]["addresses_free"] == 252
    assert report["runtime"]["short_cut"] is None, "a runtime that says nothing of it"
    assert report["control_plane"] == {"url": control.url, "answers": True, "error": None}


@pytest.mark.parametrize("told,line", [({"short_cut": True}, "on"),
                                       ({"short_cut_reason": "--conntrack all"}, "off (--conntrack all)")])
def test_the_short_cut_is_shown(control, agent, runtime, told, line):
    control.answers["GET", "/health"] = (200, {"status": "ok"})
    agent.answers["GET", "/status"] = (200, {**STATUS, "control_plane": {"url": control.url}})
    runtime.replies["GetStatus"] = {**RUNTIME_STATUS, **told}
    result = run("status", agent=agent, runtime=runtime)
    assert f"\nshort cut      ok     {line}\n" in result.stdout
    report = json.loads(run("status", "-o", "json", agent=agent, runtime=runtime).stdout)["runtime"]
    assert (report["short_cut"], report["short_cut_reason"]) == (told.get("short_cut", False),
                                                                 told.get("short_cut_reason", ""))


def test_each_sick_part_is_named_and_the_exit_code_is_1(control, agent, runtime):
    control.answers["GET", "/health"] = (503, {"detail": "the store cannot take a write"})
    agent.answers["GET", "/status"] = (200, {**STATUS, "problems": ["vxlan100 is not ours: remove it"]})
    runtime.replies["GetStatus"] = {**RUNTIME_STATUS, "problems": ["ip_forward is off"]}
    result = run("status", control=control, agent=agent, runtime=runtime)
    assert result.returncode == 1
    assert result.stdout.endswith("\nProblems:\n"
                                  "  - ask the control plane: the store cannot take a write "
                                  f"(HTTP 503 from {control.url})\n"
                                  "  - vxlan100 is not ours: remove it\n"
                                  "  - ip_forward is off\n")


def test_status_with_a_dead_agent_accuses_no_control_plane_that_was_guessed():
    """The node's own is elsewhere. In a namespace of its own nothing listens on the usual port."""
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    result = run("status", prefix=alone)
    assert result.returncode == 1
    assert result.stdout.splitlines()[1] == (
        "control plane  unknown  the agent knows where it is; --control-plane URL names it")
    assert "8080" not in result.stdout
    report = json.loads(run("status", "-o", "json", prefix=alone).stdout)
    assert report["control_plane"] == {"url": None, "answers": None, "error": None}
    assert len(report["problems"]) == 2
    named = run("status", "--control-plane", "http://127.0.0.1:8080", prefix=alone)
    assert "control plane  PROBLEM  http://127.0.0.1:8080 does not answer\n" in named.stdout


def test_status_works_when_nothing_else_does():
    result = run("status", "--control-plane", NOBODY, "-o", "json")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert report["agent"] is None and report["runtime"] is None
    assert len(report["problems"]) == 3


# ---- words -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [[], ["nod"], ["node"], ["node", "show"], ["node", "ls", "x"], ["node", "ls", "--ip=1"],
                                   ["version", "-o", "yaml"], ["--agent=ftp://x", "status"], ["--runtime=unix:x", "status"],
                                   ["--nonsense"], ["trace", "1", "2"], ["trace", "10.42.1.1", "10.42.2.1", "sctp"],
                                   ["endpoint", "ls", "--ifname", "x"], ["node", "ls", "--control-plane", "http://x/y"]])
def test_wrong_words_are_usage_errors(words):
    result = subprocess.run([QUILTCTL, *words], capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 2
    assert result.stdout == "" and result.stderr.startswith(("quiltctl: ", f"{QUILTCTL}: "))


@pytest.mark.parametrize("scheme, port", [("http", 80), ("https", 443)])
def test_the_port_that_a_url_does_not_name_is_told_where_nothing_answers(scheme, port):
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    done = run("node", "ls", "--control-plane", f"{scheme}://127.0.0.1", prefix=alone)
    assert done.returncode == 1
    assert f": connect to port {port}, since the URL names none: Connection refused; is" in done.stderr, done.stderr
    done = run("node", "ls", "--control-plane", f"{scheme}://127.0.0.1:8080", prefix=alone)
    assert ": connect: Connection refused; is" in done.stderr, done.stderr


def test_a_url_that_is_no_control_planes_is_doubted(control):
    done = run("node", "ls", control=control)
    assert done.returncode == 1 and done.stderr.endswith("; is that the URL of a control plane?\n"), done.stderr


def test_version_and_help_are_there():
    assert run("version").stdout.startswith("quiltctl 0.")
    assert json.loads(run("version", "-o", "json").stdout)["version"][0] == "0"
    help_text = run("--help").stdout
    assert "endpoint attach ID NETNS" in help_text and "--control-plane=URL" in help_text
    verbs = help_text.split("Verbs:\n")[1].splitlines()
    assert all(line.startswith("  ") for line in verbs), "a line that is too long is broken anywhere"


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([QUILTCTL, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "quiltctl: write to standard output: No space left on device\n"

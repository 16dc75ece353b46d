"""quiltctl on a node: its agent, its endpoints and its routes."""
import json
import os
import subprocess
import time

import pytest
from played import ID1, TOKEN, failed, fixture_agent, fixture_runtime, message, misused, node, run  # noqa: F401 (fixtures)

# ---- leaving ---------------------------------------------------------------------------------------

def test_leaving_shows_the_agent_the_nodes_own_token(agent, tmp_path):
    (tmp_path / "agent.json").write_text(json.dumps({"sha256": "", "content": {"identity": {"node_token": TOKEN}}}))
    agent.answers["POST", "/leave"] = (200, {"left": True})
    result = run("node", "leave", "--state-dir", str(tmp_path), agent=agent)
    assert (result.returncode, result.stderr) == (0, "")
    assert agent.asked == [("POST", "/leave", f"Bearer {TOKEN}")]
    agent.answers["POST", "/leave"] = (200, {"left": True, "failures": ["runtime: away"]})
    result = run("node", "leave", "--state-dir", str(tmp_path), agent=agent)
    assert result.stdout.endswith("\n  but not wholly: runtime: away\n")
    assert result.returncode == 1


NOBODYS = """import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
s.accept()[0].recv(9999)
print("heard", flush=True)"""


@pytest.mark.parametrize("verb", ["leave", "accept-cluster"])
def test_the_token_is_not_shown_to_another_user_who_took_the_agents_port(tmp_path, verb):
    (tmp_path / "agent.json").write_text(json.dumps({"content": {"identity": {"node_token": TOKEN}}}))
    argv = ["setpriv", "--reuid=65534", "/usr/bin/python3", "-c", NOBODYS]
    words = ["leave the mesh", "accept the cluster"][verb != "leave"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as taker:
        try:
            url = f"http://127.0.0.1:{int(taker.stdout.readline())}"
            failed(run("node", verb, "--state-dir", str(tmp_path), "--agent", url),
                   f"{words}: user 65534 listens at {url}, who is not the agent's; nothing was shown to it: "
                   "end it ('ss -ltnp' names it) and start the agent")
            os.chown(tmp_path / "agent.json", 65534, 0)  # now he is
            assert "agent.json" not in run("node", verb, "--state-dir", str(tmp_path), "--agent", url).stderr
            assert taker.stdout.readline() == "heard\n"
        finally:
            taker.kill()


def test_leaving_without_having_joined_says_so(agent, tmp_path):
    failed(run("node", "leave", "--state-dir", str(tmp_path), agent=agent),
           f"leave the mesh: {tmp_path}/agent.json is not there; has this node joined? --state-dir DIR names the "
           "agent's other place")
    assert agent.asked == []


def test_leaving_without_a_token_says_how_to_leave_all_the_same(agent, tmp_path):
    """An agent that lost its state while its node was up is known by its address, and gets no token."""
    state = {"content": {"identity": {"node_id": ID1, "subnet": "10.42.1.0/24"}}}
    (tmp_path / "agent.json").write_text(json.dumps(state))
    failed(run("node", "leave", "--state-dir", str(tmp_path), agent=agent),
           f"leave the mesh: {tmp_path}/agent.json has no token: this node came back without its state; start its "
           "agent with --on-stop leave and stop it")
    assert agent.asked == []


def test_leaving_is_for_root(agent, tmp_path):
    """Nothing is to change hands, however little this user may."""
    (tmp_path / "agent.json").write_text("{}")
    tmp_path.chmod(0o700)
    failed(run("node", "leave", "--state-dir", str(tmp_path), agent=agent, prefix=["setpriv", "--reuid=65534"]),
           f"leave the mesh: {tmp_path}/agent.json is for root; be root on this node")
    assert agent.asked == []


def test_leaving_with_a_damaged_state_says_so(agent, tmp_path):
    (tmp_path / "agent.json").write_text("{")
    result = run("node", "leave", "--state-dir", str(tmp_path), agent=agent)
    assert result.returncode == 1 and "agent.json is damaged" in result.stderr


# ---- endpoints and routes --------------------------------------------------------------------------

ATTACHED = {"success": True, "ip": "10.42.1.5/32", "gateway": "169.254.1.1", "mac": "02:51:0a:2a:01:05", "mtu": 1450,
            "host_ifname": "qv0a2a0105"}


@pytest.mark.parametrize("netns, path", [("web", "/run/netns/web"), ("/proc/7/ns/net", "/proc/7/ns/net")])
def test_an_endpoint_is_attached_by_name_or_path(runtime, netns, path):
    runtime.replies["AttachEndpoint"] = ATTACHED
    result = run("endpoint", "attach", "web", netns, runtime=runtime)
    assert result.stdout == "web: 10.42.1.5/32 on eth0 via 169.254.1.1, mtu 1450, outside qv0a2a0105\n"
    name, request = runtime.asked[0]
    assert (name, request.id, request.netns, request.ifname, request.ip) == ("AttachEndpoint", "web", path, "", "")


def test_a_runtime_cannot_write_to_the_terminal(runtime):
    runtime.replies["AttachEndpoint"] = {**ATTACHED, "host_ifname": "qv\x1b]0;x\x07\n"}
    said = run("endpoint", "attach", "web", "web", runtime=runtime).stdout
    assert said.endswith("outside qv\\u001b]0;x\\u0007\\u000a\n") and "\x1b" not in said


def test_attaching_passes_name_and_address_and_speaks_json(runtime):
    runtime.replies["AttachEndpoint"] = ATTACHED
    result = run("endpoint", "attach", "web", "ns", "--ifname=net1", "--ip", "10.42.1.5", "-o", "json",
                 runtime=runtime)
    assert json.loads(result.stdout) == {
        "id": "web", "ifname": "net1", "ip": "10.42.1.5/32", "gateway": "169.254.1.1", "mac": "02:51:0a:2a:01:05",
        "mtu": 1450, "host_ifname": "qv0a2a0105"}
    request = runtime.asked[0][1]
    assert (request.ifname, request.ip) == ("net1", "10.42.1.5")


def test_what_the_runtime_refuses_is_an_error(runtime):
    runtime.replies["AttachEndpoint"] = {"success": False, "error": "no address left in 10.42.1.0/24"}
    failed(run("endpoint", "attach", "web", "/proc/1/ns/net", runtime=runtime),
           "attach endpoint web: no address left in 10.42.1.0/24")
    failed(run("endpoint", "attach", "web", "nope", runtime=runtime),
           "attach endpoint web: no address left in 10.42.1.0/24; there is no namespace nope: 'ip netns add nope' makes it")
    runtime.replies["DetachEndpoint"] = {"success": False, "error": "busy"}
    failed(run("endpoint", "detach", "web", runtime=runtime), "detach endpoint web: busy")


def test_a_bad_id_never_reaches_the_runtime(runtime):
    for verb in (["attach", "../x", "ns"], ["detach", "../x"]):
        misused(run("endpoint", *verb, runtime=runtime),
                f"{verb[0]} endpoint: '../x' is not an id: 1 to 253 of A-Z a-z 0-9 _ . -")
    assert runtime.asked == []


def test_an_endpoint_is_detached(runtime):
    runtime.replies["DetachEndpoint"] = {"success": True}
    assert run("endpoint", "detach", "web", "--ifname", "net1", runtime=runtime).stdout == "detached web\n"
    assert runtime.asked[0][1].ifname == "net1"
    assert json.loads(run("endpoint", "detach", "web", "-o", "json", runtime=runtime).stdout) == {
        "detached": "web", "was_attached": True}


def test_detaching_what_is_not_there_succeeds_and_says_so(runtime):
    runtime.replies["DetachEndpoint"] = {"success": True, "was_absent": True}
    result = run("endpoint", "detach", "typo", runtime=runtime)
    assert (result.returncode, result.stdout) == (
        0, "no endpoint typo was attached as eth0; 'quiltctl endpoint ls' lists them\n")
    assert json.loads(run("endpoint", "detach", "typo", "-o", "json", runtime=runtime).stdout) == {
        "detached": "typo", "was_attached": False}


def test_endpoints_are_listed(runtime):
    endpoint = {"id": "web", "netns": "/run/netns/web", "ifname": "eth0", "ip": "10.42.1.5", "mac": "02:51:0a:2a:01:05",
                "host_ifname": "qv0a2a0105", "created_at": int(time.time()) - 300}
    runtime.replies["ListEndpoints"] = {"endpoints": [message("Endpoint")(**endpoint)]}
    assert run("endpoint", "ls", runtime=runtime).stdout == (
        "ID   IFNAME  IP         NETNS           ATTACHED\n"
        "web  eth0    10.42.1.5  /run/netns/web  5m ago\n")
    assert run("endpoint", "ls", "-o", "wide", runtime=runtime).stdout.endswith("02:51:0a:2a:01:05  qv0a2a0105\n")
    assert json.loads(run("endpoint", "ls", "-o", "json", runtime=runtime).stdout) == [endpoint]
    runtime.replies["ListEndpoints"] = {}
    assert json.loads(run("endpoint", "ls", "-o", "json", runtime=runtime).stdout) == []
    assert run("endpoint", "ls", runtime=runtime).stdout == "ID  IFNAME  IP  NETNS  ATTACHED\n"


def test_routes_are_listed(runtime):
    good = {"destination": "10.42.2.0/24", "via_interface": "vxlan100", "gateway": "10.42.2.0", "mtu": 1350,
            "in_kernel": True, "problem": ""}
    bad = {"destination": "10.42.3.0/24", "via_interface": "vxlan100", "gateway": "", "mtu": 0, "in_kernel": False,
           "problem": "vxlan100 is down"}
    runtime.replies["ListRoutes"] = {"routes": [message("Route")(**good), message("Route")(**bad)]}
    assert run("route", "ls", runtime=runtime).stdout == (
        "DESTINATION   GATEWAY    INTERFACE  MTU   IN-KERNEL  PROBLEM\n"
        "10.42.2.0/24  10.42.2.0  vxlan100   1350  yes        -\n"
        "10.42.3.0/24  -          vxlan100   -     no         vxlan100 is down\n")
    assert json.loads(run("route", "ls", "-o", "json", runtime=runtime).stdout) == [good, bad]


def test_a_runtime_that_is_not_there_or_older_is_said_so(runtime):
    advice = "; is quilt-runtime running? Only nodes have one; --runtime URL names another place"
    for verb, what in (("endpoint", "list endpoints"), ("route", "list routes")):
        result = run(verb, "ls")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"quiltctl: {what}: ") and result.stderr.endswith(f"{advice}\n")
    result = run("trace", "10.42.1.1", "10.42.2.1")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith(f"{advice}; a trace is run on the node that has 10.42.1.1\n")
    result = run("route", "ls", runtime=runtime)
    assert result.stderr.endswith("; this quilt-runtime is older than quiltctl\n")

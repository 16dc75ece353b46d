"""The agent and the runtime are killed before each step of keeping what they know: what they find
afterwards is the old or the new, never half of one, and nothing that was answered is lost."""
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal

import grpc
import pytest
from agents import Agent
from disk import Disk
from lab.wait import Timeout, wait_for
from runtime_host import Host

WHOLE = re.compile(rb'\{"sha256":"([0-9a-f]{64})","content":(.*)\}\n?\Z', re.DOTALL)


def content_of(path):
    """What a state file says; it has to be whole."""
    found = WHOLE.match(path.read_bytes())
    assert found, f"{path} is not whole: {path.read_bytes()[-100:]}"
    assert hashlib.sha256(found[2]).hexdigest() == found[1].decode(), f"{path}: the checksum is wrong"
    return json.loads(found[2])


def check_directory(directory, name):
    """Both files, as far as they are there, are whole."""
    found = [path for path in (directory / f"{name}.json", directory / f"{name}.json.1") if path.exists()]
    for path in found:
        content_of(path)
    return len(found)


def is_killed(process, fact):
    """Waits until the process is killed (True) or the fact is true."""
    wait_for(lambda: process.poll() is not None or fact(), 20, "the end of the run")
    if process.poll() is None:
        return False
    assert process.returncode == -signal.SIGKILL
    return True


@pytest.mark.row("F30", "kill -9 before each step of the agent's state file")
def test_agent_state_file(make_plane, tmp_path, figure):
    plane = make_plane().start()
    step = 0
    while True:
        step += 1
        name, ip = f"agent{step}", f"192.168.1.{step}"
        directory = tmp_path / name
        directory.mkdir()
        state = directory / "state"
        disk = Disk(state, directory)
        disk.set(kill_at=step)
        agent = Agent(plane, directory, ip, disk.env())
        try:
            is_over = not run_agent(plane, agent, state, step)
        finally:
            agent.end()
        files = check_directory(state, "agent") if state.exists() else 0
        known = [node["node_id"] for node in plane.nodes() if node["hostname"] == name]
        assert len(known) <= 1
        again = Agent(plane, directory, ip)
        try:
            node_id = again.wait_known()
            wait_for(lambda path=state / "agent.json": path.exists(), 10, "it to keep its identity")
        finally:
            again.end()
        assert node_id == (known or [node_id])[0], "another identity"
        assert "damaged" not in again.log_path.read_text()
        assert check_directory(state, "agent") >= files
        if is_over:
            break
    assert step > 10
    figure(f"{step - 1} steps, 0 damaged files, 0 identities lost")


def run_agent(plane, agent, state, number):
    """It joins, and then another node does: two things to keep. True when it was killed on the way."""
    if is_killed(agent.process, lambda: (state / "agent.json").exists() and agent.node_id()):
        return True
    peer = f"192.168.9.{number}"
    plane.ask("POST", "/api/nodes/register", {"hostname": f"peer{number}", "host_ip": peer})
    return is_killed(agent.process, lambda: any(peer in path.read_text() for path in kept_by(state))
                     and is_still(agent.process))


def kept_by(state):
    """The state file, and the journal of what has changed since."""
    return [path for path in (state / "agent.json", state / "agent.journal") if path.exists()]


def is_still(process):
    """After the rename there are steps left; they take no time."""
    with contextlib.suppress(Timeout):
        wait_for(lambda: process.poll() is not None, 0.5, "the end")
    return True


@pytest.mark.row("F30", "kill -9 before each step of the runtime's state file")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")
def test_runtime_state_file(tmp_path, monkeypatch, figure, full):
    step, rounds, kept = 0, 0, 0
    while True:
        step += 1 if full else 3  # four savings of ten steps each: every place is hit in one of them
        rounds += 1
        directory = tmp_path / f"host{step}"
        directory.mkdir()
        disk = Disk(directory / "state", directory)
        host = Host(directory)
        try:
            for word, value in disk.env().items():
                monkeypatch.setenv(word, value)
            disk.set(kill_at=step)
            host.container("c1")
            done = run_runtime(host)
            monkeypatch.undo()
            if len(done) == 4:
                break
            assert host.process.wait(10) == -signal.SIGKILL
            check_directory(directory / "state", "runtime")
            host.start()
            assert "damaged" not in host.log.read_text()
            kept += check_runtime(host, done)
        finally:
            host.end()
        shutil.rmtree(directory)
    assert step > 10
    figure(f"{rounds - 1} steps, {kept} answered calls, 0 lost, 0 damaged files")


def run_runtime(host):
    """The calls that were answered with success."""
    done = []
    with contextlib.suppress(AssertionError, grpc.RpcError):
        host.start()
        for method, fields in [("ConfigureNodeSubnet", {"subnet": "10.42.1.0/24"}),
                               ("AttachEndpoint", {"id": "c1", "netns": "/run/netns/c1"}),
                               ("DetachEndpoint", {"id": "c1"}),
                               ("AttachEndpoint", {"id": "c1", "netns": "/run/netns/c1", "ip": "10.42.1.9"})]:
            if not host.call(method, **fields).success:
                break
            done.append(method)
    return done


def check_runtime(host, done):
    state = host.state() if (host.dir / "state/runtime.json").exists() else {}
    assert not done or "10.42.1.0/24" in json.dumps(state), "an answered subnet is lost"
    endpoints = host.call("ListEndpoints").endpoints
    if done[-1:] == ["AttachEndpoint"] and len(done) == 2:
        assert [endpoint.id for endpoint in endpoints] in ([], ["c1"])  # a detaching may be under way
    if len(done) == 4:
        assert [endpoint.ip for endpoint in endpoints] == ["10.42.1.9/32"]
    host.ok("ConfigureNodeSubnet", subnet="10.42.1.0/24")
    assert host.ok("AttachEndpoint", id="c1", netns="/run/netns/c1").ip
    return len(done)

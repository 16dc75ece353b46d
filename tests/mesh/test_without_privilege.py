"""Without privilege: an agent with --dataplane none needs none and touches nothing; what does need it
says so at once, and joins nothing."""
import pytest
from certified import metric

from lab import kernel
from lab.wait import wait_for

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all",
          "--bounding-set=-all"]


def test_an_agent_without_dataplane_joins_as_nobody_and_changes_no_kernel_state(bed):
    mesh = bed.mesh(hosts=2, is_started=False)
    real, stub = mesh.nodes
    mesh.start_control()
    mesh.start_node(real)
    state = stub.dir / "state"
    state.mkdir()
    mesh.lab.let_in(state)
    before = kernel.dump(stub)
    agent = stub.start(NOBODY + mesh.agent_command(stub).split() +
                       ["--dataplane", "none", "--state-dir", str(state)], "stub")
    agent.wait_ready()
    wait_for(lambda: mesh.listed().get(stub.name, {}).get("status") == "up", 5,
             "the stub to be a node")
    wait_for(lambda: "10.42.1.0" in agent.log(), 10,
             lambda: "it to say what it would do:\n" + agent.log_tail())
    assert kernel.difference(before, kernel.dump(stub)) == []
    assert metric(stub, "quilt_agent_reconciles_total") < 20  # looks when there is a reason, and every 30 s
    assert agent.stop() == 0


REFUSALS = {
    "quilt-mesh-agent --control-plane http://192.168.1.10:8080 --host-ip 192.168.1.10":
        "CAP_NET_ADMIN is needed; run it as root, or with --dataplane none to change nothing",
    "quilt-runtime": "CAP_NET_ADMIN is needed; run it as root",
}


@pytest.mark.parametrize("command", REFUSALS)
def test_a_daemon_that_lacks_its_privilege_says_which_and_ends(bed, command):
    host = bed.mesh(hosts=1, is_started=False).nodes[0]
    state = host.dir / "state"
    state.mkdir()
    host.lab.let_in(state)
    done = host.run(*NOBODY, *command.split(), "--state-dir", state, check=False)
    assert done.returncode == 1
    assert f'error="{REFUSALS[command]}"' in done.stderr
    assert list(state.iterdir()) == []

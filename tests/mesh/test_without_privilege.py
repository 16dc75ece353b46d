"""The stub mode: an agent with --dataplane none needs no privilege and touches nothing."""
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
    assert agent.stop() == 0

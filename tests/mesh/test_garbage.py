"""Random bytes on every port: the daemons live on and serve."""
import random

import pytest

from lab.traffic import ping

PORTS = {"control plane": ("192.168.1.10", 8080), "agent": ("127.0.0.1", 9180),
         "runtime metrics": ("127.0.0.1", 9181), "runtime gRPC": ("127.0.0.1", 50051)}
ROUNDS = 40
# Sends the bytes of a seed to a port in ROUNDS connections, reads what comes, hangs up.
THROWER = """
import random, socket, sys
rng = random.Random(int(sys.argv[3]))
for number in range(int(sys.argv[4])):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as s:
        s.settimeout(0.2)
        head = rng.choice([b"", b"GET / HTTP/1.1\\r\\n", b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n",
                           b"POST /api/nodes/register HTTP/1.1\\r\\nContent-Length: 5000\\r\\n\\r\\n"])
        try:
            s.sendall(head + rng.randbytes(rng.randrange(1, 5000)))
            if number % 2:
                s.recv(4096)
        except OSError:
            pass
"""


@pytest.fixture(scope="module")
def mesh(module_bed):
    return module_bed.mesh(hosts=2)


@pytest.mark.parametrize("port", PORTS)
def test_random_bytes_leave_the_daemon_alive_and_serving(mesh, port):
    node, seed = mesh.nodes[0], random.randrange(1 << 30)
    print(f"seed {seed}")
    address, number = PORTS[port]
    node.run("/usr/bin/python3", "-c", THROWER, address, number, seed, ROUNDS)
    assert all(daemon.is_alive() for daemon in mesh.daemons())
    assert mesh.get("/health") == {"status": "ok"}
    for url in ("http://127.0.0.1:9180/livez", "http://127.0.0.1:9181/metrics"):
        node.run("curl", "-sS", "-f", "-m", "5", url)
    node.run("quiltctl", "endpoint", "ls")
    assert ping(*[mesh.containers[0], mesh.containers[1].ip])

"""Who may call the runtime: root, the socket's group, and all others, over the unix socket and plain TCP.
python3-grpcio calls in a process of its own as that user. The list of methods comes from the descriptors,
so one that is new and has no rule fails here."""
import os
import re
import stat
import subprocess
from pathlib import Path

import grpc
import pytest
from messages import POOL
from runtime_host import DEADLINE_S, RUNTIME, fixture_host, fixture_node, wait_for  # noqa: F401 (fixtures)

TESTS = Path(__file__).resolve().parents[1]
CALLER = TESTS / "lab/caller.py"
NOBODY = 65534
GROUP = 4242
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
OPEN = [HEALTH, "/grpc.health.v1.Health/List", REFLECTION,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
TCP = "127.0.0.1:50051"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces and users")


def methods():
    service = POOL.FindServiceByName("quilt.QuiltRuntime")
    return [f"/quilt.QuiltRuntime/{method.name}" for method in service.methods]


# LeaveMesh comes last: it takes away what the others need.
METHODS = sorted(methods(), key=lambda name: "Leave" in name)


def call(place, target, *user, names=(HEALTH, *METHODS), prefix=()):
    """The status of each method, called as that user (uid, gid)."""
    argv = [*prefix, "/usr/bin/python3", "-B", CALLER, target, *user]
    done = subprocess.run(place.argv(*argv), input="\n".join(names), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def refused(statuses):
    return sorted(name for name, status in statuses.items() if status == "PERMISSION_DENIED")


def figure(place, name):
    text = place.out("curl", "-sf", "http://127.0.0.1:9181/metrics")
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.MULTILINE)[1])


@pytest.fixture
def tcp(host):
    """A runtime on plain loopback TCP."""
    log = open(host.log, "a", encoding="utf-8")
    host.process = subprocess.Popen(
        host.argv(RUNTIME, "--state-dir", host.dir / "state", "--run-dir", host.dir / "run"), stderr=log)
    wait_for(lambda: 'msg="ready"' in host.log.read_text(), "the runtime to be ready")
    return host


@pytest.fixture
def open_socket(node):
    """The unix socket, with the way there open to all."""
    for directory in [node.dir, *node.dir.parents]:
        if directory.stat().st_uid == 0 and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    os.chmod(node.socket, 0o666)
    return node


def test_the_socket_is_for_its_owner_and_group(node):
    assert stat.S_IMODE(node.socket.stat().st_mode) == 0o660


def test_root_may_all_on_the_socket(node):
    statuses = call(node, f"unix:{node.socket}", names=[*OPEN, *METHODS])
    assert set(statuses.values()) == {"OK"}


def test_others_may_ask_for_health_only_on_the_socket(open_socket):
    statuses = call(open_socket, f"unix:{open_socket.socket}", NOBODY, names=[*OPEN, *METHODS])
    assert refused(statuses) == sorted(METHODS)
    assert {statuses[name] for name in OPEN} == {"OK"}
    assert figure(open_socket, "quilt_runtime_rpc_denied_total") == len(METHODS)


def test_the_sockets_group_may_all(open_socket):
    os.chown(open_socket.socket, 0, GROUP)
    assert refused(call(open_socket, f"unix:{open_socket.socket}", NOBODY, GROUP)) == []
    assert refused(call(open_socket, f"unix:{open_socket.socket}", NOBODY, GROUP + 1)) == sorted(METHODS)


def test_root_may_all_on_loopback(tcp):
    assert refused(call(tcp, TCP)) == []


def test_others_may_ask_for_health_only_on_loopback(tcp):
    statuses = call(tcp, TCP, NOBODY, names=[*OPEN, *METHODS])
    assert refused(statuses) == sorted(METHODS)
    assert {statuses[name] for name in OPEN} == {"OK"}


def test_the_root_of_another_user_namespace_is_no_root(tcp):
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    statuses = call(tcp, TCP, prefix=[*as_nobody, "unshare", "--user", "--map-root-user"])
    assert refused(statuses) == sorted(METHODS)


# Sends what a client would, has no more to say and goes at once, so that nobody owns the socket when
# the runtime looks.
HIT_AND_RUN = """
import socket, sys
frames = bytes.fromhex(sys.argv[1])
for _ in range(200):
    s = socket.create_connection(("127.0.0.1", 50051))
    s.sendall(frames)
    s.close()
print("sent")
"""


def test_who_closes_at_once_is_not_taken_for_root(tcp):
    head = bytes([0x83, 0x86, 0x44]) + bytes([len(b"/quilt.QuiltRuntime/GetStatus")]) + \
        b"/quilt.QuiltRuntime/GetStatus" + b"\x41\x01x\x5f\x10application/grpc\x40\x02te\x08trailers"

    def frame(kind, flags, stream, payload=b""):
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, head) + \
        frame(0, 1, 1, b"\0" * 5)
    tcp.run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "/usr/bin/python3",
            "-c", HIT_AND_RUN, frames.hex())
    text = tcp.out("curl", "-sf", "http://127.0.0.1:9181/metrics")
    assert 'quilt_runtime_rpc_calls_total{method="GetStatus",outcome="ok"} 0' in text


def test_many_parallel_calls_keepalives_and_watches_trip_nothing(node):
    channel = grpc.insecure_channel(f"unix:{node.socket}", options=[
        ("grpc.keepalive_time_ms", 10000), ("grpc.keepalive_permit_without_calls", 1)])
    watches = [channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=DEADLINE_S)
               for _ in range(20)]
    assert [next(watch) for watch in watches] == [b"\x08\x01"] * 20
    check = channel.unary_unary(HEALTH)
    calls = [check.future(b"", timeout=DEADLINE_S, wait_for_ready=True) for _ in range(3000)]
    assert {done.result() for done in calls} == {b"\x08\x01"}
    for watch in watches:
        watch.cancel()
    channel.close()
    text = node.out("curl", "-sf", "http://127.0.0.1:9181/metrics")
    cuts = re.findall(r"^quilt_runtime_rpc_connections_cut_total.* (\d+)$", text, re.MULTILINE)
    assert len(cuts) > 10 and set(cuts) == {"0"}

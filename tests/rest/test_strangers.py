"""Who shares the control plane's host: another program of the same user, and a browser on it."""
import errno
import os
import socket
import subprocess
import sys

import pytest
from plane import problem
from secure import make_secure, secure  # noqa: F401 (fixtures)

NOBODY = 65534
READ_MEMORY = """
import errno, sys
try:
    open(f"/proc/{sys.argv[1]}/mem", "rb").close()
    print("read")
except OSError as e:
    print(errno.errorcode[e.errno])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
def test_nobody_of_its_own_user_reads_its_memory(make_plane, tmp_path):
    tmp_path.chmod(0o755)
    directory = tmp_path / "db"
    directory.mkdir()
    os.chown(directory, NOBODY, NOBODY)
    for parent in directory.parents:
        if parent.stat().st_mode & 0o1 == 0:
            parent.chmod(parent.stat().st_mode | 0o11)
    plane = make_plane(directory=directory)
    plane.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    plane.start()
    assert f"Uid:\t{NOBODY}" in open(f"/proc/{plane.process.pid}/status").read()

    def said_of(pid):
        done = subprocess.run([*plane.prefix, sys.executable, "-c", READ_MEMORY, str(pid)], capture_output=True,
                              text=True, check=True)
        return done.stdout.strip()
    neighbour = subprocess.Popen([*plane.prefix, "sleep", "60"])
    try:
        assert said_of(neighbour.pid) == "read"  # it could, of a program that does not hide it
    finally:
        neighbour.kill()
        neighbour.wait()
    assert said_of(plane.process.pid) in (errno.errorcode[errno.EACCES], errno.errorcode[errno.EPERM])


FORGED = [
    ({"Host": "evil.example"}, 421),
    ({"Host": "127.0.0.1.evil.example:8080"}, 421),
    ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
    ({"Host": "localhost", "Origin": "null"}, 403),
]


@pytest.mark.parametrize("headers, status", FORGED)
@pytest.mark.parametrize("method, path", [
    ("GET", "/api/nodes"), ("POST", "/api/nodes/register"), ("DELETE", "/api/nodes/{id}"),
    ("POST", "/api/nodes/{id}/heartbeat"), ("GET", "/api/backup"), ("GET", "/metrics")])
def test_a_web_page_gets_nothing_out_of_a_browser_on_this_host(plane, headers, status, method, path):
    node = plane.join(1)
    reply = plane.ask(method, path.format(id=node["node_id"]), {"hostname": "evil", "host_ip": "192.168.9.9"}, headers)
    problem(reply, status)
    assert plane.stored_nodes()[0]["node_id"] == node["node_id"] and len(plane.nodes()) == 1


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST", "[::1]:{port}", socket.gethostname()])
def test_programs_ask_by_an_address_or_a_name_of_this_host(plane, host):
    host = host.format(port=plane.port)
    assert plane.ask("GET", "/api/nodes", headers={"Host": host}).status == 200
    assert plane.ask("GET", "/api/nodes", headers={"Host": host, "Origin": f"http://{host}"}).status == 200


def test_a_proxy_may_ask_by_a_name_that_was_given(make_plane):
    plane = make_plane("--tls-name", "mesh.example").start()
    assert plane.ask("GET", "/api/nodes", headers={"Host": "mesh.example"}).status == 200
    assert plane.ask("GET", "/api/nodes", headers={"Host": "other.example"}).status == 421


def test_the_first_releases_curl_still_registers(plane):
    """Without a content type of JSON, and in HTTP/1.0 without a host."""
    url = f"http://localhost:{plane.port}/api/nodes/register"
    body = '{"hostname":"node1","host_ip":"192.168.1.1"}'
    for words in (["-d", body], ["-d", body, "--http1.0", "-H", "Host:"]):
        done = subprocess.run(["curl", "-s", "-f", *words, url], capture_output=True, text=True, check=True)
        assert '"subnet":"10.42.1.0/24"' in done.stdout


def test_over_tls_only_the_origin_counts(secure):
    assert secure.ask("GET", "/api/nodes", headers={"Host": "mesh.example"}).status == 200
    problem(secure.ask("GET", "/api/nodes", headers={"Origin": "https://evil.example"}), 403)

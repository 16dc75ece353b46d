"""The operator of a control plane that speaks TLS, on its host and on another one, typing no more than
README says."""
import json
import re
from pathlib import Path

import pytest

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
UNIT_DIR = "/var/lib/quilt-mesh-control"  # the state directory that the unit gives it


@pytest.fixture
def hosts(bed):
    return bed.mesh(hosts=2, is_started=False).nodes


def start_control(host, listen, directory="/var/lib/quilt-mesh"):
    host.run("mkdir", "-p", "-m", "700", directory)
    return host.start(f"quilt-mesh-control --tls auto --listen {listen} --db-path {directory}/quilt-mesh.db").wait_ready()


@pytest.mark.parametrize("listen", ["127.0.0.1:8080", "192.168.1.10:8080", "0.0.0.0:8080"])
def test_root_of_the_control_planes_host_types_no_option(hosts, listen):
    start_control(hosts[0], listen)
    assert json.loads(hosts[0].out("quiltctl", "node", "ls", "-o", "json")) == []
    assert "One CA is trusted" in hosts[0].out("quiltctl", "ca", "status")
    hosts[0].run("quiltctl", "backup", "/run/backup.db")


def test_the_directory_of_the_unit_is_found_as_well(hosts):
    start_control(hosts[0], "127.0.0.1:8080", UNIT_DIR)
    assert json.loads(hosts[0].out("quiltctl", "node", "ls", "-o", "json")) == []


def test_the_line_to_join_with_has_the_address_that_others_reach(hosts):
    control = start_control(hosts[0], "0.0.0.0:8080")
    line = hosts[0].out("quiltctl", "token", "create", "-o", "wide")
    begin = "quilt-mesh-agent --control-plane https://192.168.1.10:8080 --host-ip HOST_IP --token quilt1-"
    assert line.startswith(begin)
    assert begin in control.log()  # as the first start printed it


def test_a_token_is_all_that_it_takes_on_another_host(hosts):
    start_control(hosts[0], "192.168.1.10:8080")
    token = hosts[0].out("quiltctl", "token", "create", "--role", "admin").strip()
    url = "https://192.168.1.10:8080"
    done = hosts[1].run("quiltctl", "node", "ls", env={"QUILT_TOKEN": token, "QUILT_CONTROL_PLANE": url})
    assert (done.stdout.split()[0], done.stderr) == ("HOSTNAME", "")
    hosts[1].run("quiltctl", "backup", "/run/backup.db", env={"QUILT_TOKEN": token, "QUILT_CONTROL_PLANE": url})
    assert hosts[1].out("head", "-c", "15", "/run/backup.db") == "SQLite format 3"


def test_without_root_one_is_told_so_and_status_asks_nobody(hosts):
    start_control(hosts[0], "127.0.0.1:8080")
    words = ["--control-plane", "https://127.0.0.1:8080"]
    done = hosts[0].run(*NOBODY, "quiltctl", *words, "node", "ls", check=False)
    assert done.returncode == 1
    assert done.stderr == ("quiltctl: list nodes: what this host shows to the control plane is for root; be root, or "
                           "give --token-file FILE\n")
    done = hosts[0].run(*NOBODY, "quiltctl", *words, "status", check=False)
    assert "https://127.0.0.1:8080, not asked (needs root)" in done.stdout
    assert "  - ask the control plane" not in done.stdout


def test_a_control_plane_that_is_away_is_said_so(hosts):
    assert start_control(hosts[0], "192.168.1.10:8080").stop() == 0
    done = hosts[0].run("quiltctl", "node", "ls", check=False)
    assert done.returncode == 1
    assert "https://192.168.1.10:8080" in done.stderr and "is quilt-mesh-control running there?" in done.stderr


# ---- README, word by word ---------------------------------------------------------------------------


def commands_of(heading):
    """The blocks of a section, each a list of its command lines."""
    section = README.split(f"### {heading}\n")[1].split("\n##")[0]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.MULTILINE)
    return [[line.strip() for line in block.splitlines() if line.strip()] for block in blocks]


def register(host, hostname, ip):
    """Becomes a node, without an agent."""
    token = host.out("quiltctl", "token", "create").strip()
    body = json.dumps({"hostname": hostname, "host_ip": ip})
    host.run("curl", "-sSf", "--cacert", "/var/lib/quilt-mesh/pki/ca.pem", "-H", f"Authorization: Bearer {token}",
             "-H", "Content-Type: application/json", "-d", body, "https://192.168.1.10:8080/api/nodes/register")
    return token.split("-")[2]


def test_what_readme_says_of_tokens_can_be_typed(hosts):
    first, other = hosts
    start_control(first, "192.168.1.10:8080")
    used = register(first, "node3", "192.168.1.12")
    there, elsewhere = commands_of("Tokens, revoking, another CA")
    assert len(there) == 8 and len(elsewhere) == 3
    for command in there:
        assert first.run("bash", "-ec", command.replace("qp10i6eq", used)).stdout, command
    assert json.loads(first.out("quiltctl", "node", "ls", "-o", "json"))[0]["status"] == "down"

    token = first.out("quiltctl", "token", "create", "--role", "admin")
    (other.dir / "quilt-token").write_text(token)
    (other.dir / "quilt-token").chmod(0o600)
    done = other.run("bash", "-ec", "\n".join(["cd", *elsewhere]), env={"HOME": str(other.dir)})
    assert "node3" in done.stdout and done.stderr == ""
    assert next(other.dir.glob("quilt-mesh-*.db")).read_bytes().startswith(b"SQLite format 3")

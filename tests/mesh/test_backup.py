"""The control plane's backup, in a mesh: for its own host only, and good enough to go on from."""
from lab.traffic import ping
from lab.wait import wait_for

COPY = "/run/quilt-mesh.backup"  # each host has a /run of its own


def test_a_backup_is_for_the_own_host_only_and_restores_the_mesh(bed):
    mesh = bed.mesh(hosts=2)
    first, other = mesh.nodes
    refused = other.run("quiltctl", "backup", COPY, check=False)
    assert refused.returncode == 1 and "own host only" in refused.stderr
    assert other.run("test", "-e", COPY, check=False).returncode == 1
    first.run("quiltctl", "backup", COPY)  # by the host's own address, as its agent has it
    before = mesh.listed()
    mesh.control.stop()
    first.run("sh", "-e", "-c", f"""cd /var/lib/quilt-mesh/.
        install -m 0600 -o $(stat -c %u .) -g $(stat -c %g .) {COPY} quilt-mesh.db.new &&
            rm -f quilt-mesh.db-wal quilt-mesh.db-shm && mv quilt-mesh.db.new quilt-mesh.db""")
    mesh.start_control()
    wait_for(lambda: all(node["status"] == "up" for node in mesh.listed().values()), 20, "both to be up")
    assert {name: (node["node_id"], node["subnet"]) for name, node in mesh.listed().items()} == {
        name: (node["node_id"], node["subnet"]) for name, node in before.items()}
    mesh.wait_settled()
    assert mesh.has_full_routes()
    assert ping(mesh.containers[0], mesh.containers[1].ip)

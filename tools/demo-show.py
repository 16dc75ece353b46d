"""The demonstration itself: what tools/demo runs once everything is built.

Each step is typed out as a user would type it, done for real, and checked; the first step that does
not prove itself ends the show with the logs and exit code 1.
"""
import contextlib
import fcntl
import os
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from lab import kernel  # noqa: E402
from lab.mesh import Mesh  # noqa: E402
from lab.network import Lab, leftovers, take_away  # noqa: E402
from lab.traffic import ping, ping_ms, transfer  # noqa: E402
from lab.wait import wait_for  # noqa: E402

KEPT = Path("/run/quilt-demo")  # how to reach the hosts that --keep left up
LABS, PREFIX = Path("/tmp"), "quilt-demo-"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NODE_TIMEOUT_S = 6
TRANSFER_BYTES = 256 << 20
LOG_LINES = 15
IS_TERMINAL = sys.stdout.isatty()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if IS_TERMINAL else text


def bold(text):
    return paint("1", text)


def faint(text):
    return paint("2", text)


class Show:
    """Prints the steps and remembers what has been proved."""

    def __init__(self):
        self.proved = []
        self.start = time.monotonic()

    def title(self, text):
        elapsed = faint(f"{time.monotonic() - self.start:5.1f} s")
        print(f"\n{elapsed}  {bold(text)}", flush=True)

    def typed(self, place, command):
        print(f"         {faint(place + '#')} {command}", flush=True)

    def said(self, text):
        for line in text.rstrip().splitlines():
            print(f"         {line.rstrip()}", flush=True)

    def prove(self, is_true, claim):
        mark = paint("32", "ok") if is_true else paint("31", "NOT TRUE")
        print(f"         {mark}  {claim}", flush=True)
        if not is_true:
            raise AssertionError(claim)
        self.proved.append(claim)

    def shown(self, place, command, **kwargs):
        """Types a command, shows what it says, and returns that."""
        self.typed(place.name, command)
        text = place.out(command, **kwargs)
        self.said(text)
        return text


def start_daemons(show, mesh):
    show.title("One control plane, and on each host a runtime and an agent, by README's commands in plain HTTP")
    show.said(faint(f"--node-timeout {NODE_TIMEOUT_S}s is the demo's own, so that a dead host is "
                    "noticed sooner than the usual 30 s"))
    show.typed("node1", mesh.control_command())
    mesh.start_control()
    for node in mesh.nodes:
        show.typed(node.name, "quilt-runtime")
        mesh.start_runtime(node)
        show.typed(node.name, mesh.agent_command(node))
        mesh.start_agent(node)
    mesh.wait_joined()
    show.shown(mesh.nodes[0], "quiltctl node ls")
    show.prove(all(node["status"] == "up" for node in mesh.listed().values()),
               "three nodes are up, each with a subnet of its own")


def attach_containers(show, mesh):
    show.title("A container's network on each host, attached to the mesh")
    for number, node in enumerate(mesh.nodes, 1):
        show.typed(node.name, f"ip netns add c{number}")
        show.typed(node.name, f"quiltctl endpoint attach c{number} /run/netns/c{number}")
        container = mesh.add_container(node, f"c{number}")
        show.said(f"c{number} has {container.ip}")
    show.prove(len({container.ip for container in mesh.containers}) == 3,
               "three containers have three addresses")


def ping_all_pairs(show, mesh):
    show.title("Every container pings every container (median of 20, in milliseconds)")
    show.said("from \\ to " + "".join(f"{c.ip:>12}" for c in mesh.containers))
    for source in mesh.containers:
        cells = [f"{ping_ms(source, target.ip):12.3f}" for target in mesh.containers]
        show.said(f"{source.ip:<10}" + "".join(cells))
    show.prove(all(ping(a, b.ip) for a in mesh.containers for b in mesh.containers),
               "9 of 9 pairs answer")


def move_bytes(show, mesh):
    source, target = mesh.containers[0], mesh.containers[2]
    show.title(f"A TCP transfer across the overlay, {source.ip} to {target.ip}")
    seconds = transfer(source, target, TRANSFER_BYTES)
    rate = TRANSFER_BYTES * 8 / seconds / 1e9
    show.prove(True, f"{TRANSFER_BYTES >> 20} MiB arrived whole (SHA-256 equal on both ends) in "
                     f"{seconds:.2f} s, {rate:.1f} Gbit/s with hashing")


def kernel_view(show, mesh):
    node = mesh.nodes[0]
    show.title("What the kernel of node1 holds")
    show.shown(node, "ip -d link show vxlan100")
    show.shown(node, "bridge fdb show dev vxlan100")
    show.shown(node, "ip neigh show dev vxlan100")
    show.shown(node, "ip route show dev vxlan100")
    entries = kernel.overlay_fdb(node)
    show.prove(sorted(entry["dst"] for entry in entries) == ["192.168.1.11", "192.168.1.12"],
               "one FDB entry a peer, none that floods")


def lose_a_host(show, mesh):
    lost, others = mesh.nodes[2], mesh.nodes[:2]
    show.title("node3 goes dark: its cable is pulled, its daemons are killed")
    lost.set_cable(False)
    mesh.agents[lost.name].kill()
    mesh.runtimes[lost.name].kill()
    start = time.monotonic()
    wait_for(lambda: mesh.listed()[lost.name]["status"] == "down", NODE_TIMEOUT_S + 5,
             "node3 to be down")
    wait_for(lambda: mesh.has_full_routes(others), 5, "the routes to node3 to leave")
    took_s = time.monotonic() - start
    show.shown(mesh.nodes[0], "quiltctl node ls")
    show.shown(mesh.nodes[0], "ip route show dev vxlan100")
    show.prove(True, f"node3 is down and the others' routes to it are gone, {took_s:.1f} s later")
    show.prove(ping(mesh.containers[0], mesh.containers[1].ip), "the others talk on")


def find_it_again(show, mesh):
    lost = mesh.nodes[2]
    before = mesh.listed()[lost.name]
    show.title("node3 is back: cable plugged, the same two commands")
    lost.set_cable(True)
    start = time.monotonic()
    show.typed(lost.name, "quilt-runtime")
    mesh.start_runtime(lost)
    show.typed(lost.name, mesh.agent_command(lost))
    mesh.start_agent(lost)
    mesh.wait_joined()
    wait_for(lambda: ping(mesh.containers[0], mesh.containers[2].ip), 5, "c3 to answer c1")
    took_s = time.monotonic() - start
    after = mesh.listed()[lost.name]
    show.shown(mesh.nodes[0], "ip route show dev vxlan100")
    show.prove((after["node_id"], after["subnet"]) == (before["node_id"], before["subnet"]),
               f"node3 is the same node with the same subnet {after['subnet']}")
    show.prove(True, f"its container, untouched, answers again after {took_s:.1f} s")


STEPS = (start_daemons, attach_containers, ping_all_pairs, move_bytes, kernel_view, lose_a_host,
         find_it_again)


def perform(show, lab):
    show.title("Three hosts on one switch, each a network, mount and PID namespace")
    mesh = Mesh(lab.build, 3, lab=lab, control_options=f"--node-timeout {NODE_TIMEOUT_S}s")
    for node in mesh.nodes:
        show.said(f"{node.name}  {node.ip}")
    for step in STEPS:
        step(show, mesh)
    return mesh


def show_logs(lab):
    """The end of each daemon's log: what a person needs after a step that failed."""
    for path in sorted(lab.dir.glob("*/quilt*.log")):
        print(f"\n--- {path.parent.name}: {path.stem}")
        print("\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:]))


def keep(mesh):
    """Writes an entry script for each host."""
    KEPT.mkdir()
    for node in mesh.nodes:
        script = KEPT / node.name
        path = node.environment()["PATH"]
        words = " ".join(node.enter_argv())
        script.write_text("#!/bin/sh\n# Runs a command (or a shell) on the demo's host.\n"
                          f"export PATH={path} QUILT_LAB={mesh.lab.id}\n[ $# -gt 0 ] || set -- "
                          f"env 'PS1={node.name}# ' sh\nexec {words} \"$@\"\n")
        script.chmod(stat.S_IRWXU)
    (mesh.lab.dir / "kept").touch()


def say_kept(show, mesh):
    show.title("The hosts stay up")
    for node in mesh.nodes:
        show.said(f"a shell on {node.name}:   {KEPT}/{node.name}")
    show.said(f"or one command:     {KEPT}/node1 quiltctl status")
    show.said(f"                    {KEPT}/node1 ip netns exec c1 ping {mesh.containers[2].ip}")
    show.said(f"logs:               {mesh.lab.dir}/node*/*.log")
    show.said("take them away:     tools/demo --down")


def new_lab_dir():
    """A directory for the laboratory, and the lock that says as long as this process lives, however
    it ends, that it is in use."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=LABS))
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return directory, lock


def is_in_use(directory):
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def sweep(is_down):
    """Takes away what demos that were killed have left; with is_down also what was kept. Returns
    how many."""
    gone = 0
    for directory in sorted(LABS.glob(PREFIX + "*")):
        if directory.lstat().st_uid != os.getuid() or is_in_use(directory):
            continue
        if (directory / "kept").exists() and not is_down:
            continue
        take_away(directory)
        gone += 1
    if is_down and KEPT.exists():
        for path in KEPT.iterdir():
            path.unlink()
        KEPT.rmdir()
    return gone


def take_down():
    print("demo: all gone" if sweep(is_down=True) else "demo: no hosts are kept")
    return 0


def fail(error, lab):
    """What a person needs to see; nobody may be looking any more."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    print(f"\n{paint('31', 'demo: failed')}: {error}", flush=True)
    if lab:
        show_logs(lab)


def say_proved(show):
    seconds = time.monotonic() - show.start
    print("\n" + bold(f"The mesh works: {len(show.proved)} claims proved in {seconds:.0f} s"))
    for claim in show.proved:
        print(f"  ok  {claim}")


def play(show, directory, is_kept):
    """The show. Whatever ends it, nothing stays but what is to be kept; returns the exit code."""
    lab, mesh, code = None, None, 1
    try:
        lab = Lab(PROJECT / "build", is_kept=is_kept, directory=directory)
        mesh = perform(show, lab)
        if is_kept:
            keep(mesh)
        code = 0
    except KeyboardInterrupt:
        code = 130
        with contextlib.suppress(BrokenPipeError):
            print("\ndemo: interrupted, taking everything away", flush=True)
    except Exception as error:  # whatever it was: evidence first, then tidy up
        fail(error, lab)
    finally:
        if code != 0 or not is_kept:
            for ending in ENDINGS:  # tidying up is not to be interrupted, too
                signal.signal(ending, signal.SIG_IGN)
            take_away(directory)
    if code == 0 and not is_kept:
        show.title("Everything is taken away again")
        left = leftovers(lab)
        show.said("\n".join(left))
        show.prove(not left, "no process, mount, link or file is left")
    if code == 0:
        say_proved(show)
        if is_kept:
            say_kept(show, mesh)
    return code


def run(is_kept):
    if sweep(is_down=False):
        print("demo: took away what an interrupted demo had left")
    if KEPT.exists():
        print("demo: hosts of an earlier --keep are still up; tools/demo --down takes them away",
              file=sys.stderr)
        return 1
    show = Show()
    directory, lock = new_lab_dir()
    code = play(show, directory, is_kept)
    os.close(lock)
    return code


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    for ending in ENDINGS:
        signal.signal(ending, interrupt)
    os.environ.pop("QUILT_LAB", None)
    if sys.argv[1:] == ["--down"]:
        return take_down()
    return run(sys.argv[1:] == ["--keep"])


if __name__ == "__main__":
    sys.exit(main())

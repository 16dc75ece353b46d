"""The laboratory: a switch, the hosts that are plugged into it, and the way it is taken away."""
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

from lab.place import Host
from lab.program import run
from lab.wait import wait_for

PROJECT = Path(__file__).resolve().parents[2]
MASKED = ("/run", "/var/lib")  # what each host has of its own
PROGRAMS = ("quilt-mesh-control", "quilt-mesh-agent", "quilt-runtime", "quiltctl")


class Lab:
    """Draw hosts with host(); close() leaves nothing behind. With is_kept the hosts outlive this
    process, and close() or take_away() takes them away later."""

    def __init__(self, build, extra_env=None, is_kept=False, directory=None):
        if os.geteuid() != 0:
            raise PermissionError("drawing hosts needs root")
        self.build = Path(build).resolve()
        self.is_kept = is_kept
        self.dir = Path(directory or tempfile.mkdtemp(prefix="quilt-lab-", dir="/tmp"))
        self.id = self.dir.name
        self.extra_env = dict(extra_env or {})
        self.programs = []
        self.hosts = {}
        self.switch = Host(self, "switch")
        self.switch.net("ip", "link", "add", "switch", "type", "bridge", "stp_state", "0",
                        "forward_delay", "0", "mcast_snooping", "0")
        # Or each frame would pass the netfilter hooks of IP on its way through the bridge, too.
        self.switch.net("sysctl", "-q", "-e", "-w", *(f"net.bridge.bridge-nf-call-{what}=0"
                                                      for what in ("iptables", "ip6tables", "arptables")))
        self.switch.net("ip", "link", "set", "switch", "up")

    def bin_path(self):
        """Where the built programs lie, as for PATH."""
        found = {path.parent for name in PROGRAMS for path in self.build.glob(f"*/{name}")}
        return ":".join(str(path) for path in sorted(found)) or str(self.build)

    def tool(self, name):
        """The path of one of the laboratory's own scripts."""
        return Path(__file__).with_name(name)

    def let_in(self, directory):
        """Gives a directory of the laboratory, and the way to it, to nobody."""
        os.chown(directory, 65534, 65534)
        self.dir.chmod(0o711)

    def keep_visible(self):
        """Directories that lie below a masked one and must stay visible on the hosts."""
        return sorted(str(path) for path in {PROJECT, self.build}
                      if any(str(path).startswith(mask + "/") for mask in MASKED))

    def host(self, name, ip=None, mtu=1500):
        """A new host, plugged into the switch when it is given an address."""
        host = Host(self, name)
        self.hosts[name] = host
        if ip:
            host.plug(ip, mtu=mtu)
        return host

    def close(self):
        """Ends every program, takes the hosts away, removes the files."""
        hosts = [*self.hosts.values(), self.switch]
        for host in hosts:
            host.power_off()
        for host in hosts:
            host.wait_gone()
        self.hosts.clear()
        unmount_below(self.dir)
        shutil.rmtree(self.dir)

    def stop_programs(self, deadline_s=10):
        """SIGTERM to all that still runs, and their exit codes by name: sanitizers report leaks
        only when a program ends by itself."""
        running = [program for program in self.programs if program.is_alive()]
        for program in running:
            program.signal(signal.SIGTERM)
        return {f"{program.name} on {program.place.name}": program.wait_end(deadline_s)
                for program in running}


def take_away(directory):
    """Takes away the laboratory in this directory, whoever drew it and whether or not he still
    lives: every process that bears its mark, its mounts, its files."""
    lab_id = Path(directory).name
    wait_for(lambda: not kill_all(lab_id), 20, lambda: f"the end of {processes_of(lab_id)}")
    unmount_below(directory)
    shutil.rmtree(directory)


def kill_all(lab_id):
    """SIGKILL to what runs of a laboratory; whether there was anything."""
    left = processes_of(lab_id)
    for pid, _ in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(left)


def processes_of(lab_id):
    """PID and command line of every process that this laboratory started and that still runs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"QUILT_LAB={lab_id}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append((int(entry.name), words))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def leftovers(lab):
    """What a closed laboratory has left on the machine: nothing, or words about it."""
    left = [f"process {pid}: {words}" for pid, words in processes_of(lab.id)]
    left += [f"mount: {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines()
             if str(lab.dir) in line]
    left += [f"link: {link}" for link in sorted(os.listdir("/sys/class/net"))
             if link in ("vxlan100", "switch") or link.startswith("qv")]
    if lab.dir.exists():
        left.append(f"files: {lab.dir}")
    return left


def unmount_below(directory):
    """Only a laboratory in a plain chroot has mounts here (see holder.sh)."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        target = line.split()[4]
        if target.startswith(f"{directory}/"):
            run(["umount", "--lazy", target], check=False)

"""Where programs run: a host of the laboratory, or a container's network on such a host."""
import os
import subprocess
from pathlib import Path

from lab.program import SYSTEM_PATH, Program, find_tool, run, start_time
from lab.wait import wait_for

HOLDER = Path(__file__).with_name("holder.sh")


class Place:
    """Something one can run commands in. dir: where its files lie (outside and inside the same)."""

    def __init__(self, lab, name, directory):
        self.lab = lab
        self.name = name
        self.dir = directory

    def enter_argv(self):
        """The words in front of a command that make it run here."""
        raise NotImplementedError

    def environment(self, extra=None):
        """A clean environment; QUILT_LAB is how a process of ours is known."""
        env = {"PATH": f"{self.lab.bin_path()}:{SYSTEM_PATH}", "LC_ALL": "C.UTF-8",
               "HOME": "/root", "QUILT_LAB": self.lab.id}
        if "QUILT_DATAPLANE" in os.environ:  # every agent that is not told otherwise
            env["QUILT_DATAPLANE"] = os.environ["QUILT_DATAPLANE"]
        env.update({key: value.replace("@PLACE@", self.name)
                    for key, value in self.lab.extra_env.items()})
        env.update(extra or {})
        return env

    def run(self, *argv, check=True, deadline_s=60, env=None):
        """Runs a command here. One string is split at blanks, no shell sees it."""
        words = argv[0].split() if len(argv) == 1 else [str(word) for word in argv]
        return run(self.enter_argv() + words, check, deadline_s, env=self.environment(env))

    def out(self, *argv, **kwargs):
        """What the command printed."""
        return self.run(*argv, **kwargs).stdout

    def start(self, argv, name=None, env=None):
        """Starts a daemon here; its log is dir/NAME.log."""
        words = argv.split() if isinstance(argv, str) else argv
        program = Program(self, words, name or Path(words[0]).name, env)
        self.lab.programs.append(program)
        return program.start()


class Host(Place):
    """A host: its own network, mount, PID, UTS and IPC namespace, private /run and /var/lib."""

    def __init__(self, lab, name):
        directory = lab.dir / name
        directory.mkdir()
        super().__init__(lab, name, directory)
        self.containers = {}
        self.ip = None
        self._unshare = subprocess.Popen(
            self._unshare_argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(directory / "holder.log", "wb"), env=self.environment(),
            start_new_session=True)
        wait_for(self._is_ready, 10, lambda: "host " + name + " to stand:\n" +
                 (directory / "holder.log").read_text())
        self.pid = self._holder_pid()
        self.start_time = start_time(self.pid)

    def _unshare_argv(self):
        argv = [find_tool("unshare"), "--net", "--mount", "--pid", "--uts", "--ipc", "--fork",
                "--kill-child", "--propagation", "unchanged", "/bin/sh", str(HOLDER), self.name,
                str(self.dir)] + self.lab.keep_visible()
        if self.lab.is_kept:
            return argv
        return [find_tool("setpriv"), "--pdeathsig", "KILL"] + argv

    def _is_ready(self):
        if self._unshare.poll() is not None:
            raise RuntimeError(f"host {self.name}: unshare ended ({self._unshare.returncode}): " +
                               (self.dir / "holder.log").read_text())
        return (self.dir / "ready").exists()

    def _holder_pid(self):
        pid = self._unshare.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def enter_argv(self):
        return [find_tool("nsenter"), "-t", str(self.pid), "-n", "-m", "-p", "-u", "-i", "-r",
                "--wdns=/", "--"]

    def plug(self, ip, prefix_len=24, mtu=1500, ifname="eth0"):
        """Gives the host a port on the switch."""
        switch = self.lab.switch
        port = f"{self.name[:10]}-{ifname}"
        switch.net("ip", "link", "add", "name", port, "mtu", mtu, "type", "veth", "peer", "name",
                   ifname, "mtu", mtu, "netns", self.pid)
        switch.net("ip", "link", "set", port, "master", "switch", "up")
        self.run("ip", "addr", "add", f"{ip}/{prefix_len}", "dev", ifname)
        self.run("ip", "link", "set", ifname, "up")
        self.ip = ip

    def readdress(self, ip, prefix_len=24, ifname="eth0"):
        """The host comes back from elsewhere: another address on the same port."""
        self.run("ip", "addr", "flush", "dev", ifname)
        self.run("ip", "addr", "add", f"{ip}/{prefix_len}", "dev", ifname)
        self.ip = ip

    def set_cable(self, is_plugged, ifname="eth0"):
        """Pulls or plugs the cable at the switch."""
        self.lab.switch.net("ip", "link", "set", f"{self.name[:10]}-{ifname}",
                            "up" if is_plugged else "down")

    def net(self, *argv, check=True):
        """As run(), in the host's network namespace only: quicker, and enough for ip and bridge."""
        return run([find_tool("nsenter"), "-t", str(self.pid), "-n", "--"] +
                   [str(word) for word in argv], check, env=self.environment())

    def container(self, name):
        """A new network namespace /run/netns/NAME on this host, with lo up."""
        self.run("ip", "netns", "add", name)
        container = Container(self, name)
        container.run("ip", "link", "set", "lo", "up")
        self.containers[name] = container
        return container

    def power_off(self):
        """Ends the holder and with it every process, mount and link of the host; the kernel takes a
        while over that."""
        self._unshare.kill()
        self._unshare.wait(timeout=10)

    def wait_gone(self):
        """After power_off(): until its last process is gone."""
        wait_for(lambda: start_time(self.pid) != self.start_time, 10,
                 f"processes of host {self.name} to end")


class Container(Place):
    """A network namespace on a host; its programs share all else with the host."""

    def __init__(self, host, name):
        super().__init__(host.lab, name, host.dir)
        self.host = host
        self.netns = f"/run/netns/{name}"
        self.ip = None

    def enter_argv(self):
        return [find_tool("nsenter"), "-t", str(self.host.pid), "-m", "-p", "-u", "-i", "-r",
                "--wdns=/", f"--net=/proc/{self.host.pid}/root{self.netns}", "--"]



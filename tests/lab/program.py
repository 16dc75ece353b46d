"""Programs inside namespaces: short commands that answer, and daemons that are watched."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from lab.wait import wait_for

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandFailed(AssertionError):
    """A command that had to succeed did not; the text has all it said."""


def find_tool(name):
    """The path of a system program, also when the caller's PATH lacks the sbin directories."""
    path = shutil.which(name, path=SYSTEM_PATH)
    if not path:
        raise RuntimeError(f"{name} is not installed: run tools/bootstrap")
    return path


def run(argv, check=True, deadline_s=60, **kwargs):
    """Runs a command and returns it (stdout and stderr as text)."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=deadline_s, check=False, **kwargs)
    if check and done.returncode != 0:
        words = " ".join(str(word) for word in argv)
        raise CommandFailed(f"exit {done.returncode}: {words}\n{done.stdout}{done.stderr}")
    return done


def start_time(pid):
    """When a process started (clock ticks after boot), None when there is none. With the PID it
    names one process for good."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(text.rsplit(")", 1)[1].split()[19])


def is_running(pid):
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def rss_mib(pid, kind="VmRSS"):
    """The memory of a process that is resident; RssAnon: what of it is not a file's."""
    return int(re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def cpu_ns(pid):
    """CPU time of a process and all its threads; those that have ended are not in it."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


class Program:
    """A long-running program inside a place (Host or Container): its log goes to a file, and it can
    be killed and started again with the same words."""

    def __init__(self, place, argv, name, env=None):
        self.place = place
        self.argv = [str(word) for word in argv]
        self.name = name
        self.env = env or {}
        self.log_path = place.dir / f"{name}.log"
        self.was_told_to_end = False
        self.pid = None  # as seen from outside
        self._entry = None

    def start(self):
        """Starts it; returns once the program itself runs (not once it is ready)."""
        self.was_told_to_end = False
        with open(self.log_path, "ab") as log:
            self.ready_from = log.tell()
            self._entry = subprocess.Popen(
                self.place.enter_argv() + self.argv, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=self.place.environment(self.env),
                start_new_session=True)
        self.pid = wait_for(self._child_pid, 10, f"{self.name} to start")
        return self

    def _child_pid(self):
        pid = self._entry.pid
        if self._entry.poll() is not None:
            raise CommandFailed(f"{self.name} ended at once ({self._entry.returncode}):\n"
                                f"{self.log_tail()}")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def is_alive(self):
        return self._entry is not None and self._entry.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_log(self, text, deadline_s=20):
        """Waits until this run of the program has logged the text."""
        def has_said():
            with open(self.log_path, "rb") as log:
                log.seek(self.ready_from)
                if text.encode() in log.read():
                    return True
            if not self.is_alive():
                raise CommandFailed(f"{self.name} ended ({self._entry.returncode}) before it said "
                                    f"{text!r}:\n{self.log_tail()}")
            return False
        wait_for(has_said, deadline_s, lambda: f"{self.name} to say {text!r}:\n{self.log_tail()}")
        return self

    def wait_ready(self, deadline_s=20):
        return self.wait_log('msg="ready"', deadline_s)

    def signal(self, signo):
        self.was_told_to_end |= signo in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
        os.kill(self.pid, signo)
        if signo == signal.SIGCONT:
            self._entry.send_signal(signo)  # nsenter stops itself when its child is stopped

    def has_crashed(self):
        """Whether it has ended although nobody told it to."""
        return not self.is_alive() and not self.was_told_to_end

    def wait_end(self, deadline_s=10):
        """Waits until it has ended; returns its exit code, -N for signal N."""
        try:
            return self._entry.wait(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {deadline_s} s:\n"
                                 f"{self.log_tail()}") from None

    def kill(self):
        """kill -9, and gone."""
        self.signal(signal.SIGKILL)
        return self.wait_end()

    def stop(self, deadline_s=10):
        """SIGTERM, and gone: returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_end(deadline_s)

    def cease(self):
        """Ends it in any case, if it still runs."""
        if self.is_alive():
            self.kill()

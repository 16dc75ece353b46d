"""A host for quilt-runtime, the real daemon: a network and a mount namespace, in which `ip` and `nft` look
as a second pair of eyes. python3-grpcio calls it through a unix socket, which reaches across. Needs root."""
import json
import re
import signal
import subprocess
import time

import grpc
import pytest
from messages import BUILD, message_class

RUNTIME = BUILD / "runtime/quilt-runtime"
DEADLINE_S = 20


def wait_for(fact, describe, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not (value := fact()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {describe}"
        time.sleep(0.005)
    return value


class Host:
    """A network and a mount namespace with a private /run/netns, and a runtime in it."""

    def __init__(self, directory):
        self.dir = directory
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-ec",
             "mkdir -p /run/netns; mount -t tmpfs none /run/netns; ip link set lo up;"
             "echo ready; exec sleep infinity"], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"
        self.process = None
        self.channel = None
        self.log = directory / "log"
        self.log.write_text("")
        self.socket = directory / "runtime.sock"

    def argv(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--"] + [str(word) for word in words]

    def run(self, *words, check=True):
        if len(words) == 1:
            words = words[0].split()
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def out(self, *words):
        return self.run(*words).stdout

    def runtime_argv(self, *options):
        return self.argv(RUNTIME, "--state-dir", self.dir / "state", "--run-dir", self.dir / "run",
                         "--grpc-addr", f"unix:{self.socket}", *options)

    def start(self, *options):
        with open(self.log, "a", encoding="utf-8") as log:
            begin = log.tell()
            self.process = subprocess.Popen(self.runtime_argv(*options), stderr=log)
        wait_for(lambda: 'msg="ready"' in self.log.read_text()[begin:] or self.process.poll() is not None,
                 "the runtime to be ready")
        assert self.process.poll() is None, self.log.read_text()
        self.connect()
        return self

    def connect(self):
        if self.channel:
            self.channel.close()
        self.channel = grpc.insecure_channel(f"unix:{self.socket}",
                                             options=[("grpc.use_local_subchannel_pool", 1)])

    def call(self, method, **fields):
        return self.begin(method, **fields).result()

    def begin(self, method, **fields):
        request = message_class(f"quilt.{method}Request")(**fields)
        reply = message_class(f"quilt.{method}Reply")
        stub = self.channel.unary_unary(f"/quilt.QuiltRuntime/{method}",
                                        request_serializer=lambda m: m.SerializeToString(),
                                        response_deserializer=reply.FromString)
        return stub.future(request, timeout=DEADLINE_S, wait_for_ready=True)

    def ok(self, method, **fields):
        reply = self.call(method, **fields)
        assert reply.success, reply.error
        assert reply.error == ""
        return reply

    def fails(self, method, **fields):
        reply = self.call(method, **fields)
        assert not reply.success
        assert len(reply.error) > 10
        return reply.error

    def health(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        return check(b"", timeout=DEADLINE_S)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0, self.log.read_text()

    def container(self, name):
        self.run("ip", "netns", "add", name)
        return f"/run/netns/{name}"

    def make_containers(self, names):
        path = self.dir / "batch"
        path.write_text("".join(f"netns add {name}\n" for name in names))
        self.run("ip", "-batch", path)

    def attach(self, name, **fields):
        return self.ok("AttachEndpoint", id=name, netns=f"/run/netns/{name}", **fields)

    def pings(self, name, to, count=3):
        return self.run("ip", "netns", "exec", name, "ping", "-q", "-c", count, "-i", "0.01", "-W", "1", to,
                        check=False).returncode == 0

    def overlay(self, name="vxlan100"):
        """What the agent makes, as far as the runtime looks at it."""
        self.run("ip", "link", "add", name, "mtu", "1450", "type", "vxlan", "id", "100", "dstport", "4789",
                 "local", "192.0.2.1", "nolearning")
        self.run("ip", "link", "set", name, "alias", "quilt:overlay")
        self.run("ip", "link", "set", name, "up")

    def route(self, destination="10.42.2.0/24"):
        return self.out("ip", "route", "show", destination).strip()

    def wait_frames(self, text):
        """The table of frames follows a few milliseconds later."""
        wait_for(lambda: text in self.out("nft list table netdev quilt"), f"{text} in netdev quilt")

    def dump(self):
        """All that is ours in the kernel, with indices and handles: made anew is seen as other."""
        text = "".join(self.out("ip", "-d", *what) for what in
                       (["link"], ["route"], ["neigh", "show", "nud", "permanent"]))
        text += re.sub(r"packets \d+ bytes \d+", "", self.out("nft", "-a", "list", "ruleset"))
        return text

    def settled_dump(self):
        """The same, once it stays for half a second: the kernel tells of some changes late, and so comes their
        repair."""
        looks = [self.dump()]

        def stays():
            time.sleep(0.5)
            looks.append(self.dump())
            return looks[-1] == looks[-2]
        wait_for(stays, "nothing to change any more")
        return looks[-1]

    def state(self):
        return json.loads((self.dir / "state/runtime.json").read_text())["content"]

    def end(self):
        if self.channel:
            self.channel.close()
        try:
            if self.process and self.process.poll() is None:
                self.stop()
        finally:
            self.holder.kill()
            self.holder.wait(DEADLINE_S)
            self.holder.stdout.close()
        text = self.log.read_text()
        assert not re.search(r"Sanitizer|runtime error", text), text


@pytest.fixture(name="host")
def fixture_host(tmp_path):
    host = Host(tmp_path)
    yield host
    host.end()


@pytest.fixture(name="node")
def fixture_node(host):
    host.start()
    host.ok("ConfigureNodeSubnet", subnet="10.42.1.0/24")
    host.wait_frames("map hops")
    return host

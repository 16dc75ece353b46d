"""What the kernel of a host holds: dumps for before-and-after comparison, and single questions.

A dump has everything that a configuring program could have written, our objects and foreign ones,
with handles and interface indices: equal dumps mean that nothing was even made anew. What moves by
itself (counters, the ARP state of the underlay) is left out.
"""
import json

from lab.wait import wait_for

OVERLAY = "vxlan100"
SYSCTLS = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv4.conf.all.rp_filter",
           "net.ipv4.conf.all.proxy_arp", "net.ipv4.conf.default.forwarding")
MOVING = {"stats", "stats64", "valid_life_time", "preferred_life_time", "used", "confirmed",
          "updated", "probes", "bytes", "packets", "metainfo"}


def without_moving(value):
    """The JSON value without the members that change by themselves."""
    if isinstance(value, dict):
        return {key: without_moving(item) for key, item in value.items() if key not in MOVING}
    if isinstance(value, list):
        return [without_moving(item) for item in value]
    return value


def ip_json(host, *words):
    """The parsed answer of ip -j; an empty answer is an empty list."""
    return json.loads(host.net("ip", "-j", *words).stdout or "[]")


def routes(host):
    return ip_json(host, "-d", "route", "show", "table", "all")


def overlay_routes(host):
    """destination -> the route's member table, of what goes through the overlay device."""
    return {route["dst"]: route
            for route in ip_json(host, "-d", "route", "show", "dev", OVERLAY, "table", "main")}


def overlay_link(host):
    """The overlay device, None when there is none."""
    done = host.net("ip", "-j", "-d", "link", "show", OVERLAY, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def overlay_fdb(host):
    done = host.net("bridge", "-j", "fdb", "show", "dev", OVERLAY, check=False)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def overlay_neighbours(host):
    return ip_json(host, "-d", "neigh", "show", "dev", OVERLAY, "nud", "permanent")


def table(host, family="inet", name="quilt"):
    """The nftables table as JSON, None when there is none."""
    done = host.net("nft", "-j", "list", "table", family, name, check=False)
    return without_moving(json.loads(done.stdout)["nftables"]) if done.returncode == 0 else None


def interfaces(host):
    return [link["ifname"] for link in ip_json(host, "link", "show")]


def dump(host):
    """Everything, by kind. Only links' carrier-like state is kept out of the comparison."""
    result = {
        "links": ip_json(host, "-d", "link", "show"),
        "addresses": ip_json(host, "addr", "show"),
        "routes": routes(host),
        "rules": ip_json(host, "rule", "show"),
        "neighbours": ip_json(host, "-d", "neigh", "show", "nud", "permanent"),
        "fdb": json.loads(host.net("bridge", "-j", "fdb", "show").stdout or "[]"),
        "nftables": json.loads(host.net("nft", "-j", "-a", "list", "ruleset").stdout)["nftables"],
        "sysctls": {name: host.net("sysctl", "-n", name).stdout.strip() for name in SYSCTLS},
    }
    return without_moving(result)


def difference(before, after):
    """Lines that say what changed between two dumps; empty: nothing."""
    lines = []
    for kind, old in before.items():
        new = after[kind]
        if isinstance(old, dict):
            lines += [f"{kind}: {key}: {old[key]} -> {new[key]}" for key in old
                      if old[key] != new[key]]
            continue
        old_items = [json.dumps(item, sort_keys=True) for item in old]
        new_items = [json.dumps(item, sort_keys=True) for item in new]
        lines += [f"{kind}: gone: {item}" for item in old_items if item not in new_items]
        lines += [f"{kind}: new: {item}" for item in new_items if item not in old_items]
        if not lines and old_items != new_items:
            lines.append(f"{kind}: another order")
    return lines


class ChangeLog:
    """Every netlink notification of a host while the block runs, as ip monitor and nft monitor
    print them. What a daemon writes anew shows up here even when the dumps are equal. Of neighbours
    and forwarding entries those of the overlay count; the underlay's come and go by themselves."""

    WATCHERS = {"ip-monitor": ["ip", "monitor", "link", "address", "route", "rule"],
                "neigh-monitor": ["ip", "monitor", "neigh"], "nft-monitor": ["nft", "monitor"]}

    def __init__(self, host):
        self.host = host
        self.watchers = []

    def __enter__(self):
        self.watchers = [self.host.start(argv, name) for name, argv in self.WATCHERS.items()]
        self.start_sizes = [watcher.log_path.stat().st_size for watcher in self.watchers]
        self._wait_listening()
        return self

    def _wait_listening(self):
        """Proves that the watchers hear: adds and removes an object until all have said so."""
        neighbour = ["203.0.113.78", "dev", "eth0"]

        def hears():
            self.host.net("ip", "route", "add", "blackhole", "203.0.113.77/32")
            self.host.net("ip", "route", "del", "blackhole", "203.0.113.77/32")
            self.host.net("ip", "neigh", "replace", *neighbour, "lladdr", "02:00:00:00:00:01")
            self.host.net("ip", "neigh", "del", *neighbour)
            self.host.net("nft", "add", "table", "ip", "lab_probe")
            self.host.net("nft", "delete", "table", "ip", "lab_probe")
            return all("203.0.113.7" in watcher.log() or "lab_probe" in watcher.log()
                       for watcher in self.watchers)
        wait_for(hears, 10, "monitors to listen", 0.05)

    def __exit__(self, *_):
        for watcher in self.watchers:
            watcher.cease()

    def lines(self):
        """What was heard, without our own probes and nft's transaction marks."""
        heard = []
        for watcher, start in zip(self.watchers, self.start_sizes):
            text = watcher.log_path.read_bytes()[start:].decode(errors="replace")
            heard += [line for line in text.splitlines()
                      if "203.0.113.7" not in line and "lab_probe" not in line
                      and not line.startswith("# new generation") and line.strip()
                      and (watcher.name != "neigh-monitor" or f"dev {OVERLAY}" in line)]
        return heard

    def deletions(self):
        """Of those, what was taken away."""
        return [line for line in self.lines() if line.startswith(("Deleted", "delete"))]

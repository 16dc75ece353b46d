"""What really happened in a control plane, told by what it logs before it publishes and by its file, and whether
what its followers were told is that: one check for each thing that a watch promises. A check returns
(how often it looked, [what is wrong])."""
import re
from bisect import bisect_right

from followers import BOOKMARK, EVENT, KINDS, OPEN, SNAPSHOT

READY = re.compile(r' msg="ready" .* revision=(\d+)$')
NODE = re.compile(r' msg="node ([a-z]+)" node_id=(\S+) hostname=(\S+) host_ip=(\S+) subnet=(\S+) revision=(\d+)$')
RESERVATION = re.compile(r' msg="(subnet reserved|reservation taken back)" host=(\S+) subnet=(\S+) revision=(\d+)$')
STATUS = {"registered": "up", "up": "up", "down": "down", "left": "down", "revoked": "down"}
KEPT = 10000  # so many changes a control plane can tell again; EVENTS_KEPT in control/services/events.h
UNKNOWN = ("unknown",)


class History:
    """changes: of each revision (key, value); begins: the revision of each start of the control plane."""

    def __init__(self):
        self.changes, self.begins = {}, []

    def add_run(self, log, database):
        """One run of the control plane is over: what it has logged, and what it has stored without coming to log it,
        because it was killed in between. Of that nobody was told before the next start."""
        stored_last = {}
        for line in log.splitlines():
            self.add_line(line)
        state = read_state(database)
        hosts = {value: key for key, value in state.items() if key[0] == "reservation"}
        for revision, kind, name in database.execute("SELECT revision, kind, id FROM changes WHERE kind IN "
                                                     "('node', 'reservation') ORDER BY revision"):
            key = (kind, name) if kind == "node" else hosts.get(name) or self.find_host(name)
            stored_last.setdefault(key, []).append(revision)
        for key, revisions in stored_last.items():
            for revision in revisions:
                value = state.get(key) if revision == revisions[-1] else UNKNOWN
                self.changes.setdefault(revision, (key, value))
        return state

    def add_line(self, line):
        if found := NODE.search(line):
            word, node_id, hostname, ip, subnet, revision = found.groups()
            value = None if word == "deleted" else (hostname, ip, subnet, STATUS[word])
            self.changes[int(revision)] = ("node", node_id), value
        elif found := RESERVATION.search(line):
            word, host, subnet, revision = found.groups()
            self.changes[int(revision)] = ("reservation", host), subnet if word == "subnet reserved" else None
        elif found := READY.search(line):
            self.begins.append(int(found.group(1)))

    def find_host(self, subnet):
        """Whose reservation that was, which is not there any more."""
        return next(key for _, (key, value) in sorted(self.changes.items(), reverse=True) if value == subnet)

    def seal(self):
        """Everything has been added."""
        self.all = sorted(self.changes)
        self.of_kinds = {kinds: [r for r in self.all if self.changes[r][0][0] in wanted(kinds)] for kinds in KINDS}

    def between(self, kinds, after, until):
        """The revisions of these kinds behind the one, up to the other."""
        revisions = self.of_kinds[kinds]
        return revisions[bisect_right(revisions, after):bisect_right(revisions, until)]

    def is_told_anew(self, after, until):
        """Whether who knows everything up to the one may be given a snapshot of the other instead of what it missed:
        the control plane has started in between, or it is too much."""
        return any(after < begin <= until for begin in self.begins) or (
            bisect_right(self.all, until) - bisect_right(self.all, after) > KEPT)


def wanted(kinds):
    return set((kinds or "node").split(","))


def read_state(database):
    nodes = {("node", name): value for name, *value in database.execute(
        "SELECT node_id, hostname, host_ip, subnet, status FROM nodes")}
    reservations = {("reservation", host): subnet for host, subnet in database.execute(
        "SELECT host, subnet FROM reservations")}
    return {**{key: tuple(value) for key, value in nodes.items()}, **reservations}


def of_kinds(state, kinds):
    return {key: value for key, value in state.items() if key[0] in wanted(kinds)}


# ---- what a watch promises ----------------------------------------------------------------------


def check_ordered(history, kinds, record):
    """Time goes forward only, within a stream and from one stream to the next."""
    wrong, last = [], 0
    told = [item for item in record if item[0] != OPEN]
    for item in told:
        if item[1] < last:
            wrong.append(f"{item[:2]} after {last}")
        last = max(last, item[1])
    return len(told), wrong


def check_unique(history, kinds, record):
    """Nothing is told twice, be it by a snapshot and again by an event."""
    wrong, seen, count = [], set(), 0
    told_by_snapshot = 0
    for item in record:
        if item[0] == SNAPSHOT:
            told_by_snapshot = item[1]
        if item[0] != EVENT:
            continue
        count += 1
        if item[1] in seen or item[1] <= told_by_snapshot:
            wrong.append(f"{item[:3]} again")
        seen.add(item[1])
    return count, wrong


def check_atomic(history, kinds, record):
    """A revision is one change, told whole: an event has all of it, a snapshot all changes up to its revision
    and nothing of a later one."""
    wrong, count = [], 0
    for item in record:
        if item[0] != EVENT:
            continue
        count += 1
        key, value = history.changes.get(item[1], (None, None))
        if value != UNKNOWN and (key, value) != item[2:]:
            wrong.append(f"{item} is {(key, value)}")
    snapshots = sorted((item for item in record if item[0] == SNAPSHOT), key=lambda item: item[1])
    state, at = {}, 0
    for _, revision, told in snapshots:
        while at < len(history.all) and history.all[at] <= revision:
            apply(state, *history.changes[history.all[at]])
            at += 1
        count += 1
        differing = [key for key in told.keys() | of_kinds(state, kinds).keys()
                     if state.get(key) != UNKNOWN and told.get(key) != state.get(key)]
        if differing:
            wrong.append(f"the snapshot of {revision}: " + ", ".join(
                f"{key} is {state.get(key)} and not {told.get(key)}" for key in differing[:3]))
    return count, wrong


def apply(state, key, value):
    state[key] = value
    if value is None:
        del state[key]


def check_reliable(history, kinds, record):
    """Within a stream nothing is left out."""
    wrong, count, at = [], 0, None
    for item in record:
        if item[0] == EVENT and at is not None:
            count += 1
            missing = history.between(kinds, at, item[1] - 1)
            if missing:
                wrong.append(f"{missing[:5]} before {item[1]}")
        at = None if item[0] == OPEN else item[1] if item[0] in (EVENT, SNAPSHOT) else at
    return count, wrong


def check_resumable(history, kinds, record):
    """Who comes back with a revision gets exactly what follows it, or a snapshot if it has to be."""
    wrong, count = [], 0
    for before, item in zip(record, record[1:]):
        if before[0] != OPEN or item[0] == OPEN:
            continue
        count += 1
        if item[0] == SNAPSHOT:
            if before[1] is not None and not history.is_told_anew(before[1], item[1]):
                wrong.append(f"back with {before[1]}, it gets a snapshot of {item[1]}")
        elif before[1] is None:
            wrong.append(f"new, it gets {item[:2]}")
        else:
            missing = history.between(kinds, before[1], item[1] - (item[0] == EVENT))
            if missing:
                wrong.append(f"back with {before[1]}, it gets {item[:2]} and not {missing[:5]}")
    return count, wrong


def check_bookmarked(history, kinds, record):
    """When a bookmark comes, all up to its revision has been told."""
    wrong, count, at = [], 0, 0
    for item in record:
        if item[0] == OPEN:
            at = item[1] or 0
            continue
        if item[0] == BOOKMARK:
            count += 1
            missing = history.between(kinds, at, item[1])
            if missing:
                wrong.append(f"a bookmark of {item[1]} before {missing[:5]}")
        at = max(at, item[1])
    return count, wrong


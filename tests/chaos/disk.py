"""A disk that fails: what disk.c, preloaded into a daemon, is to do, and what the daemon has written."""
import mmap
import os
import random
import shutil
import struct
from pathlib import Path

from plane import BUILD

SHIM = BUILD / "tests" / "chaos" / "chaos_disk.so"
WRITE, SYNC, RENAME, UNLINK, TRUNCATE, LINK = (1 << bit for bit in range(6))
SECTOR = 512

# struct plan of disk.c: the wall clock, then numbers of 32 bits.
PLAN_SIZE = 48
FIELDS = {name: 8 + 4 * index for index, name in enumerate(
    ["kill_at", "fail_calls", "fail_from", "fail_count", "fail_errno", "delay_calls", "delay_ms",
     "steps", "matches", "long_write"])}
STEP = struct.Struct("<qQqIIII")


class Disk:
    """The plan for the daemons that run with env(). It can be changed while they run."""

    def __init__(self, directory, plan_dir):
        self.directory = Path(directory)
        self.path = Path(plan_dir) / "disk.plan"
        self.trace_path = Path(plan_dir) / "disk.trace"
        self.path.write_bytes(bytes(PLAN_SIZE))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), PLAN_SIZE)

    def env(self, is_traced=False):
        words = {"LD_PRELOAD": str(SHIM), "CHAOS_PLAN": str(self.path), "CHAOS_DIR": str(self.directory)}
        return {**words, "CHAOS_TRACE": str(self.trace_path)} if is_traced else words

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("<I", self.map, FIELDS[name], value)

    def get(self, name):
        return struct.unpack_from("<I", self.map, FIELDS[name])[0]

    def heal(self):
        """No fault any more, all counts from the start."""
        self.set(**dict.fromkeys(FIELDS, 0))

    def move_wall_clock(self, offset_s):
        struct.pack_into("<q", self.map, 0, offset_s)

    def trace(self):
        """What was done, in order."""
        data, at, steps = self.trace_path.read_bytes(), 0, []
        while at < len(data):
            began_ns, inode, offset, call, count, entries, _ = STEP.unpack_from(data, at)
            at += STEP.size
            steps.append(Step(began_ns, inode, offset, call, data[at:at + count],
                              data[at + count:at + count + entries].decode()))
            at += count + entries
        return steps


class Step:
    """One entry of a trace; names: what the directory has after it, inode by name."""

    def __init__(self, began_ns, inode, offset, call, data, entries):
        self.began_ns, self.inode, self.offset, self.call, self.data = began_ns, inode, offset, call, data
        self.names = {line.split(" ", 1)[1]: int(line.split(" ", 1)[0]) for line in entries.splitlines()}


class Content:
    """A file: what the kernel has, what the disk has for certain, and the writes in between."""

    def __init__(self):
        self.live, self.durable, self.unsynced = bytearray(), b"", []

    def apply(self, step):
        if step.call == SYNC:
            self.durable, self.unsynced = bytes(self.live), []
        elif step.call in (WRITE, TRUNCATE):
            change(self.live, step.call, step.offset, step.data)
            self.unsynced.append(step)

    def torn(self, chance):
        """What the disk may have: of each unsynced write some sectors, whatever their order."""
        content = bytearray(self.durable)
        for step in self.unsynced:
            if step.call == TRUNCATE:
                if chance.random() < 0.5:
                    change(content, TRUNCATE, step.offset, b"")
                continue
            for at in range(0, len(step.data), SECTOR):
                if chance.random() < 0.5:
                    change(content, WRITE, step.offset + at, step.data[at:at + SECTOR])
        return content


def change(content, call, offset, data):
    if call == TRUNCATE:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset:offset + len(data)] = data


class Replay:
    """A trace, step by step, with what a power cut would leave after each. A name is on the disk once
    the directory is synced, content once the file is; nothing else is promised."""

    def __init__(self, directory_inode):
        self.directory_inode = directory_inode
        self.files = {}          # by inode, of those that have a name
        self.live_names = {}     # name: Content
        self.durable_names = {}
        self.chance = random.Random(7)

    def apply(self, step):
        is_of_directory = step.inode == self.directory_inode
        if not is_of_directory and step.call in (WRITE, TRUNCATE, SYNC):
            self.files.setdefault(step.inode, Content()).apply(step)
        self.live_names = {name: self.files.setdefault(inode, Content())
                           for name, inode in step.names.items()}
        # A file without a name is gone, and its inode may be that of another one soon.
        self.files = {inode: self.files[inode] for inode in step.names.values()}
        if is_of_directory and step.call == SYNC:
            self.durable_names = dict(self.live_names)

    def write_state(self, directory, kind):
        """kind: "kept" (as after kill -9), "dropped" (only what was synced), "torn" (some of it)."""
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        names = self.durable_names
        if kind == "kept" or (kind == "torn" and self.chance.random() < 0.5):
            names = self.live_names
        for name, content in names.items():
            bytes_of = {"kept": lambda c: c.live, "dropped": lambda c: c.durable,
                        "torn": lambda c: c.torn(self.chance)}[kind]
            (Path(directory) / name).write_bytes(bytes_of(content))

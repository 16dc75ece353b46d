"""Allocations that fail: what memory.c, preloaded into a daemon, is to do."""
import mmap
import struct
from pathlib import Path

from plane import BUILD

SHIM = BUILD / "tests" / "chaos" / "chaos_memory.so"
PLAN = struct.Struct("<IIII")  # struct plan of memory.c


class Memory:
    """The plan for the daemons that run with env(). It can be changed while they run."""

    def __init__(self, plan_dir):
        self.path = Path(plan_dir) / "memory.plan"
        self.path.write_bytes(bytes(PLAN.size))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), PLAN.size)

    def env(self):
        return {"LD_PRELOAD": str(SHIM), "CHAOS_MEMORY": str(self.path)}

    def fail(self, per_million, seed=0):
        """From now on so many of a million fail, always the same ones of a seed."""
        PLAN.pack_into(self.map, 0, per_million, seed, 0, 0)

    def counts(self):
        """Allocations since then, and how many failed."""
        return PLAN.unpack_from(self.map)[2:]

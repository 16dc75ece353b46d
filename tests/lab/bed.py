"""The test bed: draws meshes for tests and takes them away, with all that must be looked at then."""
import os
from pathlib import Path

import pytest
from lab.mesh import Mesh
from lab.network import Lab, leftovers

TESTS = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("QUILT_BUILD", TESTS.parent / "build"))
RELEASE = Path(os.environ.get("QUILT_RELEASE_BUILD", TESTS.parent / "build"))
LOG_LINES = 60
DAEMONS = ("quilt-mesh-control", "quilt-mesh-agent", "quilt-runtime")
BED = pytest.StashKey()


def sanitizer_env(directory):
    """Reports go to files, so that none is missed in a log; the first one ends the program."""
    log = f"log_path={directory}/sanitizer-@PLACE@"
    return {"ASAN_OPTIONS": f"{log}:detect_leaks=1",
            "UBSAN_OPTIONS": f"{log}:print_stacktrace=1:halt_on_error=1"}


class Bed:
    """Whose meshes, and all that runs on them, end with close()."""

    def __init__(self):
        self.labs = []

    def lab(self, build=BUILD):
        lab = Lab(build)
        lab.extra_env = sanitizer_env(lab.dir)
        self.labs.append(lab)
        return lab

    def mesh(self, hosts=3, is_started=True, build=BUILD, kind=Mesh, **options):
        mesh = kind(build, hosts, lab=self.lab(build), **options)
        return mesh.start_all() if is_started else mesh

    def logs(self):
        """The end of every log there is."""
        for lab in self.labs:
            for path in sorted(lab.dir.glob("*/*.log")):
                lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:]
                if lines:
                    yield f"{path.parent.name}/{path.name}", "\n".join(lines)

    def close(self):
        """Ends all the gentle way and judges: exit codes, sanitizer reports, leftovers."""
        wrong = []
        for lab in self.labs:
            wrong += [f"{program.name} on {program.place.name} ended by itself:\n"
                      f"{program.log_tail()}" for program in lab.programs
                      if program.name.startswith(DAEMONS) and program.has_crashed()]
            codes = lab.stop_programs()
            wrong += [f"SIGTERM: {name} ended with {code}" for name, code in codes.items()
                      if name.startswith(DAEMONS) and code != 0]
            wrong += [path.read_text(errors="replace")
                      for path in sorted(lab.dir.glob("sanitizer*"))]
            lab.close()
            wrong += leftovers(lab)
        self.labs = []
        assert not wrong, "\n".join(wrong)


def bed_of(node):
    bed = Bed()
    node.stash[BED] = bed
    yield bed
    bed.close()


def add_logs(item, call, report):
    """A failure shows the logs of all programs of its mesh."""
    if not report.failed or call.when == "teardown":
        return
    for node in (item, item.parent):
        bed_there = node.stash.get(BED, None)
        if bed_there:
            report.sections += list(bed_there.logs())

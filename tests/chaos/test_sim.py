"""The simulator: a whole mesh on a fake clock, seed by seed, and the faults planted in it that it has to find."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from plane import BUILD

SIM = BUILD / "tests" / "sim" / "sim"
PIECE = 50


def run_sim(*words):
    done = subprocess.run([SIM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.returncode, done.stdout


@pytest.mark.row("S1", "simulator: crashes, cuts, lies, clocks, at any step")
def test_seeds(figure, full):
    """A piece of seeds ends with its first that breaks something, and says how to run that one again."""
    seeds = 100_000 if full else 100
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ends = list(pool.map(lambda first: run_sim(first, first + PIECE - 1), range(1, seeds, PIECE)))
    broken = [text for code, text in ends if code != 0]
    figure(f"{seeds:,} seeds, {len(broken)} broken")
    assert not broken, "".join(broken)


@pytest.mark.row("S2", "simulator: planted faults")
def test_planted_faults(figure):
    code, text = run_sim("--mutations")
    planted, missed = map(int, re.search(r"^(\d+) planted faults, (\d+) not found$", text, re.MULTILINE).groups())
    figure(f"{planted} planted, {planted - missed} found")
    assert code == 0 and planted > 30 and missed == 0, text

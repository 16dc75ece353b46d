"""The manual pages say what the programs say: every option of --help is in its page with its default,
every option of the page is in --help, and groff reads them without a warning."""
import os
import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("QUILT_BUILD", TREE / "build"))
PAGES = {"control/quilt-mesh-control": "quilt-mesh-control.8", "agent/quilt-mesh-agent": "quilt-mesh-agent.8",
         "runtime/quilt-runtime": "quilt-runtime.8", "cli/quiltctl": "quiltctl.1"}


def help_text(program):
    env = {**os.environ, "ARGP_HELP_FMT": "rmargin=500"}
    return subprocess.run([BUILD / program, "--help"], capture_output=True, text=True, check=True, env=env).stdout


def help_of(program):
    """{option: default or None} of --help."""
    options = {}
    for line in help_text(program).splitlines():
        name = re.match(r"\s+(?:-\S, )?--([a-z-]+)", line)
        if name:
            default = re.search(r"\(default ([^ )]+)\)", line)
            options[name[1]] = default[1] if default else None
    return options


def page_of(page):
    """{option: its text} of an mdoc page's OPTIONS."""
    section = (TREE / "man" / page).read_text(encoding="utf-8").split(".Sh OPTIONS")[1].split("\n.Sh ")[0]
    items = re.findall(r"^\.It (Fl -.*?)(?=^\.It|^\.El)", section, re.M | re.S)
    return {name: item for item in items for name in re.findall(r"\bFl -([a-z-]+)", item.splitlines()[0])}


@pytest.mark.parametrize("program, page", PAGES.items())
def test_page_and_help_have_the_same_options_and_defaults(program, page):
    told, written = help_of(program), page_of(page)
    assert sorted(told) == sorted(written)
    assert "log-level" in told and "help" in told
    for option, default in told.items():
        if default:
            assert default in written[option], f"--{option}: the page does not name the default {default}"


@pytest.mark.parametrize("page", PAGES.values())
def test_a_page_reads_without_a_warning(page):
    result = subprocess.run(["groff", "-mandoc", "-Tutf8", "-ww", "-z", TREE / "man" / page], capture_output=True,
                            text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_verb_of_quiltctl_is_in_its_page():
    page = (TREE / "man/quiltctl.1").read_text(encoding="utf-8")
    listed = help_text("cli/quiltctl").split("Verbs:\n")[1].split("\n\n")[0].splitlines()
    verbs = [re.match(r"  ([a-z]+(?: [a-z-]+)?) ", line)[1] for line in listed]
    assert "node ls" in verbs and "version" in verbs
    for verb in verbs:
        assert re.search(rf"^\.It Cm {verb}\b", page, re.M), verb

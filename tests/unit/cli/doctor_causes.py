#!/usr/bin/python3
"""The page of quiltctl lists exactly the causes that cli/doctor can name: doctor_causes.py ROOT."""
import pathlib
import re
import sys


def causes_of_code(text):
    return set(re.findall(r'\.cause = "([^"]+)"', text))


def causes_of_page(text):
    listed = text.split("It knows these causes:", 1)[1].split("\n.El", 1)[0]
    return {word for line in re.findall(r"^\.It Cm (.+)$", listed, re.M) for word in line.split(" , ")}


def test_the_two_readers_read():
    assert causes_of_code('{.cause = "a-b",\n .cause = "c"}') == {"a-b", "c"}
    assert causes_of_page("It knows these causes:\n.It Cm a , b\nwords\n.It Cm c\n.El\n.It Cm d") == {"a", "b", "c"}


def test_the_page_lists_the_causes_of_the_code(root):
    code = causes_of_code("".join(path.read_text() for path in sorted((root / "cli/doctor").glob("*.c"))))
    page = causes_of_page((root / "man/quiltctl.1").read_text())
    assert code == page, f"only in cli/doctor: {sorted(code - page)}; only in man/quiltctl.1: {sorted(page - code)}"


test_the_two_readers_read()
test_the_page_lists_the_causes_of_the_code(pathlib.Path(sys.argv[1]))

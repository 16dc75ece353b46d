"""What was measured: rows, and how they are printed for people and for programs."""
import json
import statistics
from dataclasses import asdict, dataclass, field


@dataclass
class Row:
    """One line of a table. wanted is the target in words, is_met whether the figure keeps it (None:
    there is no target, or nothing to compare to); values are the bare numbers behind the words."""
    what: str
    figure: str
    beside: str = ""
    wanted: str = ""
    is_met: bool | None = None
    values: dict = field(default_factory=dict)


def median_ratio(ours, others):
    """Of paired rounds: what was measured right after one another is compared, so that a machine
    that is slower for a while is slower for both."""
    return statistics.median(a / b for a, b in zip(ours, others))


def print_table(title, rows):
    print(f"\n### {title}\n\n| what | figure | beside | wanted | kept |\n|---|---|---|---|---|")
    for row in rows:
        kept = {None: "", True: "yes", False: "**no**"}[row.is_met]
        print(f"| {row.what} | {row.figure} | {row.beside} | {row.wanted} | {kept} |")


def write_json(path, machine, tables):
    text = json.dumps({"machine": machine,
                       "suites": {title: [asdict(row) for row in rows]
                                  for title, rows in tables.items()}}, indent=2)
    path.write_text(text + "\n")

"""What the checkers share: which files are ours, and C text with its comments set apart."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED_DIRS = re.compile(r'^(\.git|build.*|__pycache__|\.pytest_cache)$')

# A comment, a string or a character: whichever begins first wins.
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def walk(root=ROOT):
    """Every file of the tree, as a path from its root."""
    for folder, dirs, files in os.walk(root):
        dirs[:] = sorted(d for d in dirs if not SKIPPED_DIRS.match(d))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(folder, name), root)


def read_tree(root=ROOT):
    """{path: text} of every text file."""
    tree = {}
    for path in walk(root):
        try:
            with open(os.path.join(root, path), encoding='utf-8') as f:
                tree[path] = f.read()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return tree


def is_c(path):
    return path.endswith(('.c', '.h'))


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def comments(text):
    """(line, comment) of each comment of a C text."""
    for m in TOKEN.finditer(text):
        if m.group().startswith('/'):
            yield line_of(text, m.start()), m.group()


def blank(text, keep_strings=True):
    """The text with comments (and strings) turned to blanks; line numbers stay."""
    def hide(m):
        if m.group().startswith('/'):
            return re.sub(r'[^\n]', ' ', m.group())
        return m.group() if keep_strings else m.group()[0] + ' ' * (len(m.group()) - 2) + m.group()[0]
    return TOKEN.sub(hide, text)


def is_script(path, text):
    """'sh', 'python' or None, by the first line."""
    first = text.split('\n', 1)[0]
    if not first.startswith('#!'):
        return None
    if 'python' in first:
        return 'python'
    return 'sh' if re.search(r'\b(ba|da)?sh\b', first) else None


def main(check, examples):
    """Runs check(tree) -> problems on the project; with --self-test on examples, each of which is
    (tree, what the one problem must contain, or None when there must be none)."""
    if sys.argv[1:] == ['--self-test']:
        sys.exit(self_test(check, examples))
    if sys.argv[1:]:
        sys.exit(f'usage: {os.path.basename(sys.argv[0])} [--self-test]')
    problems = check(read_tree())
    for p in problems:
        print(p)
    sys.exit(1 if problems else 0)


def self_test(check, examples):
    failed = 0
    for tree, want in examples:
        problems = check(tree)
        is_good = problems == [] if want is None else len(problems) == 1 and want in problems[0]
        if not is_good:
            failed += 1
            print(f'self-test: {tree!r}: wanted {want!r}, got {problems!r}')
    if not any(want for _, want in examples):
        failed += 1
        print('self-test: no example can fail')
    return 1 if failed else 0

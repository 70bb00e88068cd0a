"""sizes: functions, files and headers within the budget of docs/STYLE.md.

sizes.except lists what may be longer: "file lines" or "file:function lines".
It only gets shorter: an entry nobody needs any more is a problem too.
"""
import pathlib
import shutil
import subprocess

import tree

LIMIT = {".c": 600, ".h": 250}
FUNCTION = 70
STATE_BODY = 120  # the most that an exception can allow a function

ctags = shutil.which("ctags")
if ctags is None:
    tree.skip("no ctags")

allowed = {}
for text in (pathlib.Path(__file__).with_name("sizes.except")).open():
    if text.strip() and not text.startswith("#"):
        what, most = text.split()
        allowed[what] = int(most)

problems = []


def measure(what, where, n, limit):
    if n <= limit:
        return
    most = allowed.pop(what, limit)
    if ":" in what:
        most = min(most, STATE_BODY)
    if n > most:
        problems.append(f"{where}: {what} has {n} lines, not at most {most}")


paths = tree.files([".c", ".h"])
for path in paths:
    n = sum(1 for _ in tree.lines(path)) - 1
    measure(str(path), f"{path}:{n}", n, LIMIT[path.suffix])

tags = subprocess.run(
    [ctags, "--languages=C", "--langmap=C:.c.h", "--kinds-C=f", "--fields=e",
     "--excmd=number", "--sort=no", "-o", "-", *map(str, paths)],
    cwd=tree.root, capture_output=True, text=True)
if tags.returncode != 0:
    tree.skip("this ctags is not Universal Ctags")
for text in tags.stdout.splitlines():
    name, path, first, *fields = text.split("\t")
    start = int(first.rstrip(';"'))
    end = next(int(f[4:]) for f in fields if f.startswith("end:"))
    measure(f"{path}:{name}", f"{path}:{start}", end - start + 1, FUNCTION)

for what in allowed:
    problems.append(f"tests/lint/sizes.except:1: {what} needs no exception")
tree.finish(problems)

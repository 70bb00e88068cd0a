"""format: every .c and .h is as clang-format with .clang-format leaves it."""
import re
import shutil
import subprocess

import tree

clang_format = shutil.which("clang-format")
if clang_format is None:
    tree.skip("no clang-format")

paths = tree.files([".c", ".h"], tree.FOLDERS + ["tests"])
result = subprocess.run(
    [clang_format, "--dry-run", "-Werror", "--style=file", *map(str, paths)],
    cwd=tree.root, capture_output=True, text=True)

first = {}  # of each file: its first difference is enough
for text in result.stderr.splitlines():
    found = re.match(r"(\S+):(\d+):\d+: error: ", text)
    if found:
        first.setdefault(found.group(1), found.group(2))
problems = [f"{path}:{line}: run clang-format -i" for path, line in first.items()]
if result.returncode != 0 and not problems:
    problems.append(result.stderr.strip())
tree.finish(problems)

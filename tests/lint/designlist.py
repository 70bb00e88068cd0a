"""designlist: each folder's DESIGN.md names every .c, and none that is gone.

A .c is named by a list item of "Code structure": - `stem.c` — what it does
"""
import re

import tree

NAMED = re.compile(r"\s*[-*] `(\w+\.c)`")

problems = []
for folder in tree.FOLDERS:
    there = {path.name for path in tree.files([".c"], [folder])}
    design = f"{folder}/DESIGN.md"
    if not there:
        continue
    if not (tree.root / design).exists():
        problems.append(f"{design}:1: missing")
        continue
    named = {}
    for number, text in tree.lines(design):
        found = NAMED.match(text)
        if found:
            named[found.group(1)] = number
    for name in sorted(there - named.keys()):
        problems.append(f"{design}:1: does not list {name}")
    for name in sorted(named.keys() - there):
        problems.append(f"{design}:{named[name]}: there is no {name}")
tree.finish(problems)

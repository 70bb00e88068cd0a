"""headers: every header compiles alone, and twice.

Arguments: the root, then the compiler and its flags.
"""
import subprocess
import sys

import tree

problems = []
for path in tree.files([".h"]):
    result = subprocess.run(
        sys.argv[2:] + ["-I", str(tree.root), "-x", "c", "-fsyntax-only", "-"],
        input=f'#include "{path}"\n' * 2,
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        errors = [x for x in result.stderr.split("\n") if " error: " in x]
        first = (errors or [result.stderr.strip()])[0]
        problems.append(f"{path}:1: does not compile alone: {first}")
tree.finish(problems)

"""layers: includes go down only, and each library has its home.

The picture is docs/ARCHITECTURE.md's. Tests may include anything.
"""
import re

import tree

MAY_INCLUDE = {
    "core": ["core"],
    "cache": ["cache", "core"],
    "dht": ["dht", "core"],
    "net": ["net", "cache", "dht", "core"],
    "fs": ["fs", "net", "core"],
    "cmd": ["cmd", "fs", "net", "cache", "dht", "core"],
}

HOME = [  # a library's headers, and who may name them
    (r"event2/.*|event\.h|evutil\.h", ["core"]),
    (r"openssl/.*", ["core"]),
    (r"pthread\.h|threads\.h", ["core"]),
    (r"sqlite3.*", ["cache"]),
    (r"curl/.*", ["net"]),
    (r"fuse.*", ["fs"]),
    (r"jansson\.h", ["fs", "cmd"]),
]

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def problem_with(folder, kind, name):
    if kind == "<":
        for headers, homes in HOME:
            if re.fullmatch(headers, name) and folder not in homes:
                return f"<{name}> belongs to {' and '.join(homes)}"
        return None
    above, _, header = name.rpartition("/")
    if above not in MAY_INCLUDE:
        return f'"{name}" is not named from the top of the tree'
    if above not in MAY_INCLUDE[folder]:
        return f"{folder} must not see {above} ({name})"
    if header.endswith("_internal.h") and above != folder:
        return f'"{name}" is {above}\'s own'
    return None


problems = []
for path in tree.files([".c", ".h"]):
    for number, text in tree.lines(path):
        found = INCLUDE.match(text)
        why = found and problem_with(path.parts[0], *found.groups())
        if why:
            problems.append(f"{path}:{number}: {why}")
tree.finish(problems)

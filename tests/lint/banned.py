"""banned: calls that the project does without. Comments and strings may."""
import re

import tree

ANY = ["core", "cache", "dht", "net", "fs", "cmd", "tests"]
OURS = ANY[:-1]

# calls; where they are banned; files that may; what to use
RULES = [
    ("strcpy|strcat|stpcpy|sprintf|vsprintf|gets", ANY, [], "snprintf or buf"),
    ("atoi|atol|atoll|atof", ANY, [], "strtol, and look at the end"),
    ("alloca|strdupa", ANY, [], "mem or a fixed array"),
    ("strtok|system|popen|mktemp|tmpnam", ANY, [], "something safe"),
    ("malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf"
     "|vasprintf|aligned_alloc|posix_memalign",
     OURS, ["core/mem.c", "fs/mount.c"], "core/mem.h"),  # libfuse's buffer
    ("time|clock_gettime|gettimeofday", OURS, ["core/clock.c"],
     "core/clock.h or loop_now_us"),
    ("rand|rand_r|srand|random|srandom|drand48|getrandom", OURS,
     ["core/rng.c"], "core/rng.h"),
]

QUIET = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\""
                   r"|'(?:\\.|[^'\\\n])*'", re.S)


def code_of(path):
    """The text without comments and strings; its lines stay where they were."""
    text = (tree.root / path).read_text(encoding="utf-8")
    return QUIET.sub(lambda m: "\n" * m.group().count("\n"), text)


problems = []
for path in tree.files([".c", ".h"], ANY):
    code = code_of(path)
    for names, where, may, instead in RULES:
        if path.parts[0] not in where or str(path) in may:
            continue
        # Not a member, as in ops->free(x), and not part of a longer name.
        for found in re.finditer(rf"(?<![\w.>])({names})\s*\(", code):
            number = code.count("\n", 0, found.start()) + 1
            problems.append(f"{path}:{number}: {found.group(1)} is banned: "
                            f"{instead}")
tree.finish(problems)

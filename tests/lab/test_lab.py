"""The lab cleans up and tells: what a test leaves behind fails it, by name;
what ends a test, a failed assertion or SIGKILL, leaves nothing; what the
machine lacks skips it."""

import os
import signal
import subprocess
import sys

import lab as laboratory
from lab import Skip, run, until


def forgets_a_process(lab):
    subprocess.Popen(["setsid", "sleep", "4711"])


def forgets_a_mount(lab):
    path = lab.mkdir("forgotten")
    subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)


def fails(lab):
    host, = lab.hosts("host")
    host.start(["sh", "-c", "echo the last words; sleep 4712"], "speaker")
    until(lambda: "words" in lab.procs[0].text(), 5, "words")
    assert False, "as told"


def lacks(lab):
    raise Skip("a unicorn")


def waits(lab):
    host, = lab.hosts("host")
    host.start(["sleep", "4713"])
    print(os.path.basename(lab.tmp), flush=True)
    until(lambda: False, 60, "the end")


CASES = {case.__name__: case for case in
         (forgets_a_process, forgets_a_mount, fails, lacks, waits)}


def start(case):
    return subprocess.Popen([sys.executable, __file__, case], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def outcome(case):
    process = start(case)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


def sleepers():
    """The arguments of every `sleep` of ours on this machine."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as line:
                words = line.read().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0] == "sleep" and words[1].startswith("471"):
            found.add(words[1])
    return found


def main():
    if os.geteuid() != 0:
        sys.exit(laboratory.SKIPPED)
    code, err = outcome("forgets_a_process")
    assert code == 1 and "left behind: process" in err and "4711" in err, err
    code, err = outcome("forgets_a_mount")
    assert code == 1 and "left behind: mount" in err, err
    code, err = outcome("fails")
    assert code == 1 and "as told" in err and "the last words" in err, err
    code, err = outcome("lacks")
    assert code == laboratory.SKIPPED and "a unicorn" in err, err
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = start("waits")
        tmp = process.stdout.readline().strip()
        until(lambda: "4713" in sleepers(), 10, "the sleeper")
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode != 0
        until(lambda: not sleepers(), 10, f"the end after signal {number}")
    assert outcome("lacks")[0] == laboratory.SKIPPED
    assert not os.path.exists(os.path.join(
        laboratory.tempfile.gettempdir(), tmp)), "swept by the next run"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(CASES[sys.argv[1]])
    main()

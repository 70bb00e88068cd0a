"""Goal: `shoalctl top` redraws in a terminal, to the window's size, and shows what
a read waits for; q ends it and leaves the terminal as it was; into a pipe,
and to a terminal that knows no sequences, it writes once."""

import fcntl
import os
import pty
import struct
import termios

from lab import run, until
from shoal import Mount, content_path, program
from swarm import make_torrent, write_blob


class Terminal:
    """A pseudo-terminal with a program in it."""

    def __init__(self, host, words):
        self.fd, self.inner = pty.openpty()
        self.resize(100, 20)
        self.proc = host.start(words, "top", stdin=self.inner,
                               stdout=self.inner)
        os.set_blocking(self.fd, False)
        self.seen = b""

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def has(self, text):
        try:
            self.seen += os.read(self.fd, 1 << 20)
        except BlockingIOError:
            pass
        return text in self.seen

    def forget(self):
        self.has(b"")
        self.seen = b""


def scenario(lab):
    host, = lab.hosts("host")
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), 300_000, 39))
    mount = Mount(host, torrent.file)
    path = content_path(mount, torrent)
    words = [program("shoalctl"), "-m", mount.path, "top"]
    reader = host.start(["cat", path])
    done = host.run(words)
    assert done.returncode == 0 and "NAME" in done.stdout, done
    assert "\033" not in done.stdout
    assert host.run([*words, "--json"]).stdout.startswith("{")
    assert host.run([*words, "--fast"]).returncode == 2

    dumb = Terminal(host, ["env", "TERM=dumb", *words])
    assert dumb.proc.wait(10) == 0
    assert dumb.has(b"film.bin") and not dumb.has(b"\033"), dumb.seen
    os.close(dumb.fd)
    os.close(dumb.inner)

    top = Terminal(host, ["env", "TERM=xterm", *words])
    before = termios.tcgetattr(top.inner)
    until(lambda: top.has(b"\033[?1049h") and top.has(b"NAME"), 10, "a screen")
    until(lambda: top.has(b"no peers known"), 10, "why the read waits")
    assert not termios.tcgetattr(top.inner)[3] & termios.ECHO
    top.forget()
    until(lambda: top.has(b"NAME"), 10, "another one")
    top.resize(60, 6)
    top.proc.signal(28)     # a terminal in whose foreground it is does that
    top.forget()
    until(lambda: top.has(b"film.bin"), 10, "one of another size")
    until(lambda: top.has(b"\033[J"), 10, "all of it")
    screen = top.seen[top.seen.rindex(b"\033[H"):].split(b"\033[K\r\n")
    assert len(screen) == 6, screen    # the last of them is empty
    os.write(top.fd, b"xq")
    assert top.proc.wait(10) == 0
    assert top.has(b"\033[?1049l")
    after = termios.tcgetattr(top.inner)
    assert after[3] & termios.ECHO and after[3] & termios.ICANON
    assert after[6][termios.VSUSP] != b"\0"
    assert len(before) == len(after)
    os.close(top.fd)
    os.close(top.inner)

    assert mount.stop() == 0
    reader.wait(10)
    done = host.run(words)
    assert done.returncode == 1 and done.stderr, done


if __name__ == "__main__":
    run(scenario)

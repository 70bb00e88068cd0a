"""Goal: nothing that hangs elsewhere keeps the daemon. An HTTP tracker answers
the first announce and is silent about `stopped`, another never answered at
all, as does a UDP one, and a peer takes the handshake and says nothing; SIGTERM
ends the daemon with 0 within 5 s. The tracker did hear `stopped`. So it ends,
too, while the metadata of a magnet link is still looked for."""

import http.server
import os
import signal
import socket
import threading
import time

from lab import SLOW, run, until
from shoal import Mount, content_path
from swarm import make_torrent, write_blob

END_SECONDS = 5


class Tracker(http.server.BaseHTTPRequestHandler):
    """Answers until it hears `stopped`."""
    heard = []

    def do_GET(self):
        self.heard.append(self.path)
        if "event=stopped" in self.path or self.path.startswith("/announce/dead"):
            time.sleep(30)
            return
        body = b"d8:intervali1800e5:peers0:e"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def serve(host):
    """The tracker, in the host's namespace; its port."""
    with host.inside():
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tracker)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def scenario(lab):
    host, = lab.hosts("host")
    server = serve(host)
    with host.inside():
        silent = socket.create_server(("127.0.0.1", 0))
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{server.server_port}"
    torrent = make_torrent(
        write_blob(lab.path("c", "film.bin"), 1 << 20, 9),
        trackers=[f"{base}/announce", f"{base}/announce/dead",
                  f"udp://127.0.0.1:{deaf.getsockname()[1]}/announce"])
    mount = Mount(host, torrent.file, options=[
        f"peer=127.0.0.1:{silent.getsockname()[1]}"])
    content_path(mount, torrent)
    until(lambda: any("event=started" in path and "/dead" not in path
                      for path in Tracker.heard), 10, "announced")
    until(lambda: mount.status()["torrents"][0]["trackers"], 5, "status")
    time.sleep(0.2)
    began = time.monotonic()
    mount.proc.signal(signal.SIGTERM)
    code = mount.proc.wait(30)
    seconds = time.monotonic() - began
    print(f"ended in {seconds:.2f} s")
    assert code == 0 and seconds < END_SECONDS * SLOW
    assert any("event=stopped" in path for path in Tracker.heard)
    assert not lab.mounted(mount.path)

    waits = Mount(host, f"magnet:?xt=urn:btih:{'5a' * 20}", name="waits")
    os.listdir(waits.path)
    assert waits.stop() == 0
    server.shutdown()
    server.server_close()
    silent.close()
    deaf.close()


if __name__ == "__main__":
    run(scenario)

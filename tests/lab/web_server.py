"""An HTTP server of the files below a directory: ranges, kept connections,
HEAD not. And of the pieces of torrents, as BEP 17 has it: below /seed.

    web_server.py ADDRESS PORT DIRECTORY [OPTION...]
        --lie          each answer's bytes are other ones than the content's
        --pieces=FILE  a torrent for /seed: JSON of swarm.py's piece_map()
        --busy=S       the first request for a piece gets a 503: wait S seconds
        --cert=FILE    TLS, with this certificate and its key

Each answer is one line on stdout: its first byte, its length, and its path or
"piece N"."""

import http.server
import json
import os
import re
import socketserver
import ssl
import sys
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/seed":
            self.give_piece(urllib.parse.parse_qs(query, encoding="latin-1"))
        else:
            self.give_file(urllib.parse.unquote(path).lstrip("/"))

    def give_file(self, path):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
        try:
            with open(os.path.join(self.server.root, path), "rb") as data:
                size = os.fstat(data.fileno()).st_size
                first, last = map(int, wanted.groups())
                data.seek(first)
                body = data.read(last - first + 1)
        except (OSError, AttributeError):
            self.send_error(404)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.give(body, first, path)

    def give_piece(self, fields):
        if self.server.is_busy():
            self.send_response(503)
            self.give(b"%d" % self.server.busy, 0, "busy")
            return
        try:
            torrent = self.server.torrents[fields["info_hash"][0]]
            piece = int(fields["piece"][0])
            ranges = [tuple(map(int, one.split("-")))
                      for one in fields["ranges"][0].split(",")] \
                if "ranges" in fields else [(0, torrent["piece"] - 1)]
        except (KeyError, ValueError):
            self.send_error(404)
            return
        at = piece * torrent["piece"]
        self.send_response(200)
        self.give(b"".join(self.server.bytes_of(torrent, at + first, at + last)
                           for first, last in ranges),
                  ranges[0][0], f"piece {piece}")

    def give(self, body, first, what):
        if self.server.lies:
            body = bytes(255 - byte for byte in body)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        # One write: print makes several, and threads would mix them.
        os.write(1, f"{first} {len(body)} {what}\n".encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    busy, busy_until = 0, None

    def server_bind(self):
        """Without the base's look-up of our name, which hangs in a lab."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, *_):
        """The other side has gone: it may."""

    def is_busy(self):
        now = time.monotonic()
        if self.busy and self.busy_until is None:
            self.busy_until = now + self.busy
        return self.busy_until is not None and now < self.busy_until

    def bytes_of(self, torrent, first, last):
        """Of the files one behind the other, pads included."""
        found, start = [], 0
        for name, size in torrent["files"]:
            begin, end = max(first, start), min(last + 1, start + size)
            if begin < end and name is None:
                found.append(bytes(end - begin))
            elif begin < end:
                with open(os.path.join(self.root, name), "rb") as data:
                    data.seek(begin - start)
                    found.append(data.read(end - begin))
            start += size
        return b"".join(found)


def main():
    address, port, root, *options = sys.argv[1:]
    server = Server((address, int(port)), Handler)
    server.root, server.lies, server.torrents = root, False, {}
    for option in options:
        name, _, value = option.partition("=")
        if name == "--lie":
            server.lies = True
        elif name == "--busy":
            server.busy = int(value)
        elif name == "--pieces":
            with open(value) as text:
                torrent = json.load(text)
            name = bytes.fromhex(torrent["hash"]).decode("latin-1")
            server.torrents[name] = torrent
        elif name == "--cert":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(value)
            server.socket = tls.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()

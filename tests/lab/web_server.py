"""An HTTP server of the files below a directory: ranges, kept connections,
HEAD not. With --lie each answer's bytes are other ones than the file's.

    web_server.py ADDRESS PORT DIRECTORY [--lie]

Each answer is one line on stdout: its first byte, its length, its path."""

import http.server
import os
import re
import socketserver
import sys
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urllib.parse.unquote(self.path).lstrip("/")
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
        if self.server.lies:
            body = bytes(255 - byte for byte in body)
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        self.wfile.write(body)
        print(first, len(body), path, flush=True)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        """Without the base's look-up of our name, which hangs in a lab."""
        socketserver.TCPServer.server_bind(self)


def main():
    address, port, root, *options = sys.argv[1:]
    server = Server((address, int(port)), Handler)
    server.root, server.lies = root, "--lie" in options
    server.serve_forever()


if __name__ == "__main__":
    main()

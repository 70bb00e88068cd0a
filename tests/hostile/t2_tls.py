"""Goal: over HTTPS nobody is believed but who proves to be the one that was
asked: not a certificate for another name, an expired one, one signed by itself
or by an authority that is not ours, not a server that speaks plainly, and not
one that leads back to plain HTTP. Trackers and web seeds alike, each with its
reason in the status; and who does prove it serves the whole file."""

import os
import re
import ssl
import subprocess

from hostile import *
from lab import need, run

CASES = {   # what is served: what the status says of it
    "good": None,
    "name": "for another name",
    "expired": "has expired",
    "self": "self-signed",
    "unknown": "issuer",
    "plain": "",
    "down": "from https to http",
}


class Authority:
    """Makes certificates with openssl's command line."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.key, self.file = self.path("key"), self.path("pem")
        self.request(self.key, self.file, "-x509", "-days", "2")

    def path(self, kind, name=""):
        return self.lab.path(f"{self.name}{name}.{kind}")

    def openssl(self, *words):
        subprocess.run([need("openssl"), *words], check=True,
                       capture_output=True)

    def request(self, key, out, *words):
        self.openssl("req", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     f"/CN={self.name}", "-keyout", key, "-out", out, *words)

    def sign(self, name, subject, days="2"):
        """The path of a certificate and its key in one file."""
        key, out = self.path("key", name), self.path("pem", name)
        self.request(key, self.path("csr", name))
        with open(self.path("ext", name), "w") as extension:
            extension.write(f"subjectAltName={subject}")
        self.openssl("x509", "-req", "-in", self.path("csr", name),
                     "-CA", self.file, "-CAkey", self.key, "-CAcreateserial",
                     "-days", days, "-extfile", self.path("ext", name),
                     "-out", out)
        return self.joined(out, key)

    def joined(self, *paths):
        text = "".join(open(path).read() for path in paths)
        with open(paths[0] + ".both", "w") as both:
            both.write(text)
        return both.name


def make_certificates(lab, address):
    ours, other = Authority(lab, "ours"), Authority(lab, "other")
    with open(ours.file) as trusted:
        replace_file(lab, "/etc/ssl/certs/ca-certificates.crt",
                     trusted.read())
    own = Authority(lab, "own")
    right = f"IP:{address}"
    return {"good": ours.sign("good", right),
            "name": ours.sign("name", "DNS:another.test,IP:203.0.113.77"),
            "expired": ours.sign("expired", right, "-1"),
            "self": own.joined(own.file, own.key),
            "unknown": other.sign("unknown", right),
            "plain": None,
            "down": ours.sign("down", right)}


class Site:
    """A server with a certificate; None: without TLS."""

    def __init__(self, host, certificate, answer):
        self.heard, self.answer, self.tls = [], answer, None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.server = Server(host, self._serve)
        self.url = f"https://{self.server.name}"

    def _serve(self, line):
        if self.tls:
            line.sock = self.tls.wrap_socket(line.sock, server_side=True)
        is_tls = False
        while b"\r\n\r\n" not in line.heard and not is_tls:
            more = line.sock.recv(4096)
            if not more:
                return
            line.heard += more
            is_tls = line.heard[0] == 0x16  # a handshake, to who speaks none
        if not is_tls:
            self.heard.append(line.heard.split(b"\r\n")[0])
        line.send(self.answer(line.heard.decode("latin-1")))
        line.close()


def scenario(lab):
    hosts = link_hosts(lab)
    certificates = make_certificates(lab, hosts[2].ip4)

    def answer(request):
        found = re.search(r"\r\nRange: bytes=(\d+)-(\d+)\r\n", request)
        if not found:
            return http_answer(b"d8:intervali1800e5:peers0:e")
        first, last = map(int, found.groups())
        size = len(torrent.content)
        return http_answer(
            torrent.content[first:last + 1], "206 Partial Content",
            Content_Range=f"bytes {first}-{last}/{size}")
    plain = Web(hosts[2], answer)
    sites = {case: Site(hosts[2], certificates[case], answer)
             for case in CASES}
    sites["down"].answer = lambda request: http_answer(
        status="302 Found",
        Location=f"http://{hosts[2].ip4}:{plain.port}/film.bin")
    torrent = make_film(
        lab, trackers=[f"{sites[case].url}/announce" for case in CASES],
        web_seeds=[f"{sites[case].url}/film.bin" for case in CASES])
    victim = Victim(hosts, torrent, seed=False)
    victim.read()

    def all_told():
        status = victim.status()
        views = dict(zip(CASES, victim.webs()))
        done = [view for view in status["trackers"]
                if view["state"] in ("ok", "failed")]
        told = [case for case, view in views.items() if ": " in view["client"]]
        return (status["trackers"], views) \
            if len(done) == len(CASES) and len(told) == len(CASES) - 1 else None
    trackers, webs = until(all_told, 20, "each has its end")
    for view in trackers:
        case, = (case for case in CASES
                 if view["url"].startswith(sites[case].url))
        if case == "good":
            assert view["state"] == "ok", view
        else:
            assert view["state"] == "failed" and view["why"], view
            assert CASES[case] in view["why"], view
            assert CASES[case] in webs[case]["client"], webs[case]
    for case in ("name", "expired", "self", "unknown", "plain"):
        assert not sites[case].heard, (case, sites[case].heard)
    assert not plain.heard, plain.heard
    assert webs["good"]["down_bytes"] == len(torrent.content), webs["good"]
    victim.survived()


if __name__ == "__main__":
    run(scenario)

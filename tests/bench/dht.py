"""How soon does a search in the DHT find the first peers, and with how many
messages? Networks of up to a million nodes in one process and in virtual time
(tests/sim): the real dht/, beside models of what libtorrent and jech/dht do. No
sockets, no root; the figures are the same on every machine, and a run says by a
hash of its trace that it was the same run.

Without a word: all that need no root. `large`: model nodes, half of all dead;
`young`: real nodes, half of all silent, searchers half a minute old (as `sockets`,
but in virtual time);
`fresh`: a new delay for each datagram; `real`: real nodes only; `crowd`: churn,
sybils, liars; `asked`: messages a second of a real node that many hosts ask;
`speed`: datagrams a second of a million model nodes; `rate`: queries a second
that a node answers, over veth (root); `sockets`: on real sockets, beside
libtorrent's node (root).

Round trips are lognormal: 80 ms, sigma 0.6. `large` is of model nodes, which
answer from tables that are computed when they are looked at; those that search
and announce are real nodes that have lived an hour among them when half of the
network, their own contacts included, dies at once. `real` is the same with real
nodes only, to see that the models change nothing.

`sockets`: twice NODES real nodes of ours live behind a TUN device, with the
same delays (tests/sim/dht_field.c). In each round a node of ours and one of
libtorrent, each a program of its own with a socket, are told of the same 100
nodes and live among all for half a minute; then half of all nodes fall silent,
keys are announced by others, and both search for the same keys, by turns. Goals,
in the same run: p50 1.2 times, p99 3.5 times as fast as libtorrent's."""

import json
import os
import subprocess
import sys
import time

import trial

USAGE = """bench dht
       bench dht large|fresh|real [ALIVE [SEARCHERS [SEED]]]
       bench dht young [ALIVE [SEARCHERS [SEED]]]
       bench dht crowd [NODES [SEARCHERS [SEED]]]
       bench dht asked [HOSTS [0 [SEED]]]
       bench dht speed
       bench dht rate [SECONDS]
       bench dht sockets [NODES [ROUNDS [SEARCHES]]]"""
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build", "sim")

ALL = [
    ["large", "1000000", "1000"],
    ["fresh", "1000000", "500"],
    ["large", "5000", "500"],
    ["real", "5000", "500"],
    ["crowd", "10000"],
    ["asked", "5000"],
    ["speed"],
]


def build():
    """The simulator without sanitizers."""
    quiet = {"cwd": TOP, "stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(["cmake", "-S", TOP, "-B", BUILD, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                    "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g"], **quiet)
    subprocess.run(["cmake", "--build", BUILD, "--target", "dhtsim",
                    "dht_rate", "dht_udp", "dht_field"], **quiet)
    return os.path.join(BUILD, "tests")


def rate(tests, seconds):
    """Two hosts and a veth between them, a core for each."""
    sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
    from lab import run

    def scenario(lab):
        node, many = lab.hosts("node", "many")
        lab.link(node, many)
        lab.ip("-n", "many", "route", "add", "local", "198.18.0.0/16",
               "dev", "lo")
        lab.ip("-n", "node", "route", "add", "198.18.0.0/16", "via", many.ip4)
        program = os.path.join(tests, "lab", "dht_rate")
        cores = sorted(os.sched_getaffinity(0))
        where = f"{node.ip4}:6881"
        serving = node.start(["taskset", "-c", cores[0], program, "serve",
                              where], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        assert serving.stdout.readline() == b"ready\n", serving.text()
        asked = json.loads(many.run(
            ["taskset", "-c", cores[-1], program, "ask", where, "198.18.0.0",
             seconds], seconds + 30).stdout)
        serving.stdin.close()
        served = json.loads(serving.stdout.readline())
        serving.wait(5)
        print(f"a node answered {asked['answered'] / asked['seconds']:.0f} "
              f"get_peers/s for {asked['seconds']:.1f} s, "
              f"{served['answers'] / served['cpu']:.0f} for each second of "
              f"its processor; {served['refused']} refused, "
              f"{served['out'] / served['in']:.2f} bytes out for each in; "
              f"whoever asked took {asked['cpu']:.1f} s")
    return run(scenario)


class Speaker:
    """A program that answers a line with a line of JSON."""

    def __init__(self, host, argv):
        # Before all other work of this machine: what it delays is no network.
        self.proc = host.start(["chrt", "--rr", "10", *argv],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, *words):
        self.proc.popen.stdin.write(
            (" ".join(map(str, words)) + "\n").encode())
        self.proc.popen.stdin.flush()

    def heard(self):
        line = self.proc.popen.stdout.readline()
        assert line, self.proc.text()
        return json.loads(line)

    def ask(self, *words):
        self.tell(*words)
        return self.heard()

    def stop(self):
        self.tell("quit")
        self.proc.wait(30)


def libtorrent_node(address):
    """What dht_udp does, by libtorrent, with its own ways; but no rate limit
    holds a search back."""
    import libtorrent as lt

    ses = lt.session({
        "listen_interfaces": address, "enable_dht": True,
        "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "dht_bootstrap_nodes": "", "dht_upload_rate_limit": 10000000,
        "alert_mask": lt.alert.category_t.dht_notification |
        lt.alert.category_t.dht_operation_notification})

    def find(text, limit_s=20):
        wanted = lt.sha1_hash(bytes.fromhex(text))
        ses.pop_alerts()
        begun = time.monotonic()
        ses.dht_get_peers(wanted)
        while time.monotonic() < begun + limit_s:
            ses.wait_for_alert(1000)
            for alert in ses.pop_alerts():
                if isinstance(alert, lt.dht_get_peers_reply_alert) and \
                        alert.info_hash == wanted and alert.num_peers() > 0:
                    return {"first_ms": 1000 * (time.monotonic() - begun),
                            "peers": [f"{ip}:{port}"
                                      for ip, port in alert.peers()]}
        return {"peers": []}

    def status():
        ses.post_dht_stats()
        while True:
            ses.wait_for_alert(1000)
            for alert in ses.pop_alerts():
                if isinstance(alert, lt.dht_stats_alert):
                    return {"contacts": sum(b["num_nodes"] for b in
                                            alert.routing_table)}

    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            break
        if words[0] == "node":
            host, port = words[1].rsplit(":", 1)
            ses.add_dht_node((host, int(port)))
            continue
        print(json.dumps(find(words[1]) if words[0] == "find" else status()),
              flush=True)


def percentiles(found, n):
    """What was not found is as long as the longest wait."""
    times = sorted(found) + [20000.0] * (n - len(found))
    return [times[min(n - 1, int(n * share))] for share in (.5, .9, .99)]


def sockets(tests, nodes=5000, rounds=3, searches=40):
    sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
    from lab import run

    addresses = {"shoalfs": "45.1.0.1", "libtorrent": "46.1.0.1"}
    times = {who: [] for who in addresses}
    contacts = {who: [] for who in addresses}
    tried, late = [], []

    def one_round(host, field):
        told = field.ask("nodes", 100)
        theirs = addresses["libtorrent"]
        clients = {
            "shoalfs": Speaker(host, [os.path.join(tests, "lab", "dht_udp"),
                                      addresses["shoalfs"] + ":6881"]),
            "libtorrent": Speaker(host, ["/usr/bin/python3", __file__,
                                         "libtorrent", theirs + ":6881"])}
        time.sleep(1)
        for client in clients.values():
            for address in told:
                client.tell("node", address)
        time.sleep(30)
        for who, client in clients.items():
            contacts[who].append(client.ask("status")["contacts"])
        field.ask("silence")
        keys = field.ask("announce", searches)
        field.ask("late")
        tried.append(len(keys))
        for i, (key, peer) in enumerate(keys):
            order = list(clients)
            for who in order if i % 2 else order[::-1]:
                said = clients[who].ask("find", key)
                if peer in said["peers"]:
                    times[who].append(said["first_ms"])
                time.sleep(0.3)
        late.append(field.ask("late"))
        field.ask("speak")
        for client in clients.values():
            client.stop()

    def scenario(lab):
        host, = lab.hosts("clients")
        field = Speaker(host, [os.path.join(tests, "sim", "dht_field"), "wan0",
                               2 * nodes, 1, *addresses.values()])
        sent = field.heard()["datagrams"]
        lab.ip("-n", host.name, "link", "set", "wan0", "up")
        for address in addresses.values():
            lab.ip("-n", host.name, "addr", "add", address + "/32",
                   "dev", "wan0")
        lab.ip("-n", host.name, "route", "add", "default", "dev", "wan0")
        print(f"{2 * nodes} nodes of ours, {sent / 1e6:.1f} M datagrams old; "
              f"{rounds} rounds of {searches} searches, half of the nodes "
              "silent", flush=True)
        for _ in range(rounds):
            one_round(host, field)
        field.stop()
        n = sum(tried)
        print(f"{n} keys")
        print("the network was late by at most "
              f"{max(said['most_ms'] for said in late):.0f} ms, and busy for "
              f"{100 * max(said['busy'] for said in late):.0f} %")
        figures = {who: percentiles(times[who], n) for who in times}
        print(f"{'':12}{'p50':>7}{'p90':>7}{'p99':>7} ms   found  contacts")
        for who, f in figures.items():
            print(f"{who:12}{f[0]:7.0f}{f[1]:7.0f}{f[2]:7.0f}    "
                  f"{100 * len(times[who]) / n:6.1f}%  {contacts[who]}")
        print("shoalfs is x as fast: " + " / ".join(
            f"{b / a:.2f}" for a, b in zip(figures["shoalfs"],
                                           figures["libtorrent"])))
    return run(scenario)


def main():
    if sys.argv[1:2] == ["libtorrent"]:
        libtorrent_node(sys.argv[2])
        return 0
    tests = build()
    if sys.argv[1:2] == ["rate"]:
        return rate(tests, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    if sys.argv[1:2] == ["sockets"]:
        return sockets(tests, *map(int, sys.argv[2:]))
    program = os.path.join(tests, "sim", "dhtsim")
    for args in [sys.argv[1:]] if len(sys.argv) > 1 else ALL:
        code = subprocess.run([program] + args).returncode
        if code != 0:
            return code
        print(flush=True)
    return 0


if __name__ == "__main__":
    trial.helped("dht", USAGE, __doc__)
    sys.exit(main())

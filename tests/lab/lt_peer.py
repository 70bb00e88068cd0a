#!/usr/bin/python3
"""A libtorrent peer for the lab: it seeds what lies in its directory, or
leeches into it. No LAN discovery, no port mapping; TCP unless --utp; no DHT
unless --dht.

It reads commands, one a line, and answers each with one line of JSON:
    status            progress, rates, payload counts, CPU seconds
    have              the indexes of the pieces it holds
    flush             returns when they are on disk
    peer HOST:PORT    try this peer
    dht               nodes in its routing table
    announces         announces that it has sent to the DHT
    quit
"""

import argparse
import json
import os
import select
import sys
import time
import warnings

import libtorrent as lt


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--torrent", metavar="FILE")
    source.add_argument("--magnet", metavar="LINK")
    parser.add_argument("--save", required=True, metavar="DIR")
    parser.add_argument("--listen", required=True, metavar="ADDR:PORT",
                        help="an IPv6 address in brackets")
    parser.add_argument("--peer", action="append", default=[],
                        metavar="HOST:PORT")
    parser.add_argument("--checked", action="store_true",
                        help="with --seed: hash what is there first")
    parser.add_argument("--seed", action="store_true",
                        help="believe that the data is there and right")
    parser.add_argument("--sequential", action="store_true")
    parser.add_argument("--utp", action="store_true", help="uTP and not TCP")
    parser.add_argument("--no-tracker", action="store_true")
    parser.add_argument("--dht", action="append", metavar="HOST:PORT",
                        help="be a node of the DHT, and know that one; '' to "
                             "be its first; one node for each address that "
                             "is listened on")
    parser.add_argument("--plain", action="store_true",
                        help="no encrypted handshakes")
    parser.add_argument("--up-limit", type=int, default=0, metavar="BYTES/S")
    parser.add_argument("--down-limit", type=int, default=0, metavar="BYTES/S")
    return parser.parse_args()


def is_first(options):
    """Many nodes in one: they learn of each other who they are."""
    return "," in options.listen


def open_session(options):
    settings = lt.high_performance_seed() if options.seed \
        else lt.default_settings()
    settings.update({
        "listen_interfaces": options.listen,
        "enable_dht": options.dht is not None, "enable_lsd": False,
        # Nodes named there would be routers, never contacts.
        "dht_bootstrap_nodes": "",
        # In nobody's table before it is who it will be: restart_dht().
        "dht_read_only": not is_first(options),
        # All nodes are in one room here.
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_announce_interval": 1,
        # One session is many nodes: they share one budget of bytes, without
        # which answers are silently not sent, and each of them may be asked.
        "dht_upload_rate_limit": 1 << 24,
        "dht_block_ratelimit": 1000, "dht_block_timeout": 1,
        "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_tcp": not options.utp,
        "enable_incoming_tcp": not options.utp,
        "enable_outgoing_utp": options.utp,
        "enable_incoming_utp": options.utp,
        "allow_multiple_connections_per_ip": True,
        "upload_rate_limit": options.up_limit,
        "download_rate_limit": options.down_limit,
        # A peer that wants nothing just now is still a reader's peer.
        "close_redundant_connections": False,
        # The default is one announce in five minutes after a failed one.
        "min_announce_interval": 1, "tracker_backoff": 1,
        "alert_mask": lt.alert.category_t.status_notification
        | lt.alert.category_t.tracker_notification
        | lt.alert.category_t.storage_notification
        | lt.alert.category_t.error_notification,
    })
    if options.plain:
        settings["out_enc_policy"] = lt.enc_policy.pe_disabled
        settings["in_enc_policy"] = lt.enc_policy.pe_disabled
    return lt.session(settings)


def add_torrent(session, options):
    if options.magnet:
        params = lt.parse_magnet_uri(options.magnet)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(options.torrent)
    params.save_path = options.save
    params.flags &= ~(lt.torrent_flags.auto_managed
                      | lt.torrent_flags.paused)
    if options.seed and not options.checked:
        params.flags |= lt.torrent_flags.seed_mode
    if options.sequential:
        params.flags |= lt.torrent_flags.sequential_download
    handle = session.add_torrent(params)
    if options.no_tracker:
        handle.replace_trackers([])
    return handle


def connect(handle, peer):
    address, port = peer.rsplit(":", 1)
    handle.connect_peer((address.strip("[]"), int(port)))


class Peer:
    def __init__(self, options):
        self.session = open_session(options)
        self.handle = add_torrent(self.session, options)
        self.began = time.monotonic()
        self.finished = None
        self.announced = False
        self.announces = 0      # as of the last time that it was asked
        self.flushed = False
        self.errors = []
        for peer in options.peer:
            connect(self.handle, peer)
        self.nodes = [node for node in options.dht or () if node]
        self.nodes_told = 0
        self.external = set()
        self.has_id = options.dht is None
        self.wants = options.listen.count(",") + 1

    def restart_dht(self):
        """A node takes another id when it learns its address (BEP 42). Who
        still tells of the old one sends libtorrent's searches round in circles,
        for half a minute: so it begins once more, as who it is."""
        late = time.monotonic() - self.began > 5
        if self.has_id or len(self.external) < self.wants and not late:
            return
        self.has_id = True
        self.session.apply_settings({"enable_dht": False})
        self.session.apply_settings({"enable_dht": True,
                                     "dht_read_only": False})
        self.nodes_told = 0

    def tell_nodes(self):
        """Again and again: before the DHT has started it forgets them."""
        if not self.nodes or time.monotonic() - self.nodes_told < 1:
            return
        self.nodes_told = time.monotonic()
        for node in self.nodes:
            address, port = node.rsplit(":", 1)
            self.session.add_dht_node((address.strip("[]"), int(port)))

    def take_alerts(self):
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert) \
                    and self.finished is None:
                self.finished = time.monotonic()
            if isinstance(alert, lt.session_stats_alert):
                self.announces = alert.values["dht.dht_announce_peer_out"]
            if isinstance(alert, lt.external_ip_alert):
                self.external.add(str(alert.external_address))
            if isinstance(alert, lt.tracker_reply_alert):
                self.announced = True
            if isinstance(alert, lt.cache_flushed_alert):
                self.flushed = True
            if alert.category() & lt.alert.category_t.error_notification:
                self.errors.append(str(alert))
                print(alert, file=sys.stderr, flush=True)

    def flush(self):
        """What is complete may still be on its way to the disk."""
        self.flushed = False
        self.handle.flush_cache()
        until = time.monotonic() + 10
        while not self.flushed and time.monotonic() < until:
            self.session.wait_for_alert(100)
            self.take_alerts()
        return {"flushed": self.flushed}

    def status(self):
        now = self.handle.status()
        return {
            "state": str(now.state), "port": self.session.listen_port(),
            "announced": self.announced,
            "metadata": now.has_metadata, "progress": now.progress,
            "complete": now.is_seeding, "pieces": now.num_pieces,
            "peers": now.num_peers,
            "done": now.total_done, "wanted": now.total_wanted,
            "down": now.total_payload_download,
            "up": now.total_payload_upload,
            "failed": now.total_failed_bytes,
            "down_rate": now.download_payload_rate,
            "up_rate": now.upload_payload_rate,
            "seconds": (self.finished or time.monotonic()) - self.began,
            "cpu": sum(os.times()[:2]), "errors": self.errors[-3:],
        }

    def answer(self, line):
        verb, *words = line.split()
        if verb == "status":
            return self.status()
        if verb == "have":
            return [index for index, held
                    in enumerate(self.handle.status().pieces) if held]
        if verb == "flush":
            return self.flush()
        if verb == "peer":
            connect(self.handle, words[0])
            return {}
        if verb == "dht":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.session.status().dht_nodes if self.has_id else 0
        if verb == "announces":
            self.session.post_session_stats()
            return self.announces
        if verb == "quit":
            return None
        return {"error": f"unknown command {verb}"}

    def serve(self):
        while True:
            ready, _, _ = select.select([sys.stdin], [], [], 0.02)
            self.take_alerts()
            self.restart_dht()
            self.tell_nodes()
            if not ready:
                continue
            line = sys.stdin.readline()
            reply = self.answer(line) if line.strip() else None
            if reply is None:
                return
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    Peer(parse()).serve()

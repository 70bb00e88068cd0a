#!/usr/bin/python3
"""A reader made of libtorrent and its piece deadlines: the rival that fetches
on demand as well as that library can.

It reads commands, one a line, and answers each with one line of JSON:
    read OFFSET LENGTH   fetch these bytes; the answer comes when they are here
    sequential BYTES     fetch all, in order, BYTES ahead of what is here
    ahead OFFSET LENGTH BYTES/S
                         want these bytes, each when a reader of that rate will
                         come to it; the answer comes at once
    payload              bytes that came in, how many of them for nothing, and
                         how many are in pieces that are whole
    quit

Nothing is wanted until a command wants it, and connections that are of no use
just now stay: else the library would leave its seeds between two reads."""

import argparse
import json
import sys
import time

import libtorrent as lt


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--torrent", required=True, metavar="FILE")
    parser.add_argument("--save", required=True, metavar="DIR")
    parser.add_argument("--listen", required=True, metavar="ADDR:PORT")
    parser.add_argument("--plain", action="store_true",
                        help="no encrypted handshakes")
    return parser.parse_args()


class Reader:
    def __init__(self, options):
        self.session = lt.session({
            "listen_interfaces": options.listen,
            "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
            "enable_natpmp": False, "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
            "close_redundant_connections": False,
            "alert_mask": lt.alert.category_t.storage_notification,
            "alert_queue_size": 100000,
        })
        if options.plain:
            self.session.apply_settings({
                "out_enc_policy": lt.enc_policy.pe_disabled,
                "in_enc_policy": lt.enc_policy.pe_disabled})
        self.info = lt.torrent_info(options.torrent)
        params = lt.add_torrent_params()
        params.ti = self.info
        params.save_path = options.save
        params.flags &= ~(lt.torrent_flags.auto_managed
                          | lt.torrent_flags.paused)
        params.piece_priorities = [0] * self.info.num_pieces()
        self.handle = self.session.add_torrent(params)
        self.here = set()       # pieces whose bytes an alert has brought

    def want(self, piece, deadline_ms):
        if self.handle.have_piece(piece):
            self.handle.read_piece(piece)
        else:
            self.handle.set_piece_deadline(
                piece, deadline_ms, lt.deadline_flags_t.alert_when_available)

    def wait(self, piece):
        """Until the piece's bytes are in this process."""
        while piece not in self.here:
            self.session.wait_for_alert(1000)
            for alert in self.session.pop_alerts():
                if isinstance(alert, lt.read_piece_alert):
                    if len(alert.buffer) == self.info.piece_size(alert.piece):
                        self.here.add(alert.piece)

    def read(self, offset, length):
        size = self.info.piece_length()
        pieces = range(offset // size, (offset + length - 1) // size + 1)
        self.here.difference_update(pieces)
        began = time.monotonic()
        for piece in pieces:
            self.want(piece, 0)
        for piece in pieces:
            self.wait(piece)
        return {"seconds": time.monotonic() - began}

    def sequential(self, ahead_bytes):
        ahead = max(ahead_bytes // self.info.piece_length(), 1)
        count = self.info.num_pieces()
        began, asked = time.monotonic(), 0
        self.here.clear()
        for piece in range(count):
            for asked in range(asked, min(piece + ahead, count)):
                self.want(asked, 10 * (asked - piece))
            asked = min(piece + ahead, count)
            self.wait(piece)
        return {"seconds": time.monotonic() - began}

    def ahead(self, offset, length, rate):
        size = self.info.piece_length()
        first = offset // size
        end = min((offset + length - 1) // size + 1, self.info.num_pieces())
        for piece in range(first, end):
            if not self.handle.have_piece(piece):
                self.handle.set_piece_deadline(
                    piece, 1000 * (piece - first) * size // rate)
        return {}

    def payload(self):
        status = self.handle.status()
        return {"down": status.total_payload_download,
                "held": status.num_pieces * self.info.piece_length(),
                "waste": status.total_redundant_bytes
                + status.total_failed_bytes}

    def serve(self):
        for line in sys.stdin:
            verb, *words = line.split()
            if verb == "quit":
                return
            reply = {"read": self.read, "sequential": self.sequential,
                     "ahead": self.ahead,
                     "payload": self.payload}[verb](*map(int, words))
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    Reader(parse()).serve()

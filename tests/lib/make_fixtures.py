#!/usr/bin/python3
"""Writes tests/lib/fixtures/torrents.h: torrents made by libtorrent
(python3-libtorrent), with what libtorrent says about them.

Only needed to make the fixtures anew; the tests need the header alone. The
content of a file is a function of its place in the list, which
fixture_fill() in the header computes as well."""
import os
import tempfile
import libtorrent as lt

HERE = os.path.dirname(os.path.abspath(__file__))
PIECE = 16384

MANY = [("a/empty", 0), ("a/one.bin", 5), ("b/big.bin", 100000),
        ("b/c/exact.bin", 2 * PIECE), ("z last", 40001)]
# name, files, flags, private, piece length
CASES = [
    ("v1_many", "v1 many", MANY, lt.create_torrent.v1_only, False, PIECE),
    ("v1_single", "one.iso", [("", 50000)], lt.create_torrent.v1_only, True,
     PIECE),
    ("v2_many", "v2 many", MANY, lt.create_torrent.v2_only, False, PIECE),
    ("v2_wide", "v2 wide", MANY, lt.create_torrent.v2_only, False, 4 * PIECE),
    ("v2_single", "two.iso", [("", 50000)], lt.create_torrent.v2_only, False,
     PIECE),
    ("v2_tiny", "tiny.txt", [("", 3)], lt.create_torrent.v2_only, False,
     PIECE),
    ("hybrid_many", "hybrid many", MANY, 0, False, 2 * PIECE),
    ("hybrid_single", "both.iso", [("", 200000)], 0, False, PIECE),
]


def content(ix, size):
    return bytes((i * 31 + (i >> 8) * 7 + ix * 113) & 0xff
                 for i in range(size))


def make(top, name, files, flags, private, piece):
    storage = lt.file_storage()
    for ix, (path, size) in enumerate(files):
        full = os.path.join(name, path) if path else name
        disk = os.path.join(top, full)
        os.makedirs(os.path.dirname(disk), exist_ok=True)
        with open(disk, "wb") as f:
            f.write(content(ix, size))
        storage.add_file(full, size)
    torrent = lt.create_torrent(storage, piece, flags)
    torrent.set_priv(private)
    torrent.set_creator("")
    torrent.add_tracker("http://one.example/announce", 0)
    torrent.add_tracker("udp://two.example:6969", 1)
    torrent.add_url_seed("http://seed.example/files/")
    lt.set_piece_hashes(torrent, top)
    entry = torrent.generate()
    entry[b"creation date"] = 1700000000
    return lt.bencode(entry)


def emit(out, cname, raw):
    info = lt.torrent_info(lt.bdecode(raw))
    files = info.files()
    hashes = info.info_hashes()
    out.append("static const unsigned char fixture_%s_bytes[] = {" % cname)
    for i in range(0, len(raw), 12):
        out.append("\t" + " ".join("0x%02x," % b for b in raw[i:i + 12]))
    out.append("};\n")
    out.append("static const struct fixture_file fixture_%s_files[] = {"
               % cname)
    for i in range(files.num_files()):
        pad = bool(files.file_flags(i) & lt.file_storage.flag_pad_file)
        path = files.file_path(i)
        if "/" in path:
            path = path.split("/", 1)[1]
        out.append('\t{"%s", %dULL, %dULL, %d},' % (
            ".pad" if pad else path, files.file_offset(i),
            files.file_size(i), pad))
    out.append("};\n")
    return '\t{"%s", fixture_%s_bytes, sizeof(fixture_%s_bytes),\n' \
        '\t "%s", "%s", "%s", %d, %d, %dULL, %d,\n' \
        '\t fixture_%s_files, %d},' % (
            cname, cname, cname, info.name(),
            hashes.v1 if hashes.has_v1() else "",
            hashes.v2 if hashes.has_v2() else "",
            info.piece_length(), info.num_pieces(), info.total_size(),
            info.priv(), cname, files.num_files())


def main():
    out = ["/* torrents — made by tests/lib/make_fixtures.py; do not edit. */\n/* clang-format off */",
           "#ifndef SHOAL_TESTS_FIXTURES_TORRENTS_H",
           "#define SHOAL_TESTS_FIXTURES_TORRENTS_H", "",
           "#include <stddef.h>", "#include <stdint.h>", "",
           "struct fixture_file {", "\tconst char *path;",
           "\tunsigned long long off, len;", "\tint is_pad;", "};", "",
           "struct fixture {", "\tconst char *label;",
           "\tconst unsigned char *bytes;", "\tsize_t len;",
           "\tconst char *name;", "\tconst char *v1_hex, *v2_hex;",
           "\tunsigned piece_bytes, n_pieces;",
           "\tunsigned long long total;", "\tint is_private;",
           "\tconst struct fixture_file *files;", "\tunsigned n_files;", "};",
           "", "/* Byte `i` of the `ix`-th file that is no pad file. */",
           "static inline uint8_t fixture_byte(unsigned ix, "
           "unsigned long long i)",
           "{", "\treturn (uint8_t)(i * 31 + (i >> 8) * 7 + ix * 113);", "}",
           ""]
    rows = []
    corpus = os.path.join(HERE, "..", "fuzz", "corpus", "metainfo")
    os.makedirs(corpus, exist_ok=True)
    with tempfile.TemporaryDirectory() as top:
        for cname, name, files, flags, private, piece in CASES:
            raw = make(top, name, files, flags, private, piece)
            rows.append(emit(out, cname, raw))
            with open(os.path.join(corpus, cname), "wb") as f:
                f.write(raw)
    out.append("static const struct fixture fixtures[] = {")
    out += rows
    out += ["};", "", "enum { N_FIXTURES = %d };" % len(rows), "",
            "#endif"]
    with open(os.path.join(HERE, "fixtures", "torrents.h"), "w") as f:
        f.write("\n".join(out) + "\n")


main()

#!/usr/bin/python3
"""Writes corpus/: the seeds of each fuzz target, from the inputs of the other suites and from the texts in seed_texts.py.

Run it after a change here or there; it replaces corpus/ as a whole. What fuzzing finds does not belong in corpus/ but in
regressions/, by hand and with a name.
"""

import base64
import bz2
import gzip
import hashlib
import lzma
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
INTEGRATION = HERE.parent / "integration"
sys.path[:0] = [str(INTEGRATION), str(INTEGRATION / "framing"), str(HERE)]

import seed_texts  # noqa: E402
from archives import corpus as archives  # noqa: E402
from archives.tar_bytes import directory, entry, tar  # noqa: E402
from cases import with_token  # noqa: E402
from corpus import CASES  # noqa: E402

LARGEST = 4096       # bytes of one seed; of archives three times that
MOST = 40            # seeds of one target

REQUESTS = [case.wire for case in CASES if hasattr(case, "wire")]
ANSWERS = [case.raw for case in CASES if hasattr(case, "raw")]


def spread(items, count=MOST):
    """At most `count` of the items, evenly from all of them."""
    items = list(dict.fromkeys(items))
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else items


def messages(raw):
    return [with_token(data, b"case-0000000") for data in raw if len(data) <= 1024]


def chunked_bodies():
    for data in messages(REQUESTS + ANSWERS):
        head, separator, body = data.partition(b"\r\n\r\n")
        if separator and body and re.search(rb"(?i)transfer-encoding", head):
            yield body


def archive_layers():
    """A seed for each layer or pair of layers: see targets/layer_tar.cpp for the first byte."""
    for layers, _verdict in archives.CASES.values():
        if len(layers) > 2:
            continue
        pieces = []
        for layer in layers:
            encoding, data = layer if isinstance(layer, tuple) else ("none", layer)
            if callable(data):
                break
            pieces.append((encoding, data.replace(b"@OUT@", b"/outside")))
        if len(pieces) != len(layers) or sum(len(data) for _encoding, data in pieces) > 3 * LARGEST:
            continue
        encoding = {"none": 0, "gzip": 2, "zstd": 3}[pieces[0][0]]
        if len(pieces) == 1:
            yield bytes([encoding]) + pieces[0][1]
        elif pieces[0][0] == pieces[1][0] == "none":
            # The first layer without its end, which libarchive does not need, in whole blocks.
            first = pieces[0][1][:len(pieces[0][1]) // 512 * 512]
            if len(first) // 512 < 64:
                yield bytes([4 * (len(first) // 512)]) + first + pieces[1][1]


def plugin_tars():
    config = seed_texts.CONFIGS[0].encode()
    tree = [directory("rootfs"), directory("rootfs/bin"), entry("rootfs/bin/x", b"#!/bin/sh\n", mode=0o755)]
    yield tar(entry("config.json", config), *tree)
    yield tar(entry("./config.json", config), *tree, entry("other", b"x"))
    yield tar(*tree, entry("config.json", config), entry("config.json", config))
    yield tar(entry("config.json", config))
    yield tar(*tree)
    yield gzip.compress(tar(entry("config.json", b"{}"), *tree), mtime=0)
    yield bz2.compress(tar(entry("config.json", b"{}"), *tree))
    yield lzma.compress(tar(entry("config.json", b"{}"), *tree))
    yield tar(entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), entry("index.json", b"{}"), directory("blobs"))
    for layers, _verdict in list(archives.CASES.values())[::9]:
        data = layers[0]
        if isinstance(data, bytes) and len(data) <= 2 * LARGEST:
            yield tar(entry("config.json", b"{}"), directory("rootfs"))[:-1024] + in_rootfs(data)


def in_rootfs(data):
    """A tar of one entry, its plain ustar name moved below rootfs/: headers that cannot be moved stay as they are."""
    block = bytearray(data[:512])
    name = bytes(block[:100]).rstrip(b"\0")
    if block[156:157] not in b"xgLK" and len(name) < 90:
        block[:100] = (b"rootfs/" + name.lstrip(b"/")).ljust(100, b"\0")
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


def compressed():
    plain = tar(entry("f", b"abc" * 100))
    packed = gzip.compress(plain, mtime=0)
    for data in (packed, packed + packed, packed + bytes(20), packed[:-3], packed + b"x", bz2.compress(plain),
                 lzma.compress(plain), lzma.compress(plain)[:-5], gzip.compress(b"", mtime=0), b"", plain[:600],
                 bytes.fromhex("28b52ffd2004210000616263648ac24c98"[:34]), bytes.fromhex("28b52ffd04004900006162636465666768694dabf5e3"),
                 bytes.fromhex("502a4d1804000000aabbccdd28b52ffd200421000061626364")):
        yield b"\xff" + data
    yield b"\x01" + plain
    yield b"\x00" + plain[:100]
    yield b"\x02" + packed


def with_digests(text):
    """For settings and manifests: @A@ … @C@ stand for digests."""
    for letter in "ABC":
        text = text.replace(f"@{letter}@", "sha256:" + hashlib.sha256(letter.encode()).hexdigest())
    return text


def request_lines():
    return [data.split(b" ")[1] for data in messages(REQUESTS) if data.count(b" ") > 1]


def registry_auth():
    for text in seed_texts.REGISTRY_AUTHS:
        yield base64.urlsafe_b64encode(text.encode())


SEEDS = {
    "spec_file": seed_texts.URLS + seed_texts.BAD_SPECS,
    "json_definition": seed_texts.JSON_DEFINITIONS,
    "address": [url + "\n%%\n" + relative for url, relative in zip(seed_texts.URLS, seed_texts.RELATIVES * 20)],
    "image_reference": seed_texts.REFERENCES,
    "json_text": seed_texts.JSONS,
    "plugin_config": seed_texts.CONFIGS,
    "settings": seed_texts.SETTINGS,
    "plugins_file": seed_texts.PLUGINS_FILES,
    "image_manifest": seed_texts.MANIFESTS,
    "auth_challenge": seed_texts.CHALLENGES,
    "http_request": messages(REQUESTS),
    "http_response": [bytes([48 + i % 16]) + data for i, data in enumerate(messages(ANSWERS))],
    "chunked_body": list(chunked_bodies()),
    "control_request": messages(REQUESTS)[::4] + seed_texts.CONTROL_REQUESTS,
    "control_body": seed_texts.CONTROL_BODIES + list(registry_auth()),
    "layer_tar": list(archive_layers()),
    "plugin_tar": list(plugin_tars()),
    "decompress": list(compressed()),
    "worker_report": seed_texts.WORKER_REPORTS,
    "path_rewrite": seed_texts.PATH_ANSWERS,
    "brokerd_conf": seed_texts.CONFS,
    "short_texts": seed_texts.SHORT_TEXTS,
    "format_template": seed_texts.TEMPLATES,
    "terminal_text": seed_texts.TERMINAL_TEXTS,
    "seccomp_profile": seed_texts.SECCOMP_PROFILES,
    "shim_files": seed_texts.SHIM_FILES,
    "oci_layout": seed_texts.LAYOUTS,
    "registry_answer": [data for data in messages(ANSWERS)],
    "token_answer": seed_texts.TOKEN_ANSWERS,
}


def main():
    shutil.rmtree(HERE / "corpus", ignore_errors=True)
    for target, seeds in SEEDS.items():
        if not (HERE / "targets" / f"{target}.cpp").exists():
            continue
        place = HERE / "corpus" / target
        place.mkdir(parents=True)
        for number, seed in enumerate(spread(seeds)):
            data = with_digests(seed).encode("utf-8", "surrogateescape") if isinstance(seed, str) else seed
            (place / f"{number:02}").write_bytes(data)


if __name__ == "__main__":
    main()

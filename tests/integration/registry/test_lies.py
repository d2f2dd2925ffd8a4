"""A registry that lies, breaks off, stalls: nothing unverified is kept, and what can be mended is."""

import gzip
import json
import os
import random

import pytest

from lying_registry import (MANIFEST, LyingRegistry, content, cut, digest_of, encoded, endless, problem, raw, redirect, stall,
                            whole)

BLOB = random.Random(4).randbytes(3_000_000)
PATH = f"/v2/some/plugin/blobs/{digest_of(BLOB)}"


@pytest.fixture
def fetch(drive, lying):
    """Downloads BLOB from the lying registry, and checks what must hold whatever it did."""
    def run(answers, blob=BLOB, **options):
        lying.answers[PATH] = answers
        outcome = drive("blob", f"{lying.host}/some/plugin", digest_of(BLOB), len(blob), **options)
        assert os.listdir(drive.store / "tmp") == []
        kept = os.listdir(drive.store / "sha256")
        assert kept == ([digest_of(BLOB)[7:]] if outcome.ok else [])
        if outcome.ok:
            assert (drive.store / "sha256" / kept[0]).read_bytes() == BLOB
        return outcome
    return run


def ranges(registry):
    return [request.field("Range") for request in registry.to(PATH)]


def test_a_whole_blob(fetch, lying):
    outcome = fetch(content(BLOB))
    assert outcome.ok and len(outcome.of("verified")) == 1
    assert len(lying.to(PATH)) == 1


def test_chunked_and_close_delimited_bodies(fetch, lying, drive):
    chunked = b"".join(b"%x;a=b\r\n%s\r\n" % (len(BLOB[i:i + 777_777]), BLOB[i:i + 777_777])
                       for i in range(0, len(BLOB), 777_777))
    assert fetch(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\nX: y\r\n\r\n")).ok
    os.unlink(drive.store / "sha256" / digest_of(BLOB)[7:])
    assert fetch(raw(b"HTTP/1.1 200 OK\r\n\r\n" + BLOB)).ok


def test_closes_in_the_middle_and_is_resumed(fetch, lying):
    outcome = fetch([cut(BLOB, 1_000_000), cut(BLOB, 500_000), content(BLOB)])
    assert outcome.ok
    assert ranges(lying) == [None, "bytes=1000000-", "bytes=1500000-"]
    assert [event["number"] for event in outcome.of("retrying")] == [1_000_000, 1_500_000]


def test_stalls_in_the_middle_and_is_resumed(fetch, lying):
    outcome = fetch([stall(BLOB, 1_000_000), content(BLOB)], stall=150)
    assert outcome.ok
    assert ranges(lying) == [None, "bytes=1000000-"]
    assert "stalled" in outcome.of("retrying")[0]["note"]


def test_a_registry_without_ranges_starts_again(fetch, lying):
    assert fetch([cut(BLOB, 1_000_000), whole(200, BLOB)]).ok
    assert ranges(lying) == [None, "bytes=1000000-"]


def test_416_starts_again(fetch, lying):
    assert fetch([cut(BLOB, 1_000_000), whole(416), content(BLOB)]).ok
    assert ranges(lying) == [None, "bytes=1000000-", None]


@pytest.mark.parametrize("content_range", ["bytes 5-2999999/3000000", "bytes 1000000-1999999/3000000",
                                           "bytes 1000000-2999999/4000000", "nonsense", ""])
def test_another_part_than_was_asked_for(fetch, lying, content_range):
    outcome = fetch([cut(BLOB, 1_000_000), whole(206, BLOB[1_000_000:], Content_Range=content_range), content(BLOB)])
    assert outcome.ok
    assert ranges(lying) == [None, "bytes=1000000-", None]


def test_wrong_bytes_behind_a_resumption(fetch, lying):
    """The digest catches it; all of it is fetched once more."""
    outcome = fetch([cut(BLOB, 1_000_000),
                     whole(206, bytes(2_000_000), Content_Range="bytes 1000000-2999999/3000000"), content(BLOB)])
    assert outcome.ok
    assert ranges(lying) == [None, "bytes=1000000-", None]


def test_breaks_for_ever(fetch, lying):
    outcome = fetch(cut(BLOB, 10))
    assert outcome.kind == "unreachable" and "after 5 attempts" in outcome.message
    assert len(lying.to(PATH)) == 5
    pauses = [event["number"] for event in outcome.of("pause")]
    assert len(pauses) == 4 and all(low <= pause <= 2 * low for pause, low in zip(pauses, (250, 500, 1000, 2000)))


def test_a_wrong_digest_gets_one_more_chance(fetch, lying):
    wrong = whole(200, bytes(len(BLOB)))
    assert fetch([wrong, content(BLOB)]).ok
    assert len(lying.to(PATH)) == 2


def test_a_wrong_digest(fetch, lying):
    outcome = fetch(whole(200, bytes(len(BLOB))))
    assert outcome.kind == "invalid" and "digest" in outcome.message
    assert ranges(lying) == [None, None]


def test_a_truncated_blob(fetch):
    """Its Content-Length says what comes, which is not what the manifest says."""
    outcome = fetch(whole(200, BLOB[:-1]))
    assert outcome.kind == "invalid" and "2999999" in outcome.message


def test_a_blob_that_ends_early_in_good_order(fetch):
    outcome = fetch(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"))
    assert outcome.kind == "unreachable" and "only 5 of the 3000000" in outcome.message


def test_a_longer_blob(fetch):
    assert fetch(whole(200, BLOB + b"x")).kind == "invalid"
    outcome = fetch(raw(b"HTTP/1.1 200 OK\r\n\r\n" + BLOB + b"x"))
    assert outcome.kind == "invalid" and "more than the 3000000 bytes" in outcome.message


def test_an_endless_blob(fetch, lying):
    outcome = fetch(endless)
    assert outcome.kind == "invalid" and "more than the 3000000 bytes" in outcome.message
    assert len(lying.to(PATH)) == 1


def test_a_coding_that_nobody_asked_for(fetch, lying):
    outcome = fetch(whole(200, gzip.compress(BLOB), Content_Encoding="gzip"))
    assert outcome.kind == "invalid" and "gzip" in outcome.message
    assert lying.to(PATH)[0].field("Accept-Encoding") == "identity"


@pytest.mark.parametrize("bad", [
    b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
    b"x" * 100_000,
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" + b"x" * 100_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3000000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    b"\0\1\2\3",
], ids=lambda bad: repr(bad[:40]))
def test_what_is_no_http(fetch, bad):
    outcome = fetch(raw(bad))
    assert outcome.kind == "invalid" and len(outcome.message) < 500


def test_a_closed_connection_without_an_answer(fetch, lying):
    assert fetch([raw(b""), raw(b"HTTP/1.1 200"), content(BLOB)]).ok
    assert len(lying.to(PATH)) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_errors_are_tried_again(fetch, status):
    assert fetch([problem(status, "TOOMANYREQUESTS", "later"), content(BLOB)]).ok


def test_retry_after_is_obeyed_within_reason(fetch):
    outcome = fetch([problem(429, "TOOMANYREQUESTS", "later", Retry_After="7"),
                     problem(503, "X", "later", Retry_After="86400"),
                     problem(503, "X", "later", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"), content(BLOB)])
    assert outcome.ok
    assert [event["number"] for event in outcome.of("pause")] == [7000, 60_000, 60_000]


def test_a_missing_blob_is_not_asked_for_again(fetch, lying):
    outcome = fetch(problem(404, "BLOB_UNKNOWN", "blob unknown to \x1b[31mregistry\n"))
    assert outcome.kind == "not_found" and "blob unknown to \\x1b[31mregistry" in outcome.message
    assert len(lying.to(PATH)) == 1


def test_redirects_elsewhere_take_no_authorization_along(fetch, lying):
    other = LyingRegistry()
    other.answers["/storage"] = content(BLOB)
    lying.answers["/v2/hop"] = redirect(f"http://{other.host}/storage?X-Signature=secret")
    basic = whole(401, WWW_Authenticate='Basic realm="here"')
    outcome = fetch([basic, redirect("/v2/hop")],
                    auth=encoded(username="user", password="pass"))
    assert outcome.ok
    assert [request.field("Authorization") for request in lying.to(PATH)] == [None, "Basic dXNlcjpwYXNz"]
    assert [request.field("Authorization") for request in lying.to("/v2/hop")] == ["Basic dXNlcjpwYXNz"]
    assert [request.field("Authorization") for request in other.requests] == [None]
    other.close()


def test_a_broken_redirect_target_tells_no_signature(fetch):
    other = LyingRegistry()
    other.answers["/storage"] = whole(403, b"<Error>expired</Error>")
    outcome = fetch(redirect(f"http://{other.host}/storage?X-Signature=secret"))
    assert outcome.kind == "denied" and other.host in outcome.message and "secret" not in outcome.message
    other.close()


def test_redirects_without_end(fetch, lying):
    outcome = fetch(redirect(PATH))
    assert outcome.kind == "invalid" and "redirects" in outcome.message
    assert len(lying.to(PATH)) == 11


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/x", "http://user:pass@127.0.0.1/", "http://", "http://a b/",
                                      "http://127.0.0.1:99999/", "http://..//", "http://x/" + "y" * 9000])
def test_redirects_to_what_is_no_url(fetch, location):
    outcome = fetch(redirect(location))
    assert outcome.kind == "invalid" and "Location" in outcome.message


def test_cancellation_ends_a_fast_transfer_and_a_stalled_one(fetch):
    assert fetch(endless, cancel_at=1).kind == "cancelled"
    assert fetch(stall(BLOB, 1000), cancel_at=1).kind == "cancelled"


def drip(_request, connection):
    """The head of an answer, a byte now and then: no stall, and still too slow."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    connection.settimeout(0.02)
    while True:
        connection.sendall(b"x")
        try:
            connection.recv(1)
            return False
        except TimeoutError:
            pass


def test_the_time_of_an_exchange_is_bounded(drive, lying):
    manifest_of(lying, drip)
    outcome = drive("manifest", f"{lying.host}/some/plugin", exchange=300, attempts=1)
    assert outcome.kind == "unreachable" and "too slow" in outcome.message


def manifest_of(registry, answers):
    registry.answers["/v2/some/plugin/manifests/latest"] = answers


def test_a_manifest_over_4_mib(drive, lying):
    for answer in (whole(200, b" " * ((4 << 20) + 1)), endless):
        manifest_of(lying, answer)
        outcome = drive("manifest", f"{lying.host}/some/plugin")
        assert outcome.kind == "invalid" and "4194304" in outcome.message


def test_a_manifest_with_another_digest(drive, lying):
    manifest_of(lying, whole(200, b"{}", Content_Type=MANIFEST, Docker_Content_Digest=digest_of(b"[]")))
    outcome = drive("manifest", f"{lying.host}/some/plugin")
    assert outcome.kind == "invalid" and "digest" in outcome.message
    wanted = digest_of(b"[]")
    lying.answers[f"/v2/some/plugin/manifests/{wanted}"] = whole(200, b"{}", Content_Type=MANIFEST)
    assert drive("manifest", f"{lying.host}/some/plugin@{wanted}").kind == "invalid"


def test_a_manifest(drive, lying):
    manifest_of(lying, [problem(503, "X", "later"), redirect("/moved"), whole(500)])
    lying.answers["/moved"] = whole(200, b"{}", Content_Type=MANIFEST + "; charset=utf-8",
                                    Docker_Content_Digest=digest_of(b"{}"))
    outcome = drive("manifest", f"{lying.host}/some/plugin")
    assert outcome.ok and outcome.last["type"] == MANIFEST and outcome.last["digest"] == digest_of(b"{}")
    accept = lying.requests[0].field("Accept")
    assert all(word in accept for word in ("manifest.v2+json", "manifest.list.v2+json", "image.manifest", "image.index"))


def test_an_unknown_manifest(drive, lying):
    manifest_of(lying, problem(404, "MANIFEST_UNKNOWN", "manifest unknown"))
    outcome = drive("manifest", f"{lying.host}/some/plugin")
    assert outcome.kind == "not_found"
    assert outcome.message == (f"cannot get {lying.host}/some/plugin:latest: {lying.host} answers 404: not found: "
                               "manifest unknown")


def test_small_blobs(drive, lying):
    blob = b'{"a":1}'
    lying.answers[f"/v2/some/plugin/blobs/{digest_of(blob)}"] = content(blob)
    arguments = ("small", f"{lying.host}/some/plugin", digest_of(blob))
    assert drive(*arguments, len(blob), 100).last["bytes"] == blob.decode()
    assert drive(*arguments, len(blob), 3).kind == "invalid"
    assert drive(*arguments, len(blob) + 1, 100).kind == "invalid"
    lying.answers[f"/v2/some/plugin/blobs/{digest_of(blob)}"] = content(b'{"a":2}')
    assert drive(*arguments, len(blob), 100).kind == "invalid"


def test_errors_of_all_shapes(drive, lying):
    for body in (b"", b"\xff\xfe", b"[" * 60_000, json.dumps({"errors": 5}).encode(), json.dumps({"errors": [5]}).encode(),
                 json.dumps({"errors": [{"code": 5, "message": [], "detail": {"a": "b"}}] * 1000}).encode(),
                 json.dumps({"message": "x" * 10_000}).encode(), b"x" * 1_000_000):
        manifest_of(lying, whole(400, body))
        outcome = drive("manifest", f"{lying.host}/some/plugin")
        assert outcome.kind == "invalid" and len(outcome.message) < 1500


def test_a_port_where_nobody_listens(drive, lying):
    lying.close()
    outcome = drive("manifest", f"{lying.host}/some/plugin", attempts=2)
    assert outcome.kind == "unreachable" and "Connection refused" in outcome.message
    assert "after 2 attempts" in outcome.message

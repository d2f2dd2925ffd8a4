"""Pushes to registries that break off, want no chunks, or answer what they must not."""

import json

import pytest

from lying_registry import LyingRegistry, digest_of, encoded, problem, redirect, whole

CHUNK = 64 << 20
STARTED = "/v2/some/plugin/blobs/uploads/"
MANIFEST_PATH = "/v2/some/plugin/manifests/latest"


class Uploads:
    """Answers a LyingRegistry's uploads as a registry does; `refuse` maps a count of requests to an answer."""

    def __init__(self, registry, blob_size, fields=None):
        self.registry, self.has, self.refuse, self.count, self.sizes = registry, 0, {}, 0, []
        self.size, self.fields = blob_size, fields or {}
        registry.answers[("POST", STARTED)] = whole(202, Location="/upload/1?state=a", **self.fields)
        registry.answers["/upload/1"] = self._answer
        registry.answers[MANIFEST_PATH] = whole(201)

    def _answer(self, request, connection):
        self.count += 1
        if self.count in self.refuse:
            return self.refuse[self.count](request, connection)
        if request.method == "GET":
            return whole(204, Location="/upload/1?state=c", Range=f"0-{self.has - 1}")(request, connection)
        self.sizes.append((request.method, self.has, len(request.body), request.field("Content-Range")))
        self.has += len(request.body)
        if request.method == "PATCH":
            return whole(202, Location="1?state=b", Range=f"0-{self.has - 1}")(request, connection)
        assert "digest=sha256%3A" in request.target and "?state=" in request.target
        return whole(201 if self.has == self.size else 400)(request, connection)


@pytest.fixture
def push(drive, lying, directory):
    def run(size, **options):
        (directory / "manifest").write_text("{}")
        with open(directory / "blob", "wb") as blob:
            blob.truncate(size)
        return drive("push", f"{lying.host}/some/plugin", "application/x", directory / "manifest", directory / "blob",
                     **options)
    return run


def test_a_small_blob_goes_in_one_piece(push, lying):
    uploads = Uploads(lying, 1000)
    assert push(1000).ok
    assert uploads.sizes == [("PUT", 0, 1000, None)]
    assert [request.method for request in lying.requests] == ["HEAD", "POST", "PUT", "PUT"]
    assert lying.to(MANIFEST_PATH)[0].body == b"{}" and lying.to(MANIFEST_PATH)[0].field("Content-Type") == "application/x"


def test_an_empty_blob(push, lying):
    assert (Uploads(lying, 0), push(0))[1].ok


def test_a_large_blob_goes_in_chunks(push, lying):
    uploads = Uploads(lying, CHUNK + 5)
    assert push(CHUNK + 5).ok
    assert uploads.sizes == [("PATCH", 0, CHUNK, f"0-{CHUNK - 1}"), ("PUT", CHUNK, 5, f"{CHUNK}-{CHUNK + 4}")]


def test_the_registrys_smallest_chunk(push, lying):
    uploads = Uploads(lying, CHUNK + 5, {"OCI-Chunk-Min-Length": str(CHUNK + 4)})
    assert push(CHUNK + 5).ok
    assert [size for _method, _has, size, _range in uploads.sizes] == [CHUNK + 4, 1]


def test_a_break_costs_a_chunk(push, lying):
    uploads = Uploads(lying, CHUNK + 5)
    uploads.refuse[2] = lambda _request, _connection: False
    outcome = push(CHUNK + 5)
    assert outcome.ok and outcome.of("retrying")[0]["number"] == CHUNK
    assert [method for method, *_rest in uploads.sizes] == ["PATCH", "PUT"]
    assert len([request for request in lying.to(STARTED)]) == 1


def test_an_upload_that_the_registry_forgot_begins_anew(push, lying):
    uploads = Uploads(lying, 1000)
    uploads.refuse = {1: problem(503, "X", "later"), 2: problem(404, "BLOB_UPLOAD_UNKNOWN", "gone")}
    assert push(1000).ok
    assert len(lying.to(STARTED)) == 2


def test_a_registry_that_forgets_each_time_is_given_up(push, lying):
    def answer(request, connection):
        if request.method == "PATCH":
            return whole(202, Location="/upload/1?state=b", Range=f"0-{CHUNK - 1}")(request, connection)
        return problem(404 if request.method == "GET" else 503, "X", "what upload?")(request, connection)
    Uploads(lying, CHUNK + 5)
    lying.answers["/upload/1"] = answer
    outcome = push(CHUNK + 5, attempts=3)
    assert outcome.kind == "unreachable", outcome.last
    assert len([request for request in lying.requests if request.method == "PATCH"]) <= 4


@pytest.mark.parametrize("status", [400, 404, 405, 416])
def test_a_registry_that_wants_no_chunks(push, lying, status):
    uploads = Uploads(lying, CHUNK + 5)
    uploads.refuse[1] = problem(status, "UNSUPPORTED", "no chunks")
    assert push(CHUNK + 5).ok
    assert uploads.sizes == [("PUT", 0, CHUNK + 5, None)]


def test_a_refusal(push, lying):
    uploads = Uploads(lying, 1000)
    uploads.refuse = {1: problem(400, "DIGEST_INVALID", "provided digest did not match uploaded content")}
    outcome = push(1000)
    assert outcome.kind == "invalid" and "did not match" in outcome.message
    lying.answers[("POST", STARTED)] = problem(403, "DENIED", "requested access to the resource is denied")
    outcome = push(1000)
    assert outcome.kind == "denied" and "requested access to the resource is denied" in outcome.message


def test_uploads_elsewhere_see_no_password(push, lying):
    other = LyingRegistry()
    Uploads(other, 1000)
    Uploads(lying, 1000)
    lying.answers[("POST", STARTED)] = [whole(401, WWW_Authenticate="Basic realm=x"),
                                        whole(202, Location=f"http://{other.host}/upload/1?state=x")]
    assert push(1000, auth=encoded(username="u", password="p")).ok
    assert [request.field("Authorization") for request in other.requests] == [None]
    assert lying.requests[-1].field("Authorization") == "Basic dTpw"
    other.close()


@pytest.mark.parametrize("answer", [whole(202), whole(202, Location="ftp://x/"), whole(201), whole(204), redirect("/x")])
def test_odd_answers_to_the_start(push, lying, answer):
    lying.answers[("POST", STARTED)] = answer
    assert push(1000).kind == "invalid"


def test_what_the_registry_stored_is_something_else(push, lying):
    uploads = Uploads(lying, 1000)
    uploads.refuse[1] = whole(201, Docker_Content_Digest=digest_of(b"x"))
    assert push(1000).kind == "invalid"
    Uploads(lying, 1000)
    lying.answers[MANIFEST_PATH] = whole(201, Docker_Content_Digest=digest_of(b"x"))
    outcome = push(1000)
    assert outcome.kind == "invalid" and "changed on the way" in outcome.message


def test_a_registry_in_trouble_is_asked_again(push, lying):
    Uploads(lying, 1000)
    lying.answers[("HEAD", f"/v2/some/plugin/blobs/{digest_of(bytes(1000))}")] = [whole(500), whole(404)]
    lying.answers[MANIFEST_PATH] = [whole(502), whole(201)]
    started = lying.answers[("POST", STARTED)]
    lying.answers[("POST", STARTED)] = [whole(503, Retry_After="1"), started]
    outcome = push(1000)
    assert outcome.ok and len(outcome.of("pause")) == 3


def test_errors_in_mid_upload_are_told_though_the_connection_breaks(push, lying):
    """The registry answers and closes before it has read the body."""
    def hasty(_request, connection):
        connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 41\r\nConnection: close\r\n\r\n" +
                           json.dumps({"errors": [{"code": "DENIED"}]}).encode().ljust(41))
        return False
    Uploads(lying, 1000).refuse[1] = hasty
    assert push(1000).kind == "denied"

"""Who is told which secret: Basic, Bearer, identity tokens, and what registries do to get hold of them."""

import json
import urllib.parse

import pytest

from lying_registry import MANIFEST, LyingRegistry, encoded, problem, redirect, whole

PATH = "/v2/some/plugin/manifests/latest"
MINE = encoded(username="user", password="pa:ss")
BASIC = "Basic dXNlcjpwYTpzcw=="
GOOD = whole(200, b"{}", Content_Type=MANIFEST)


def token(value, **more):
    return whole(200, json.dumps({"token": value, **more}).encode())


def unauthorized(challenge):
    return problem(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)


def wants_token(tokens, challenge):
    """Accepts requests with one of these tokens."""
    def answer(request, connection):
        good = request.field("Authorization") in ["Bearer " + each for each in tokens]
        return (GOOD if good else unauthorized(challenge))(request, connection)
    return answer


def queries(registry):
    return [urllib.parse.parse_qs(request.target.partition("?")[2]) for request in registry.to("/token")]


@pytest.fixture
def get(drive, lying):
    def run(**options):
        return drive("manifest", f"{lying.host}/some/plugin", **options)
    return run


@pytest.fixture
def bearer(lying):
    return f'Bearer realm="http://{lying.host}/token",service="a \\"service\\" &",scope="repository:some/plugin:pull"'


def test_basic(get, lying):
    lying.answers[PATH] = [unauthorized('Basic realm="x", charset="UTF-8"'), GOOD]
    assert get(auth=MINE).ok
    assert [request.field("Authorization") for request in lying.requests] == [None, BASIC]


def test_basic_with_a_wrong_password(get, lying):
    lying.answers[PATH] = unauthorized("Basic realm=x")
    outcome = get(auth=MINE)
    assert outcome.kind == "unauthorized" and "wrong user name or password" in outcome.message
    assert "pa:ss" not in outcome.message and len(lying.requests) == 2


def test_basic_without_credentials(get, lying):
    lying.answers[PATH] = unauthorized("Basic realm=x")
    outcome = get()
    assert outcome.kind == "unauthorized" and "requires a login" in outcome.message and len(lying.requests) == 1


def test_credentials_of_another_registry_stay_here(get, lying):
    lying.answers[PATH] = unauthorized("Basic realm=x")
    for address in ("https://index.docker.io/v1/", "127.0.0.1", f"http://127.0.0.2:{lying.port}", "nonsense://"):
        assert get(auth=encoded(username="user", password="x", serveraddress=address)).kind == "unauthorized"
    assert all(request.field("Authorization") is None for request in lying.requests)
    for address in (lying.host, f"http://{lying.host}/v2/", f"https://{lying.host}"):
        get(auth=encoded(username="user", password="pa:ss", serveraddress=address))
        assert lying.requests[-1].field("Authorization") == BASIC


def test_an_anonymous_token(get, lying, bearer):
    lying.answers[PATH] = wants_token(["abc"], bearer)
    lying.answers["/token"] = token("abc")
    assert get().ok
    assert queries(lying) == [{"service": ['a "service" &'], "scope": ["repository(plugin):some/plugin:pull"],
                               "client_id": ["brokerd"]}]
    assert lying.to("/token")[0].field("Authorization") is None


def test_a_token_for_a_user_is_used_again(get, lying, bearer):
    lying.answers[PATH] = wants_token(["abc"], bearer)
    lying.answers["/token"] = token("abc", expires_in=300)
    assert get(auth=MINE, repeat="yes").ok
    assert [request.field("Authorization") for request in lying.to("/token")] == [BASIC]
    assert [request.field("Authorization") for request in lying.to(PATH)] == [None, "Bearer abc", "Bearer abc"]


def test_a_token_that_expires_in_mid_job(get, lying, bearer):
    lying.answers[PATH] = [unauthorized(bearer), GOOD, unauthorized(bearer), GOOD]
    lying.answers["/token"] = [token("one"), token("two")]
    assert get(repeat="yes").ok
    assert [request.field("Authorization") for request in lying.to(PATH)] == [None, "Bearer one", "Bearer one",
                                                                             "Bearer two"]


@pytest.mark.parametrize("refusal", [400, 401, 403])
def test_a_service_that_refuses_the_class(get, lying, bearer, refusal):
    lying.answers[PATH] = wants_token(["abc"], bearer)
    lying.answers["/token"] = [whole(refusal), token("abc")]
    assert get().ok
    assert [query["scope"] for query in queries(lying)] == [["repository(plugin):some/plugin:pull"],
                                                            ["repository:some/plugin:pull"]]


@pytest.mark.parametrize("denied", [401, 403])
def test_a_registry_that_does_not_know_the_class(get, lying, bearer, denied):
    def answer(request, connection):
        if request.field("Authorization") == "Bearer plain":
            return GOOD(request, connection)
        refusal = problem(403, "DENIED", "access denied") if denied == 403 else unauthorized(bearer)
        return (refusal if request.field("Authorization") else unauthorized(bearer))(request, connection)
    lying.answers[PATH] = answer
    lying.answers["/token"] = [token("classy"), token("plain")]
    assert get().ok
    assert len(lying.to(PATH)) == 3


def test_a_registry_that_is_never_content(get, lying, bearer):
    lying.answers[PATH] = unauthorized(bearer)
    lying.answers["/token"] = token("abc")
    outcome = get(auth=MINE)
    assert outcome.kind == "unauthorized" and len(lying.requests) < 8
    lying.answers[PATH] = unauthorized(bearer + ',error="insufficient_scope"')
    assert get(auth=MINE).kind == "denied"


def test_a_wrong_password_at_the_service(get, lying, bearer):
    lying.answers[PATH] = unauthorized(bearer)
    lying.answers["/token"] = whole(401, b'{"details":"incorrect username or password"}')
    outcome = get(auth=MINE)
    assert outcome.kind == "unauthorized" and "incorrect username or password" in outcome.message
    assert "pa:ss" not in outcome.message and len(lying.to("/token")) == 2


def test_a_service_in_trouble_is_asked_again(get, lying, bearer):
    lying.answers[PATH] = wants_token(["abc"], bearer)
    lying.answers["/token"] = [whole(503, Retry_After="3"), token("abc")]
    outcome = get()
    assert outcome.ok and [event["number"] for event in outcome.of("pause")] == [3000]


def test_an_identity_token(get, lying, bearer):
    lying.answers[PATH] = wants_token(["abc"], bearer)
    lying.answers[("POST", "/token")] = whole(200, b'{"access_token":"abc","expires_in":60}')
    assert get(auth=encoded(identitytoken="ref&resh")).ok
    asked = lying.to("/token")[0]
    form = urllib.parse.parse_qs(asked.body.decode())
    assert form == {"grant_type": ["refresh_token"], "refresh_token": ["ref&resh"], "service": ['a "service" &'],
                    "scope": ["repository(plugin):some/plugin:pull"], "client_id": ["brokerd"]}
    assert asked.field("Authorization") is None


def test_a_registry_token_is_sent_as_it_is(get, lying, bearer):
    lying.answers[PATH] = wants_token(["direct"], bearer)
    assert get(auth=encoded(registrytoken="direct")).ok and len(lying.requests) == 1
    assert get(auth=encoded(registrytoken="other")).kind == "unauthorized"


@pytest.mark.parametrize("challenge", [
    "", "Bearer", "Bearer realm=", 'Bearer realm="x', 'Bearer realm="http://h/",realm="http://g/"', "Digest a=b", "\x80",
    'Bearer realm="ftp://127.0.0.1/"', 'Bearer realm="/token"', "Basic " * 1000, 'Bearer realm="' + "x" * 20_000 + '"',
    'Bearer realm="http://user:pw@127.0.0.1/token"', 'Bearer realm="http://plugins.example/token"',
], ids=lambda challenge: challenge[:30])
def test_challenges_that_cannot_be_met(get, lying, challenge):
    lying.answers[PATH] = unauthorized(challenge)
    outcome = get(auth=MINE)
    assert outcome.kind in ("invalid", "unauthorized") and len(outcome.message) < 500
    assert all(request.field("Authorization") is None for request in lying.requests)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token":5}', b'{"token":"a b"}', b'{"token":"a\\r\\nX: y"}',
                                  b'{"token":"' + b"x" * 20_000 + b'"}', b"[" * 60_000, b"x" * 200_000],
                         ids=lambda body: repr(body[:20]))
def test_tokens_that_cannot_be_used(get, lying, bearer, body):
    lying.answers[PATH] = unauthorized(bearer)
    lying.answers["/token"] = whole(200, body)
    assert get().kind == "invalid"


def test_the_service_does_not_send_us_on(get, lying, bearer):
    """A redirect would carry the password to whoever it names."""
    other = LyingRegistry()
    lying.answers[PATH] = unauthorized(bearer)
    lying.answers["/token"] = redirect(f"http://{other.host}/token")
    assert not get(auth=MINE).ok
    assert other.requests == []
    other.close()


def test_several_challenges(get, lying, bearer):
    lying.answers[PATH] = wants_token(["abc"], f'Negotiate abc==, Basic realm="x", {bearer}')
    lying.answers["/token"] = token("abc")
    assert get(auth=MINE).ok
    assert all(request.field("Authorization") != BASIC for request in lying.to(PATH))


@pytest.mark.parametrize("header", ["!", "e30", "bnVsbA==", "W10=", "YWJj", "x" * 70_000], ids=lambda text: text[:10])
def test_headers_without_credentials(get, lying, header):
    lying.answers[PATH] = GOOD
    assert get(auth=header).ok == (header in ("e30", "bnVsbA=="))

"""What is granted must be what is asked for, element by element, whoever sends it to the API."""

import copy
import json

import pytest
from harness import unix_http
from harness.managed import assert_verified, blobs, inspect, install, succeed
from harness.served_image import ServedImage, layer
from lying_registry import MANIFEST, LyingRegistry, whole


def mount(name, source):
    return {"name": name, "description": "", "type": "bind", "options": ["rbind"], "source": source, "destination": f"/{name}"}


NEEDS = {"network": {"type": "host"}, "mounts": [mount("a", "/srv"), mount("b", "/opt")],
         "linux": {"capabilities": ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]}}


@pytest.fixture
def image(closing):
    return ServedImage(closing.add(LyingRegistry()), "acme/p", [layer({"etc/x": b"x"})], NEEDS)


def pull(broker, image, privileges, headers=None):
    return unix_http.request(broker.control, "POST", f"/plugins/pull?remote={image.name}", privileges, headers, timeout=30)


def asked(broker, image):
    reply = broker.get(f"/plugins/privileges?remote={image.name}")
    assert reply.status == 200, reply
    privileges = reply.json()
    assert [(privilege["Name"], privilege["Value"]) for privilege in privileges] == [
        ("network", ["host"]), ("mount", ["/srv"]), ("mount", ["/opt"]), ("capabilities", ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"])]
    return privileges


def without_first(privileges):
    """CVE-2026-33997: Docker's comparison began at the second element."""
    return privileges[1:]


def other_first(privileges):
    """CVE-2026-33997: the first of the granted ones was never looked at."""
    return [{**privileges[0], "Value": ["none"]}, *privileges[1:]]


def first_twice(privileges):
    return [privileges[1], *privileges[1:]]


def without_last(privileges):
    return privileges[:-1]


def none_at_all(_privileges):
    return []


def duplicated(privileges):
    return [*privileges, privileges[-1]]


def one_mount_twice(privileges):
    """As many of each name, but not the same ones."""
    return [privileges[0], privileges[1], privileges[1], privileges[3]]


def extra(privileges):
    return [*privileges, {"Name": "device", "Description": "", "Value": ["/dev/fuse"]}]


def extra_value(privileges):
    return [*privileges[:-1], {**privileges[-1], "Value": [*privileges[-1]["Value"], "CAP_SYS_PTRACE"]}]


def value_twice(privileges):
    return [*privileges[:-1], {**privileges[-1], "Value": ["CAP_SYS_ADMIN", "CAP_SYS_ADMIN"]}]


def missing_value(privileges):
    return [*privileges[:-1], {**privileges[-1], "Value": privileges[-1]["Value"][:1]}]


def other_case(privileges):
    return [*privileges[:-1], {**privileges[-1], "Name": "Capabilities"}]


UNEQUAL = [without_first, other_first, first_twice, without_last, none_at_all, duplicated, one_mount_twice, extra, extra_value,
           value_twice, missing_value, other_case]


@pytest.mark.parametrize("change", UNEQUAL, ids=lambda change: change.__name__)
def test_unequal_privileges_are_refused(started, image, change):
    before = asked(started, image)
    reply = pull(started, image, change(copy.deepcopy(before)))
    assert reply.status == 403 and "incorrect privileges" in reply.error, reply
    assert started.plugins() == {} and blobs(started) == set()
    assert_verified(started)


def test_the_order_does_not_matter(started, image):
    privileges = asked(started, image)[::-1]
    privileges[0]["Value"].reverse()
    assert pull(started, image, privileges).status == 200
    granted = started.get(f"/broker/v1/plugins/{image.name}/privileges").json()["Privileges"]
    assert sorted(json.dumps(each) for each in granted) == sorted(json.dumps(each) for each in asked(started, image))
    assert_verified(started)


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'[{"Name":5}]', b'[{"Name":"","Value":[]}]', b'[{"Name":"network","Value":"host"}]',
                                  b"[", b"nonsense", b"[" * 100_000, b'[{"Name":"network","Value":[' + b'"host",' * 300_000 + b'"x"]}]'],
                         ids=lambda body: repr(body[:30]))
def test_what_are_no_privileges(started, image, body):
    reply = pull(started, image, body)
    assert reply.status in (400, 413), reply
    assert started.plugins() == {} and blobs(started) == set()


def test_a_config_that_changes_between_question_and_install(started, image, closing):
    """The operator agreed to what was shown; the tag moves to an image that asks for more."""
    registry = image.registry
    less = ServedImage(registry, "acme/p", image.layers, {"network": {"type": "host"}})
    shown = registry.answers[less.manifest_path]
    image.be_honest()
    registry.answers[image.manifest_path] = [shown, whole(200, image.manifest, Content_Type=MANIFEST)]
    refused = install(started, image.name)
    assert refused.returncode == 1 and "incorrect privileges" in refused.stderr and "CAP_SYS_ADMIN" in refused.stderr, refused
    assert started.plugins() == {}


def test_an_upgrade_that_asks_for_more(started, image):
    less = ServedImage(image.registry, "acme/less", image.layers, {"network": {"type": "host"}})
    succeed(install(started, less.name, "--alias", "mine"))
    before = inspect(started, "mine")
    privileges = asked(started, image)
    for granted in (without_first(privileges)[1:], other_first(without_last(privileges)), none_at_all(privileges),
                    [privileges[0], *extra(privileges[1:])]):
        reply = unix_http.request(started.control, "POST", f"/plugins/mine/upgrade?remote={image.name}", granted, timeout=30)
        assert reply.status == 403 and "incorrect privileges" in reply.error, (granted, reply)
        assert inspect(started, "mine") == before
    reply = unix_http.request(started.control, "POST", f"/plugins/mine/upgrade?remote={image.name}", privileges, timeout=30)
    assert reply.status == 200, reply
    assert inspect(started, "mine")["PluginReference"] == image.name
    assert_verified(started)

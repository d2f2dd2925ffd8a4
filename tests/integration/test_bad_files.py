"""Definition files of every bad kind: listed as invalid with a reason, never a crash, never a blocked loop."""

import json
import os
import time

import pytest
from harness.waiting import wait_until

GOOD = "unix:///nonexistent/plugin.sock"

BAD_URLS = {
    "no-scheme": "localhost:8080",
    "only-scheme": "tcp://",
    "unknown-scheme": "ftp://localhost:21",
    "fd-scheme": "fd://3",
    "npipe": "npipe:////./pipe/docker",
    "relative-socket": "unix://run/plugin.sock",
    "empty-socket": "unix://",
    "root-socket": "unix:///",
    "long-socket": "unix:///" + "s" * 200,
    "no-port": "tcp://localhost",
    "empty-port": "tcp://localhost:",
    "word-port": "tcp://localhost:http",
    "zero-port": "tcp://localhost:0",
    "large-port": "tcp://localhost:65536",
    "huge-port": "tcp://localhost:99999999999999999999",
    "negative-port": "tcp://localhost:-1",
    "no-host": "tcp://:8080",
    "path": "tcp://localhost:8080/path",
    "query": "tcp://localhost:8080?x=1",
    "fragment": "tcp://localhost:8080#x",
    "user": "tcp://user:password@localhost:8080",
    "open-bracket": "tcp://[::1:8080",
    "bare-ipv6": "tcp://::1:8080",
    "bad-ipv6": "tcp://[xyz]:8080",
    "inner-space": "tcp://local host:8080",
    "control-character": "tcp://local\x01host:8080",
    "zero-byte": "tcp://localhost:80\x0080",
    "newline-inside": "tcp://localhost:8080\ntcp://localhost:8081",
    "crlf-injection": "tcp://localhost:8080\r\nX-Evil: 1",
    "not-ascii": "tcp://bücher.example:8080",
    "percent": "tcp://%6c%6f:8080",
    "slash-only": "///",
    "one-slash": "unix:/run/plugin.sock",
    "upper-scheme-garbage": "T CP://localhost:8080",
}

BAD_SPECS = {
    "empty": b"",
    "blank": b" \n\t\n",
    "binary": bytes(range(256)) * 4,
    "zeros": b"\0" * 512,
    "huge": b"tcp://localhost:8080" + b" " * (8 << 20),
    "long-line": b"x" * (1 << 20),
    "utf16": "tcp://localhost:8080".encode("utf-16"),
    "json-in-spec": b'{"Name": "json-in-spec", "Addr": "tcp://localhost:8080"}',
}

BAD_JSON = {
    "not-json": "this is not JSON",
    "empty": "",
    "array": "[]",
    "string": '"tcp://localhost:8080"',
    "null": "null",
    "open": '{"Name": "open",',
    "no-address": '{"Name": "no-address"}',
    "no-name": '{"Addr": "tcp://localhost:8080"}',
    "address-number": '{"Name": "address-number", "Addr": 8080}',
    "name-number": '{"Name": 7, "Addr": "tcp://localhost:8080"}',
    "bad-address": '{"Name": "bad-address", "Addr": "nowhere"}',
    "tls-string": '{"Name": "tls-string", "Addr": "tcp://localhost:8080", "TLSConfig": "yes"}',
    "tls-skip-string": '{"Name": "tls-skip-string", "Addr": "tcp://localhost:8080", "TLSConfig": {"InsecureSkipVerify": "yes"}}',
    "tls-file-number": '{"Name": "tls-file-number", "Addr": "tcp://localhost:8080", "TLSConfig": {"CAFile": 1}}',
    "tls-on-http": '{"Name": "tls-on-http", "Addr": "http://localhost:8080", "TLSConfig": {"CAFile": "/ca.pem"}}',
    "key-without-certificate": '{"Name": "key-without-certificate", "Addr": "tcp://localhost:8080", "TLSConfig": {"KeyFile": "/k.pem"}}',
    "deep": "[" * 100000 + "]" * 100000,
    "deep-object": '{"a":' * 50000 + "1" + "}" * 50000,
    "invalid-utf8": b'{"Name": "invalid-utf8", "Addr": "tcp://\xff\xfe:80"}',
    "huge": '{"Name": "huge", "Addr": "tcp://localhost:8080", "Padding": "' + "x" * (8 << 20) + '"}',
    "after": '{"Name": "after", "Addr": "tcp://localhost:8080"} trailing',
}


@pytest.fixture
def lazy_broker(broker):
    return broker(activation="lazy").start()


def assert_invalid(broker, name):
    view = broker.wait_state(name, "invalid")
    assert view["Reason"], view
    assert view["Definition"] in view["Reason"], view
    assert view["Endpoint"] == ""
    assert not broker.published(name).exists()
    reply = broker.lookup(name, timeout=0)
    assert reply.status == 503 and reply.error, reply
    return view


def assert_alive(broker):
    """A new good definition is found at once, so the loop is not blocked."""
    name = f"good-{time.monotonic_ns()}"
    broker.define(name, GOOD)
    begin = time.monotonic()
    broker.wait_published(name, 5)
    assert broker.process.running
    return time.monotonic() - begin


def test_malformed_urls(lazy_broker):
    for name, url in BAD_URLS.items():
        lazy_broker.write(f"{name}.spec", url)
    for name in BAD_URLS:
        assert_invalid(lazy_broker, name)
    assert_alive(lazy_broker)
    findings = {finding["Plugin"]: finding for finding in lazy_broker.findings()}
    for name in BAD_URLS:
        assert findings[name]["Problem"] == "invalid" and findings[name]["Remedy"], name


def test_malformed_urls_in_json_files(lazy_broker):
    for name, url in BAD_URLS.items():
        lazy_broker.define_json(name, url)
    for name in BAD_URLS:
        assert_invalid(lazy_broker, name)
    assert_alive(lazy_broker)


def test_bad_contents_of_spec_files(lazy_broker):
    for name, content in BAD_SPECS.items():
        lazy_broker.write(f"{name}.spec", content)
    for name in BAD_SPECS:
        assert_invalid(lazy_broker, name)
    assert_alive(lazy_broker)


def test_bad_contents_of_json_files(lazy_broker):
    for name, content in BAD_JSON.items():
        lazy_broker.write(f"{name}.json", content)
    for name in BAD_JSON:
        assert_invalid(lazy_broker, name)
    assert_alive(lazy_broker)


def test_the_place_of_the_mistake_is_told(lazy_broker):
    path = lazy_broker.write("place.json", '{\n  "Name": "place",\n  "Addr": tcp://localhost:8080\n}\n')
    assert assert_invalid(lazy_broker, "place")["Reason"].startswith(f"{path}:3:")


def test_a_trailing_comma_is_accepted_with_a_warning(lazy_broker):
    """As the documentation's own example has it."""
    lazy_broker.write("comma.json", '{"Name": "comma", "Addr": "https://localhost:8080", "TLSConfig": '
                                    '{"InsecureSkipVerify": false, "CAFile": "/ca.pem", "CertFile": "/c.pem", "KeyFile": "/k.pem",}}')
    view = lazy_broker.wait_state("comma", "discovered")
    assert view["Endpoint"] == "https://localhost:8080"
    assert any("comma" in warning for warning in view["Warnings"])
    assert [finding["Severity"] for finding in lazy_broker.findings("comma")] == ["warning"]


def test_tls_on_a_unix_socket_is_ignored_with_a_warning(lazy_broker):
    lazy_broker.define_json("local", GOOD, {"CAFile": "/ca.pem"})
    view = lazy_broker.wait_state("local", "discovered")
    assert any("TLSConfig" in warning for warning in view["Warnings"])


def test_white_space_around_a_url_is_ignored(lazy_broker):
    lazy_broker.write("spaced.spec", "\r\n \t tcp://localhost:8080 \t \r\n\n")
    assert lazy_broker.wait_state("spaced", "discovered")["Endpoint"] == "tcp://localhost:8080"


def test_a_json_file_with_another_name_inside(lazy_broker):
    lazy_broker.write("outside.json", '{"Name": "inside", "Addr": "tcp://localhost:8080"}')
    assert_invalid(lazy_broker, "outside")
    assert lazy_broker.plugin("inside") is None
    finding = lazy_broker.findings("outside")[0]
    assert finding["Problem"] == "name-mismatch"
    assert "inside" in finding["Cause"] and "outside" in finding["Remedy"] + finding["Cause"]


@pytest.mark.parametrize("extension", ["spec", "json"])
def test_things_that_are_no_files(lazy_broker, extension):
    directory = lazy_broker.specs[0]
    os.mkfifo(directory / f"fifo.{extension}", 0o644)
    (directory / f"directory.{extension}").mkdir()
    (directory / f"loop.{extension}").symlink_to(f"loop.{extension}")
    (directory / f"loop-a.{extension}").symlink_to(f"loop-b.{extension}")
    (directory / f"loop-b.{extension}").symlink_to(f"loop-a.{extension}")
    (directory / f"zero.{extension}").symlink_to("/dev/zero")
    (directory / f"terminal.{extension}").symlink_to("/dev/tty")
    (directory / f"process.{extension}").symlink_to("/proc/kmsg")
    os.mknod(directory / f"device.{extension}", 0o600 | 0o020000, os.makedev(1, 5))
    for name in ("fifo", "directory", "loop", "loop-a", "loop-b", "zero", "terminal", "process", "device"):
        assert_invalid(lazy_broker, name)
    assert assert_alive(lazy_broker) < 5
    lazy_broker.stop()
    lazy_broker.start()
    assert lazy_broker.plugin("fifo")["State"] == "invalid"


def test_a_symlink_to_a_good_file_is_good_and_a_dangling_one_is_told(lazy_broker):
    lazy_broker.write("target.txt", GOOD)
    (lazy_broker.specs[0] / "linked.spec").symlink_to("target.txt")
    lazy_broker.wait_state("linked", "discovered")
    (lazy_broker.specs[0] / "dangling.spec").symlink_to("nowhere")
    assert_alive(lazy_broker)
    dangling = lazy_broker.plugin("dangling")
    assert dangling is None or dangling["State"] == "invalid"


def test_unreadable_files(broker):
    """Root reads everything, unless it lost the right to override: so runs this broker."""
    broker = broker(activation="lazy", prefix=["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"])
    broker.define("locked", GOOD)
    os.chmod(broker.specs[0] / "locked.spec", 0)
    broker.define("inside/inside", GOOD)
    os.chmod(broker.specs[0] / "inside", 0)
    broker.define("open", GOOD)
    broker.start()
    view = assert_invalid(broker, "locked")
    assert "ermission" in view["Reason"]
    assert broker.plugin("open")["State"] == "discovered"
    os.chmod(broker.specs[0] / "locked.spec", 0o600)
    broker.wait_state("locked", "discovered")
    os.chmod(broker.specs[0] / "inside", 0o755)
    broker.wait_state("inside", "discovered")


def test_files_of_others_are_refused(lazy_broker):
    for name, mode, owner in (("group", 0o664, 0), ("world", 0o646, 0), ("owner", 0o644, 65534)):
        path = lazy_broker.define(name, GOOD)
        os.chown(path, owner, 0)
        os.chmod(path, mode)
    lazy_broker.define("good", GOOD)
    for name in ("world", "owner"):
        assert_invalid(lazy_broker, name)
        finding = lazy_broker.findings(name)[0]
        assert finding["Problem"] == "unsafe-owner"
        assert "chmod" in finding["Remedy"] or "chown" in finding["Remedy"]
    assert lazy_broker.plugin("good")["State"] == "discovered"
    for name in ("world", "owner"):
        os.chown(lazy_broker.specs[0] / f"{name}.spec", 0, 0)
        os.chmod(lazy_broker.specs[0] / f"{name}.spec", 0o644)
        lazy_broker.wait_state(name, "discovered")


def test_files_of_others_are_taken_where_that_was_asked_for(broker):
    broker = broker(activation="lazy", unsafe=True)
    os.chown(broker.define("owner", GOOD), 65534, 65534)
    broker.start()
    assert broker.plugin("owner")["State"] == "discovered"


def test_names_that_cannot_be_names(lazy_broker):
    directory = lazy_broker.specs[0]
    bad = [b"with space.spec", b"new\nline.spec", b"\xff\xfe.spec", b"semi;colon.spec", b"$(reboot).json", b"esc\x1b[31m.spec", b"qu\"ote.json",
           "bücher.spec".encode(), b"back\\slash.spec", b"percent%2f.spec", b"a" * 250 + b".spec"]
    for name in bad:
        with open(os.path.join(os.fsencode(directory), name), "w", encoding="utf-8") as file:
            file.write(GOOD)
    def invalid():
        plugins = lazy_broker.plugins().values()
        return [plugin for plugin in plugins if plugin["State"] == "invalid"]
    wait_until(lambda: len(invalid()) >= len(bad) - 1, lambda: f"list of bad names: {invalid()}")
    for plugin in invalid():
        assert plugin["Reason"]
        assert plugin["Name"].isprintable() and plugin["Name"].isascii()
    listed = lazy_broker.pluginctl("ls")
    assert listed.returncode == 0
    assert "\x1b" not in listed.stdout
    assert_alive(lazy_broker)


def test_a_repaired_file_is_taken_at_once(lazy_broker, mobyfs):
    plugin = mobyfs()
    lazy_broker.write("repair.json", '{"Name": "repair"')
    assert_invalid(lazy_broker, "repair")
    lazy_broker.define_json("repair", plugin.url)
    lazy_broker.wait_state("repair", "discovered")
    assert lazy_broker.lookup("repair", timeout=5).status == 200
    lazy_broker.write("repair.json", json.dumps({"Name": "other", "Addr": plugin.url}))
    assert_invalid(lazy_broker, "repair")


def test_a_bad_file_shadows_a_good_one_as_in_docker(lazy_broker):
    """The first that exists wins, even if its content is bad."""
    lazy_broker.define_json("shadowed", GOOD)
    lazy_broker.wait_state("shadowed", "discovered")
    lazy_broker.write("shadowed.spec", "nonsense")
    view = assert_invalid(lazy_broker, "shadowed")
    assert [shadow["File"] for shadow in view["Shadows"]] == [str(lazy_broker.specs[0] / "shadowed.json")]


def test_bad_files_before_the_start(broker):
    broker = broker(activation="lazy")
    for name, url in BAD_URLS.items():
        broker.write(f"{name}.spec", url)
    for name, content in BAD_JSON.items():
        broker.write(f"json-{name}.json", content)
    os.mkfifo(broker.specs[0] / "fifo.spec")
    broker.start()
    plugins = broker.plugins()
    assert len(plugins) == len(BAD_URLS) + len(BAD_JSON) + 1
    assert {plugin["State"] for plugin in plugins.values()} == {"invalid"}

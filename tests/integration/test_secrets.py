"""Secrets are planted wherever somebody may have one, everything is driven, and none comes to light: in no log, event, answer, error,
argument, nor in a file that others can read. What a plugin itself writes is its own."""

import json
import os
import pathlib
import signal
import stat
import subprocess

import pytest
from forwarding_proxy import Proxy
from harness import unix_http
from harness.journal import Journal
from harness.managed import install, succeed
from harness.plugin_images import make_plugin
from harness.running import create_sample
from harness.secrets import Planted, processes_below, runtime_that_notes
from harness.served_image import ServedImage, layer
from harness.waiting import wait_until
from lying_registry import LyingRegistry, encoded, problem, whole

HIDDEN = "********"
NAME = "acme/secretive:latest"
USER = "joe"


@pytest.fixture
def planted():
    return Planted()


@pytest.fixture
def watched(broker, closing, planted):
    """Makes a broker whose journal, events and answers are looked at when the test ends."""
    made = []

    def make(**options):
        journal = closing.add(Journal()).read()
        one = broker(timeout=1, **options)
        one.environment.update(Journal.environment(one))
        made.append((one, journal))
        return one
    yield make
    for one, journal in made:
        tell_all(one, planted)
        if one.process is not None and one.process.running:
            one.stop()
        planted.note("the log", one.process.output() if one.process is not None else "")
        ours = [entry for entry in journal.entries if entry["SYSLOG_IDENTIFIER"] == "brokerd"]
        assert ours
        planted.note("the journal", json.dumps(ours))
        assert planted.readable(one.state, one.runtime) == []
    assert planted.found() == {}


def tell_all(broker, planted):
    """Every question that a broker answers."""
    if broker.process is None or not broker.process.running:
        return
    for target in ("/broker/v1/plugins", "/broker/v1/doctor", "/broker/v1/metrics", "/plugins", "/info", "/version", "/healthz"):
        planted.note(target, broker.get(target).body.decode())
    for plugin in broker.plugins():
        for target in (f"/broker/v1/plugins/{unix_http.quote(plugin)}/json", f"/plugins/{unix_http.quote(plugin)}/json"):
            planted.note(target, broker.get(target).body.decode())
    for command in (["ls", "--no-trunc"], ["doctor"], ["stats", "--no-stream"], ["ls", "--format", "json"]):
        planted.ran(broker.pluginctl(*command))
    planted.note("events", replayed(broker, "/broker/v1/events?replay=1000"))
    planted.note("Docker's events", replayed(broker, "/events?since=0&until=1"))


def replayed(broker, target):
    """The events so far."""
    done = subprocess.run(["curl", "-sS", "--max-time", "1", "--unix-socket", broker.control, f"http://broker{target}"],
                          capture_output=True, text=True)
    return done.stdout


def secretive(planted):
    """A plugin's config with secrets of all kinds, and the values that are planted in it: name -> secret."""
    names = ("DB_PASSWORD", "API_KEY", "githubToken", "DATABASE", "CERTIFICATE", "args", "FIXED_SECRET")
    values = {name: planted.new(name.replace("_", "")) for name in names}
    settable = {"description": "", "settable": ["value"]}
    config = {
        "env": [{"name": "BEHAVIOUR", "value": "", **settable}, {"name": "VOLUMES", "value": "/data", **settable},
                {"name": "DB_PASSWORD", "value": "", **settable}, {"name": "API_KEY", "value": values["API_KEY"], **settable},
                {"name": "githubToken", **settable}, {"name": "DATABASE", "value": "", **settable},
                {"name": "CERTIFICATE", "value": "", **settable}, {"name": "PASSWORD_FILE", "value": "/run/password", **settable},
                {"name": "FIXED_SECRET", "description": "", "value": values["FIXED_SECRET"]}],
        "args": {"name": "args", "value": [], **settable},
    }
    settings = [f"DB_PASSWORD={values['DB_PASSWORD']}", f"githubToken={values['githubToken']}",
                f"DATABASE=postgres://app:{values['DATABASE']}@db/x",
                f"CERTIFICATE=-----BEGIN PRIVATE KEY-----\n{values['CERTIFICATE']}\n", f"args=--password {values['args']}"]
    return config, settings, values


def test_settings_of_a_plugin(watched, planted, directory, closing, docker):
    config, settings, values = secretive(planted)
    runtime, notes = runtime_that_notes(directory)
    broker = watched(extra=["--oci-runtime", runtime, "--live-restore=false"]).start()
    create_sample(broker, NAME, config=config)
    planted.ran(broker.pluginctl("set", NAME, *settings))
    shown = planted.ran(broker.pluginctl("inspect", NAME))
    plugin, = json.loads(succeed(shown))
    assert f"DB_PASSWORD={HIDDEN}" in plugin["Settings"]["Env"] and "PASSWORD_FILE=/run/password" in plugin["Settings"]["Env"]
    assert f"DATABASE=postgres://app:{HIDDEN}@db/x" in plugin["Settings"]["Env"] and plugin["Settings"]["Args"] == ["--password", HIDDEN]
    assert [entry["Value"] for entry in plugin["Config"]["Env"] if entry["Name"] == "API_KEY"] == [HIDDEN]
    for command in (["inspect", "--format", "{{json .}}", NAME], ["inspect", "--format", "{{range .Settings.Env}}{{.}} {{end}}", NAME],
                    ["ls"], ["inspect", "--format", "json", NAME]):
        succeed(planted.ran(broker.pluginctl(*command)))
    for command in (["inspect", NAME], ["ls", "--no-trunc"], ["ls", "--format", "{{json .}}"]):
        succeed(planted.ran(docker(broker.control)("plugin", *command)))

    # Whoever asks for them gets them, whole and as they are kept.
    revealed = json.loads(succeed(broker.pluginctl("inspect", "--show-secrets", NAME)))[0]
    assert set(settings[:4]) <= set(revealed["Settings"]["Env"]) and revealed["Settings"]["Args"] == ["--password", values["args"]]
    assert planted.in_text(json.dumps(revealed)) == {name.replace("_", "") for name in values}

    # It runs with them: its own process, as its user, and nobody else.
    succeed(planted.ran(broker.pluginctl("enable", NAME)))
    process = broker.wait_state(NAME, "running")["Pid"]
    below = processes_below(broker.process.pid)
    assert process in below and len(below) >= 3, below
    own = {number for number in below if planted.in_text(b"\0".join(below[number]))}
    assert own == {process}
    assert {stat.S_IMODE(os.stat(f"/proc/{process}/environ").st_mode)} == {0o400}
    assert len(list(notes.iterdir())) >= 1
    for note in notes.iterdir():
        planted.note("how the OCI runtime was called", note.read_bytes())

    # Trouble, and what is said of it.
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: broker.plugin(NAME)["Restarts"] > 0, "a restart")
    broker.wait_state(NAME, "running")
    broker.reload()
    for wrong in ([f"UNKNOWN={values['DB_PASSWORD']}"], [f"FIXED_SECRET={values['DB_PASSWORD']}"], [f"DB_PASSWORD.x={values['DB_PASSWORD']}"]):
        assert planted.ran(broker.pluginctl("set", NAME, *wrong)).returncode == 1
    succeed(planted.ran(broker.pluginctl("disable", NAME)))
    for wrong in ([f"UNKNOWN={values['DB_PASSWORD']}"], [f"FIXED_SECRET={values['DB_PASSWORD']}"], [f"DB_PASSWORD.x={values['DB_PASSWORD']}"]):
        assert planted.ran(broker.pluginctl("set", NAME, *wrong)).returncode == 1
    archive = directory / "saved.tar"
    succeed(planted.ran(broker.pluginctl("save", "-o", archive, NAME)))
    assert planted.in_text(archive.read_bytes()) and stat.S_IMODE(archive.stat().st_mode) == 0o600
    removed = unix_http.request(broker.control, "DELETE", f"/plugins/{unix_http.quote(NAME)}", timeout=60)
    planted.note("what a removal answers", removed.body.decode())
    succeed(planted.ran(broker.pluginctl("load", "--grant-all-permissions", archive)))
    kept = json.loads(succeed(broker.pluginctl("inspect", "--show-secrets", NAME)))[0]
    assert kept["Settings"] == revealed["Settings"]


def test_last_words_of_a_plugin(watched, planted, directory):
    """What a plugin writes is its own, in its logs; what brokerd repeats of it in events, lists and errors is not."""
    config, settings, _values = secretive(planted)
    config["entrypoint"] = ["/bin/busybox", "sh", "-c", 'echo "cannot log in as joe:$DB_PASSWORD at $DATABASE" >&2; exit 3']
    plugin = make_plugin(directory / "talkative", {**config, "args": {}}, {"bin/busybox": pathlib.Path("/bin/busybox").read_bytes()})
    (plugin / "rootfs/bin/busybox").chmod(0o755)
    broker = watched(extra=["--live-restore=false"]).start()
    succeed(broker.pluginctl("create", NAME, plugin))
    succeed(broker.pluginctl("set", NAME, *settings[:4]))
    refused = planted.ran(broker.pluginctl("enable", NAME))
    assert refused.returncode == 1 and f"cannot log in as joe:{HIDDEN} at postgres://app:{HIDDEN}@db/x" in refused.stderr, refused


def test_what_inspect_shows_is_not_set(watched, planted):
    """A script that reads settings, changes one and writes all of them back would lose the secrets."""
    config, settings, _values = secretive(planted)
    broker = watched().start()
    create_sample(broker, NAME, config=config)
    succeed(broker.pluginctl("set", NAME, *settings))
    before = json.loads(succeed(broker.pluginctl("inspect", "--show-secrets", NAME)))
    for entry in json.loads(succeed(broker.pluginctl("inspect", NAME)))[0]["Settings"]["Env"]:
        if HIDDEN in entry:
            refused = planted.ran(broker.pluginctl("set", NAME, "BEHAVIOUR=changed", entry))
            assert refused.returncode == 1 and "inspect hides a secret" in refused.stderr, entry
    assert json.loads(succeed(broker.pluginctl("inspect", "--show-secrets", NAME))) == before


def test_settings_that_an_upgrade_drops(watched, planted, closing):
    config, settings, _values = secretive(planted)
    registry = closing.add(LyingRegistry())
    image = ServedImage(registry, "acme/p", [layer({"etc/v": b"1"})], config)
    broker = watched().start()
    succeed(planted.ran(install(broker, image.name, *settings)))
    newer = ServedImage(registry, "acme/p", [layer({"etc/v": b"2"})], {"env": []}, tag="2")
    done = planted.ran(broker.pluginctl("upgrade", "--grant-all-permissions", "--skip-remote-check", image.name, newer.name))
    assert "DB_PASSWORD" in succeed(done) and HIDDEN in done.stdout, done


# What a registry may say to a request with a login: each repeats all that it was told.
def repeats(status, **fields):
    def answer(request, connection):
        told = " ".join(value for _name, value in request.fields) + request.body.decode()
        plain = json.dumps({"errors": [{"code": "X" + told, "message": told, "detail": told}], "message": told, "details": told})
        return whole(status, plain.encode(), Content_Type="application/json", **fields)(request, connection)
    return answer


CREDENTIALS = ("password", "identitytoken", "registrytoken")
# What answers, by the place of the request: at /v2/… and at the token service.
TROUBLE = {
    "refused": (repeats(401, WWW_Authenticate='Basic realm="x"'), None),
    "forbidden": (repeats(403), None),
    "in trouble": (repeats(500), None),
    "the token service refuses": (None, repeats(401)),
    "the token service is in trouble": (None, repeats(503)),
    "a bad token": (None, whole(200, b'{"token":"a b"}')),
    "a wrong token": (None, whole(200, b'{"token":"TOKEN"}')),
}


# Each round waits for brokerd's attempts at a registry that fails: two kinds are enough for an ordinary run.
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.long if kind == "identitytoken" else ()) for kind in CREDENTIALS])
def test_logins_at_registries(watched, planted, closing, kind):
    """Also a registry that repeats what it was told."""
    secret, token = planted.new(kind, USER), planted.new("bearer")
    login = {"username": USER, "password": secret} if kind == "password" else {kind: secret}
    registry = closing.add(LyingRegistry())
    image = ServedImage(registry, "acme/p", [layer({"etc/data": b"1"})])
    broker = watched().start()
    headers = {"X-Registry-Auth": encoded(**login)}
    for at_registry, at_service in TROUBLE.values():
        challenge = f'Bearer realm="http://{registry.host}/token",service="s"'
        once = problem(401, "UNAUTHORIZED", "login", WWW_Authenticate=challenge if at_service else 'Basic realm="x"')
        registry.answers[image.manifest_path] = [once, at_registry or repeats(401, WWW_Authenticate=challenge)]
        registry.answers["/token"] = at_service if at_service else []
        if at_service is TROUBLE["a wrong token"][1]:
            registry.answers["/token"] = whole(200, json.dumps({"token": token}).encode())
        before = len(registry.requests)
        for method, target in (("GET", "/plugins/privileges"), ("POST", "/plugins/pull")):
            reply = unix_http.request(broker.control, method, f"{target}?remote={image.name}", json.dumps([]).encode() if method == "POST" else None,
                                      headers=headers, timeout=60)
            assert reply.status >= 400 or b"error" in reply.body, reply
            planted.note(f"{method} {target}", reply.body.decode())
        sent = registry.requests[before:]
        assert any(planted.in_text(json.dumps([request.fields, request.body.decode()])) for request in sent) or kind == "identitytoken"
    for text in ("!", encoded(**login)[3:], encoded(auth=secret)):
        reply = unix_http.request(broker.control, "GET", f"/plugins/privileges?remote={image.name}", headers={"X-Registry-Auth": text}, timeout=60)
        planted.note("a header that is none", reply.body.decode())


def test_addresses_that_a_registry_gives(watched, planted, closing):
    """Signed addresses, and such with a password in them, for blobs."""
    registry, storage = closing.add(LyingRegistry()), closing.add(LyingRegistry())
    blob = layer({"etc/data": b"1"})
    image = ServedImage(registry, "acme/p", [blob])
    broker = watched().start()
    signature, password = planted.new("signature"), planted.new("location")
    down = LyingRegistry()
    down.close()
    for location in (f"http://{storage.host}/blob?X-Amz-Signature={signature}", f"http://{down.host}/blob?sig={signature}",
                     f"http://me:{password}@{storage.host}/blob", f"ftp://me:{password}@host/x", f"/v2/?sig={signature} x"):
        image.lie(blob, whole(307, b"", Location=location))
        for answer in (problem(403, "DENIED", "expired"), whole(200, b"another blob")):
            storage.answers["/blob"] = answer
            assert planted.ran(install(broker, image.name)).returncode == 1
    assert storage.requests and any(signature in request.target for request in storage.requests)


@pytest.mark.parametrize("proxy", ["works", "refuses", "down", "unreadable"])
def test_proxies(watched, planted, closing, directory, proxy):
    secret = planted.new("proxy", "me")
    registry = closing.add(LyingRegistry())
    server = closing.add(Proxy(registry.host, b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" if proxy == "refuses" else
                               b"HTTP/1.1 200 Connection established\r\n\r\n"))
    if proxy == "down":
        server.close()
    host = "no host" if proxy == "unreadable" else server.host
    broker = watched(extra=["--oci-runtime", runtime_that_notes(directory)[0], "--live-restore=false"])
    broker.environment.update({name: f"http://me:{secret}@{host}" for name in ("HTTP_PROXY", "HTTPS_PROXY")})
    broker.start()
    assert planted.ran(install(broker, "plugins.invalid/acme/p", timeout=120)).returncode == 1
    create_sample(broker, NAME)
    succeed(broker.pluginctl("enable", NAME))
    broker.wait_state(NAME, "running")
    below = processes_below(broker.process.pid)
    assert {number for number in below if planted.in_text(b"\0".join(below[number]))} == {broker.process.pid}
    assert stat.S_IMODE(os.stat(f"/proc/{broker.process.pid}/environ").st_mode) == 0o400
    for note in (directory / "runtime-notes").iterdir():
        planted.note("how the OCI runtime was called", note.read_bytes())


def test_addresses_in_definitions(watched, planted, mobyfs):
    broker = watched()
    words = {name: planted.new(name) for name in ("spec", "token", "plain", "json", "path", "slash")}
    broker.define("spec", f"https://me:{words['spec']}@127.0.0.1:1")
    broker.define("token", f"https://{words['token']}@127.0.0.1:1")
    broker.define("plain", f"me:{words['plain']}@127.0.0.1:1")
    broker.define("slash", f"http://me:{words['slash']}/x@127.0.0.1:1")
    broker.define_json("json", f"tcp://me:{words['json']}@127.0.0.1:1")
    broker.write("path.spec", f"http://me:{'x' * 110}{words['path']}@127.0.0.1:1")
    broker.start()
    events = broker.events()
    for name in words:
        plugin = broker.wait_state(name, "invalid")
        assert planted.note("the reason", plugin["Reason"]) and "is not a plugin address" in plugin["Reason"], plugin
    broker.define("spec", mobyfs().url)
    events.wait_for("spec", "active")
    broker.define("spec", f"https://me:{words['spec']}@127.0.0.1:1")
    events.wait_for("spec", "invalid")
    planted.note("events", json.dumps(events.seen))


@pytest.mark.parametrize("setting", ["registry-mirror", "insecure-registry"])
def test_addresses_in_settings(broker, planted, setting):
    for address in (f"https://me:{planted.new('mirror')}@host", f"me:{planted.new('plain')}@host:1", f"http://{planted.new('token')}@host"):
        refusing = broker(extra=[f"--{setting}", address])
        assert setting in planted.note("flag", refusing.refuse())
        refusing.extra = []
        (refusing.directory / "brokerd.conf").write_text(f"{setting} = {address}\n{address}\n")
        assert setting in planted.note("file", refusing.refuse())
    assert planted.found() == {}


def test_addresses_on_the_command_line(started, planted):
    """They may be in the terminal already, and need not be in a log of a script, too."""
    for host in (f"ssh://me:{planted.new('ssh')}@host", f"tcp://me:{planted.new('tcp')}@host:1", f"http://me:{planted.new('http')}@host"):
        assert planted.ran(started.pluginctl("-H", host, "ls")).returncode == 2
    for image in (f"https://me:{planted.new('image')}@host/acme/p", f"http://{planted.new('other')}@host/acme/p"):
        assert planted.ran(started.pluginctl("install", image)).returncode in (1, 2)
    assert planted.found() == {}


def test_keys_of_tls(watched, planted, mobyfs, directory, certificates):
    """A key where its path should be, and keys that cannot be read."""
    broker = watched()
    plugin = mobyfs(tls_cert=certificates / "server.pem", tls_key=certificates / "server.key", client_ca=certificates / "ca.pem")
    words = {name: planted.new(name) for name in ("inline", "garbage", "locked")}
    tls = {"CAFile": certificates / "ca.pem", "CertFile": certificates / "client.pem"}
    (directory / "garbage.key").write_text(f"-----BEGIN PRIVATE KEY-----\n{words['garbage']}\n-----END PRIVATE KEY-----\n")
    subprocess.run(["openssl", "pkey", "-aes256", "-passout", f"pass:{words['locked']}", "-in", certificates / "client.key",
                    "-out", directory / "locked.key"], check=True, capture_output=True)
    for name, key in (("inline", f"-----BEGIN PRIVATE KEY-----\n{words['inline']}"), ("garbage", directory / "garbage.key"),
                      ("locked", directory / "locked.key")):
        broker.define_json(name, plugin.url, {**tls, "KeyFile": key})
    broker.start()
    for name in words:
        broker_view = wait_until(lambda name=name: broker.plugin(name) if broker.plugin(name)["State"] in ("failed", "invalid") else None,
                                 f"{name} to be refused")
        planted.note("the reason", broker_view["Reason"])

"""pluginctl's commands for managed plugins against a real dockerd, whose API they speak, beside docker's own client."""

import base64
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest
from harness.brokerd import PLUGINCTL
from harness.plugin_images import make_plugin
from harness.registry import Registry
from harness.waiting import wait_until

GREEDY = {"network": {"type": "host"}, "linux": {"capabilities": ["CAP_SYS_ADMIN"], "devices": [{"path": "/dev/fuse"}]},
          "mounts": [{"name": "m", "type": "bind", "source": "/tmp", "destination": "/mnt", "options": ["rbind"],
                      "settable": ["source"]}]}
QUESTION = "Do you grant the above permissions? [y/N] "
PASSWORD = "p:w?>"
PASSWORD_HASH = "$2b$04$ZDl0qANcYTTv61GoO8UBq.htnzu0bP/fOgNNc7Zm.GLDWarWsnqzu"


class Place:
    """A dockerd, a registry, and a plugin's directory; docker() and pluginctl() run their `plugin` commands."""

    def __init__(self, directory, engine, registry):
        self.directory, self.engine, self.registry = directory, engine, registry
        self.source = make_plugin(directory / "plugin", GREEDY, {"nonce": os.urandom(16)})  # dockerd remembers what it has had
        self.config = directory / "client"
        self.config.mkdir()

    def name(self, path):
        return f"{self.registry.host}/{path}"

    def command(self, *arguments):
        return [str(PLUGINCTL), "-H", f"unix://{self.engine.socket}", *map(str, arguments)]

    @property
    def environment(self):
        return {**os.environ, "DOCKER_CONFIG": str(self.config)}

    def pluginctl(self, *arguments, answer=""):
        return subprocess.run(self.command(*arguments), input=answer, capture_output=True, text=True, timeout=90,
                              env=self.environment)

    def docker(self, *arguments, answer=""):
        return subprocess.run(["/usr/bin/docker", "-H", f"unix://{self.engine.socket}", "plugin", *map(str, arguments)],
                              input=answer, capture_output=True, text=True, timeout=90, env=self.environment)

    def installed(self):
        """name -> enabled, by docker."""
        lines = self.docker("ls", "--format", "{{.Name}} {{.Enabled}}").stdout.splitlines()
        return dict(line.split() for line in lines)

    def publish(self, path, config=None):
        """Puts a plugin into the registry, and into no engine."""
        source = self.source if config is None else make_plugin(self.directory / path.replace("/", "-"), config)
        name = self.name(path)
        for arguments in (["create", name, source], ["push", name], ["rm", name]):
            ran = self.pluginctl(*arguments)
            assert ran.returncode == 0, ran.stderr
        return name


@pytest.fixture
def place(directory, closing, shared_dockerd):
    return Place(directory, shared_dockerd, closing.add(Registry(directory)))


def without_ids(text):
    """Layers come in any order, and through more or fewer states."""
    return set(re.sub(r"[0-9a-f]{12,64}", "ID", text).splitlines())


def test_create_and_push_as_docker_does(place):
    name = place.name("sample/one")
    made = place.pluginctl("create", name, place.source)
    assert (made.returncode, made.stdout, made.stderr) == (0, name + "\n", "")
    assert place.installed() == {name + ":latest": "false"}
    pushed = place.pluginctl("push", name)
    assert (pushed.returncode, pushed.stderr) == (0, "")
    for told in (pushed.stdout, place.docker("push", place.name("sample/one")).stdout):
        assert {f"The push refers to repository [{name}]", "ID: Preparing"} <= without_ids(told)
    assert place.pluginctl("push", place.name("not/there")).returncode == 1


@pytest.mark.parametrize("source", ["directory", "gzip", "archive", "stdin"])
def test_every_source_makes_the_same_plugin(place, source):
    name = place.name("sample/one")
    tar = place.directory / "plugin.tar"
    subprocess.run(["tar", "-C", place.source, "-cf", tar, "config.json", "rootfs"], check=True)
    if source == "stdin":
        with open(tar, "rb") as archive:
            made = subprocess.run(place.command("create", name, "-"), stdin=archive, capture_output=True, timeout=60)
    else:
        # 20.10's dockerd fails on gzip from its own client, too: "failed to read from tar: unexpected EOF".
        made = place.pluginctl("create", *(["--compress"] if source == "gzip" else []), name,
                               tar if source == "archive" else place.source)
    if source == "gzip":
        assert made.returncode == place.docker("create", "--compress", name, place.source).returncode
        return
    assert made.returncode == 0, made.stderr
    assert json.loads(place.pluginctl("inspect", name).stdout)[0]["Config"]["Network"]["Type"] == "host"


def test_install_asks_and_reports_as_docker_does(place):
    name = place.publish("sample/one")
    for answer in ("", "n\n"):
        mine, theirs = place.pluginctl("install", name, answer=answer), place.docker("install", name, answer=answer)
        assert mine.returncode == theirs.returncode == 1
        assert mine.stdout == theirs.stdout and mine.stdout.endswith(QUESTION)
        assert mine.stderr == "pluginctl install: " + theirs.stderr
    assert place.installed() == {}
    theirs = place.docker("install", "--disable", "--alias", "theirs", name, answer="y\n")
    mine = place.pluginctl("install", "--disable", "--alias", "mine", name, answer="y\n")
    assert mine.returncode == theirs.returncode == 0
    assert mine.stdout.startswith(theirs.stdout[:theirs.stdout.index(QUESTION)])
    assert mine.stdout.splitlines()[-1] == theirs.stdout.splitlines()[-1] == f"Installed plugin {name}"
    assert place.installed() == {"theirs:latest": "false", "mine:latest": "false"}
    again = place.pluginctl("install", "--disable", "--alias", "mine", "--grant-all-permissions", name)
    assert again.returncode == 1 and "already exists" in again.stderr


def test_settings_of_an_installation(place):
    name = place.publish("sample/one")
    done = place.pluginctl("install", "--disable", "--grant-all-permissions", name, "DEBUG=7", "m.source=/var")
    assert done.returncode == 0, done.stderr
    settings = json.loads(place.docker("inspect", name).stdout)[0]["Settings"]
    assert settings["Env"] == ["DEBUG=7"] and settings["Mounts"][0]["Source"] == "/var"
    place.pluginctl("rm", name)
    wrong = place.pluginctl("install", "--disable", "--grant-all-permissions", name, "NONE=1")
    assert wrong.returncode == 1 and "NONE" in wrong.stderr
    assert place.installed() == {}


@pytest.mark.long  # dockerd tries for twelve seconds
def test_enabling_is_told_in_the_daemons_words(place):
    name = place.publish("sample/one")
    failed = place.pluginctl("install", "--grant-all-permissions", name)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"pluginctl install: {name}:latest is installed but disabled: ")
    assert place.installed() == {name + ":latest": "false"}


def test_inspect_prints_what_docker_prints(place):
    name = place.name("sample/one")
    place.pluginctl("create", name, place.source)
    mine, theirs = place.pluginctl("inspect", name), place.docker("inspect", name)
    assert json.loads(mine.stdout) == json.loads(theirs.stdout)
    for template in ("{{.Name}} {{.Enabled}}", "{{json .Config.Network}}", "{{.Config.Network.Type}}"):
        mine, theirs = (run("inspect", "-f", template, name) for run in (place.pluginctl, place.docker))
        assert mine.stdout == theirs.stdout
    missing = place.pluginctl("inspect", "none", name)
    assert missing.returncode == 1 and len(json.loads(missing.stdout)) == 1


def test_set_and_remove(place):
    name = place.name("sample/one")
    place.pluginctl("create", name, place.source)
    done = place.pluginctl("set", name, "DEBUG=5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(place.docker("inspect", name).stdout)[0]["Settings"]["Env"] == ["DEBUG=5"]
    assert place.pluginctl("set", name, "NONE=5").returncode == 1
    gone = place.pluginctl("rm", "none", name)
    assert gone.returncode == 1 and gone.stdout == name + "\n" and gone.stderr.count("\n") == 1
    assert place.installed() == {}


def test_enable_and_disable_say_what_docker_says(place):
    name = place.name("sample/one")
    place.pluginctl("create", name, place.source)
    for arguments in (("enable", "none"), ("disable", "none"), ("disable", name), ("disable", "--force", name),
                      ("enable", "--timeout", "-1", name), ("enable",), ("enable", name, "another")):
        mine, theirs = place.pluginctl(*arguments), place.docker(*arguments)
        assert mine.returncode != 0 and theirs.returncode != 0, arguments
        assert mine.stdout == theirs.stdout == ""
        daemon, said = "Error response from daemon: ", theirs.stderr.strip()
        if said.startswith(daemon):
            assert mine.stderr == f"pluginctl {arguments[0]}: {said.removeprefix(daemon)}\n"
    assert place.installed() == {name + ":latest": "false"}


def test_upgrade_as_docker_does(place):
    name = place.publish("sample/one")
    other = place.publish("sample/two", {"description": "the second"})
    place.docker("install", "--disable", "--alias", "a", "--grant-all-permissions", name)
    for arguments in (["a"], ["a", other]):
        mine, theirs = place.pluginctl("upgrade", *arguments), place.docker("upgrade", *arguments)
        assert mine.returncode == theirs.returncode == 1
        assert mine.stdout == theirs.stdout
        assert mine.stderr == "pluginctl upgrade: " + theirs.stderr
    done = place.pluginctl("upgrade", "--skip-remote-check", "a", other, answer="y\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"Upgrading plugin a:latest from {name}:latest to {other}:latest"
    assert json.loads(place.pluginctl("inspect", "a").stdout)[0]["Config"]["Description"] == "the second"


def test_a_registry_that_wants_a_password(place, closing):
    users = place.directory / "users"
    users.write_text(f"joe:{PASSWORD_HASH}\n")
    closed = closing.add(Registry(place.directory, f"auth:\n  htpasswd:\n    realm: r\n    path: {users}\n", "closed"))
    name = f"{closed.host}/sample/one"
    place.pluginctl("create", name, place.source)
    assert place.pluginctl("push", name).returncode == 1
    login = base64.b64encode(f"joe:{PASSWORD}".encode()).decode()
    (place.config / "config.json").write_text(json.dumps({"auths": {closed.host: {"auth": login}}}))
    pushed = place.pluginctl("push", name)
    assert pushed.returncode == 0, pushed.stderr
    helper = place.directory / "docker-credential-test"
    helper.write_text(f"""#!/bin/sh\ncat > {place.directory}/asked\necho '{{"Username":"joe","Secret":"{PASSWORD}"}}'\n""")
    helper.chmod(0o755)
    (place.config / "config.json").write_text(json.dumps({"credHelpers": {closed.host: "test"}}))
    place.pluginctl("rm", name)
    environment = {**place.environment, "PATH": f"{place.directory}:{os.environ['PATH']}"}
    installed = subprocess.run(place.command("install", "--disable", "--grant-all-permissions", name),
                               capture_output=True, text=True, timeout=60, env=environment)
    assert installed.returncode == 0, installed.stderr
    assert (place.directory / "asked").read_text() == closed.host
    assert PASSWORD not in installed.stdout + installed.stderr


def test_bars_on_a_terminal(place):
    name = place.publish("sample/one")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = subprocess.Popen(place.command("install", "--disable", "--grant-all-permissions", name), stdin=slave, stdout=slave,
                             stderr=slave, env=place.environment)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    assert child.wait(60) == 0
    text = seen.decode()
    assert "\x1b[" in text and text.endswith(f"Installed plugin {name}\r\n")
    assert all(len(re.sub(r"\x1b\[\d*[AJK]", "", line)) <= 81 for line in text.replace("\r", "").splitlines())


class StalledDaemon(threading.Thread):
    """Answers each request with the beginning of an answer, and then waits until the client leaves."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.left = path, threading.Event()
        self.waiting = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.start()

    def run(self):
        client, _ = self.listener.accept()
        with client:
            client.recv(65536)
            client.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf\n\r\n')
            self.waiting.set()
            while client.recv(65536):
                pass
        self.left.set()


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_the_work_and_leaves_nothing(directory, number, status):
    daemon = StalledDaemon(directory / "s")
    target = directory / "x.tar"
    child = subprocess.Popen([PLUGINCTL, "-H", directory / "s", "save", "-o", target, "a"], stderr=subprocess.PIPE, text=True)
    assert daemon.waiting.wait(20)
    wait_until(lambda: any(path.name.startswith("x.tar.") and path.stat().st_size for path in directory.iterdir()),
               lambda: "the temporary file", 20)
    child.send_signal(number)
    assert child.wait(20) == status
    assert child.stderr.read() == ""
    assert daemon.left.wait(20)
    assert [path.name for path in directory.iterdir()] == ["s"]


def test_an_interrupt_while_a_directory_is_sent(directory):
    source = make_plugin(directory / "plugin", size=8 << 20)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "s"))
    listener.listen()
    child = subprocess.Popen([PLUGINCTL, "-H", directory / "s", "create", "a", source], stderr=subprocess.PIPE, text=True)
    client, _ = listener.accept()
    assert client.recv(4096)
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    children = subprocess.run(["pgrep", "-f", str(source)], capture_output=True, text=True, check=False).stdout
    assert children == ""
    client.close()
    listener.close()

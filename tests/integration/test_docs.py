"""README.md and packaging/docs: each command that they show is run, on a private /etc, /run and /var/lib, and prints what they say.

What a document takes for granted (plugins, an engine) is made by the functions that PREPARED names for it.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
from harness import documents, engines, isolation
from harness.build import BUILD, REPOSITORY
from harness.managed import succeed
from harness.plugins import FIXTURES, free_port
from harness.running import enable_sample, make_sample

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "packaging" / "docs").glob("*.md"))]
# What only asks may be asked again, until the answer is the one that is shown: plugins take a moment to come and go.
ASKING = re.compile(r"(\S+=\S+ )?(pluginctl (ls|inspect|doctor|call|activate|logs|stats)|curl|docker (volume|plugin) ls)\b")
PATIENCE_SECONDS = 10


class Reader:
    """Somebody who types what a document says."""

    def __init__(self, directory):
        self.directory = directory
        self.services = {}  # what stands for systemd: commands and what they do here
        home = directory / "home"
        home.mkdir()
        programs = directory / "programs"
        programs.mkdir()
        for program in (BUILD / "cli" / "pluginctl", BUILD / "daemon" / "brokerd", FIXTURES / "mobyfs"):
            (programs / program.name).symlink_to(program)
        self.environment = {"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"}

    def run(self, command):
        """Returns (exit status, what it printed). What it leaves in the background runs on."""
        with open(self.directory / "output", "w+", encoding="utf-8") as output:
            child = subprocess.Popen(["/bin/bash", "-euo", "pipefail", "-c", command], cwd=self.environment["HOME"], env=self.environment,
                                     stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
            status = child.wait(60)
            output.seek(0)
            return status, output.read()

    def type(self, block):
        """Types the block's commands; returns those that did something else than the document says, and what."""
        return [wrong for command, shown in block.commands() if (wrong := self._differs(command, shown, block))]

    def _differs(self, command, shown, block):
        if command in self.services:
            self.services[command]()
            return None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, printed = self.run(command)
            if (status != 0) == (block.note == "fails") and (shown is None or documents.fits(shown, printed)):
                return None
            if not ASKING.match(command) or time.monotonic() > deadline:
                return f"line {block.line}: $ {command}\nstatus {status}, printed:\n{printed}"
            time.sleep(0.02)

    def close(self):
        """Ends what the document has left in the background: whatever is still where it was typed."""
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "cwd") == self.environment["HOME"]:
                    os.kill(int(entry.name), signal.SIGKILL)


@pytest.fixture
def reader(directory, closing):
    return closing.add(Reader(directory))


@pytest.fixture
def undone():
    """What a document has changed in /etc, and made there and in /var/lib, is undone: other tests come after this one."""
    kept = {path: path.read_bytes() if path.exists() else b"" for path in (pathlib.Path("/etc/group"), pathlib.Path("/etc/hosts"))}
    known = {*pathlib.Path("/etc").rglob("*"), *pathlib.Path("/var/lib").iterdir()}
    yield
    for path, content in kept.items():
        path.write_bytes(content)
    for path in sorted(({*pathlib.Path("/etc").rglob("*"), *pathlib.Path("/var/lib").iterdir()}) - known, reverse=True):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture
def usual(undone, engine_broker, engine_directories, reader):
    """A broker whose files are where they usually are."""
    broker = engine_broker(specs=[isolation.ENGINE_SPECS], extra=["--live-restore=false"])
    broker.control, broker.state = pathlib.Path("/run/brokerd/control.sock"), pathlib.Path("/var/lib/brokerd")
    for path in (pathlib.Path("/etc/brokerd"), broker.state):  # of a host that has brokerd
        shutil.rmtree(path, ignore_errors=True)
    pathlib.Path("/etc/brokerd").mkdir()
    shutil.copy(REPOSITORY / "packaging" / "brokerd.conf", "/etc/brokerd/brokerd.conf")
    (broker.directory / "brokerd.conf").symlink_to("/etc/brokerd/brokerd.conf")
    with open("/etc/group", "a", encoding="utf-8") as groups:
        groups.write("brokerd:x:64123:\n")
    reader.services.update({f"systemctl {what}": action for what, action in
                            (("reload brokerd", broker.reload), ("stop brokerd.socket brokerd.service", broker.stop),
                             ("start brokerd.socket brokerd.service", broker.start))})
    return broker.start()


def make_files(directory, config=None):
    """A plugin that is to be installed."""
    settings = [{"name": name, "settable": ["value"], "value": value} for name, value in (("DEBUG", "0"), ("VOLUMES", "/data"))]
    return make_sample(directory, config={"env": settings, **(config or {})})


def an_engine_with_a_plugin(_broker, reader, request):
    """dockerd at its usual place, with a plugin that has a volume with a file in it."""
    engine = request.getfixturevalue("dockerd")("-H", "unix:///run/docker.sock")
    engine.docker("tag", engines.IMAGE, "busybox")
    engine.docker("plugin", "create", "acme/files", make_files(reader.directory / "files", {"propagatedMount": "/data"}))
    engine.docker("plugin", "set", "acme/files", "DEBUG=2")
    engine.docker("plugin", "enable", "acme/files")
    engine.create_volume("acme/files", "photos")
    engine.run("photos", "echo a picture > /v/first")
    usual_data = pathlib.Path("/var/lib/docker")
    usual_data.mkdir(exist_ok=True)
    subprocess.run(["mount", "--rbind", engine.directory / "data", usual_data], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", "--recursive", usual_data], check=True))
    reader.services.update({"systemctl stop docker.socket docker.service": engine.stop, "systemctl start docker.service": engine.start})


def a_name_for_this_host(_broker, _reader, _request):
    with open("/etc/hosts", "a", encoding="utf-8") as hosts:
        hosts.write("127.0.0.1 files.example\n")


def a_plugin_on_another_host(_broker, _reader, request):
    subprocess.run(["ip", "address", "add", "192.168.1.1/32", "dev", "lo"], check=True)
    request.addfinalizer(lambda: subprocess.run(["ip", "address", "delete", "192.168.1.1/32", "dev", "lo"], check=True))
    request.getfixturevalue("mobyfs")("tcp://192.168.1.1:8080")


def a_plugin_to_install(_broker, reader, _request):
    make_files(pathlib.Path(reader.environment["HOME"]) / "files")


def a_plugin_that_answers(broker, _reader, request):
    broker.define("files", request.getfixturevalue("mobyfs")().url)
    broker.wait_state("files", "active")


def one_that_does_not(broker, _reader, _request):
    broker.define("absent", f"tcp://127.0.0.1:{free_port()}")


def one_that_runs(broker, reader, _request):
    config = {"linux": {"capabilities": ["CAP_SYS_ADMIN"]}}
    succeed(broker.pluginctl("create", "acme/files", make_files(reader.directory / "image", config)))
    succeed(broker.pluginctl("enable", "acme/files"))


def one_that_has_something_mounted(broker, _reader, _request):
    """On the host, below its own directory: what is there is not brokerd's to remove."""
    enable_sample(broker, "vieux/mounts", "tmpfs", {"propagatedMount": "/data", "linux": {"capabilities": ["CAP_SYS_ADMIN"]}})
    for method, body in (("Create", {"Name": "v"}), ("Mount", {"Name": "v", "ID": "1"})):
        assert broker.call("vieux/mounts", f"VolumeDriver.{method}", body).json()["Err"] == ""
    assert f"{broker.state}/plugins/" in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8")


LONG = {"moving-from-docker", "remote-plugins", "running"}
PREPARED = {
    "README": [a_plugin_on_another_host],
    "boot": [a_plugin_that_answers, one_that_does_not],
    "managed-plugins": [a_plugin_to_install],
    "monitoring": [a_plugin_that_answers],
    "moving-from-docker": [an_engine_with_a_plugin],
    "remote-plugins": [a_name_for_this_host],
    "running": [a_plugin_that_answers, one_that_does_not, one_that_runs, one_that_has_something_mounted],
    "security": [one_that_runs],
}


def by_length():
    """The documents as parameters; those that start much take long."""
    return [pytest.param(path, id=path.stem, marks=[pytest.mark.long] if path.stem in LONG else []) for path in DOCUMENTS]


@pytest.mark.parametrize("document", by_length())
def test_commands_do_what_the_document_says(document, usual, reader, request):
    for prepare in PREPARED.get(document.stem, []):
        prepare(usual, reader, request)
    blocks = [block for block in documents.blocks(document.read_text(encoding="utf-8"))
              if block.is_command and not block.why_not and (not block.needs or shutil.which(block.needs))]
    wrong = [words for block in blocks for words in reader.type(block)]
    assert not wrong, f"{document.name}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_what_is_not_run_says_why(document):
    text = document.read_text(encoding="utf-8")
    found = documents.blocks(text)
    assert len(found) * 2 == len(re.findall(r"(?m)^ *```", text)), "a fence that is not closed, or not understood"
    for block in found:
        assert block.language, f"{document.name}:{block.line}: a block without its language"
        assert not block.note or block.is_command
        assert not block.why_not or len(block.why_not) > 10
    comments = re.findall(r"<!--.*?-->", text)
    assert len(comments) == sum(1 for block in found if block.note), comments


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        if anchor:
            titles = re.findall(r"(?m)^#+ (.*)$", found.read_text(encoding="utf-8"))
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_tests_that_are_named_exist(document):
    for name, case in re.findall(r"(test_\w+\.py)(?:::(test_\w+))?", document.read_text(encoding="utf-8")):
        found = list((REPOSITORY / "tests").rglob(name))
        assert len(found) == 1, name
        assert not case or f"def {case}(" in found[0].read_text(encoding="utf-8"), f"{name}::{case}"

"""The docker command line before a daemon, dockerd or brokerd, and what it says in words that do not depend on which."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import urllib.request

from . import unix_http
from .managed import succeed
from .plugins import free_port
from .registry import Registry
from .waiting import wait_until

NORMAL = ((r"sha256:[0-9a-f]{64}", "sha256:DIGEST"), (r"\b[0-9a-f]{64}\b", "ID"), (r"\b[0-9a-f]{12}\b", "SHORT-ID"),
          (r"\b\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", "TIME"),
          (r"[\d.]+ s after its start", "right after its start"),
          (r"in use by \S+ \(pid \d+\)", "in use by SOMEBODY"),
          (r'multiple plugins found for "\w"', 'multiple plugins found for "AMBIGUOUS"'),
          # States of a layer that are told only where they last; Docker tells some of them of one run, and not of the next.
          (r"SHORT-ID: (Waiting|Pulling fs layer|Verifying Checksum|Downloading|Download complete|Already exists|Uploading|Pushing|"
           r"Extracting)\n", ""),
          # A daemon that ends in the middle of a request.
          (r"(Cannot connect to the Docker daemon at|error during connect:) .*", "The daemon has gone."),
          # What the command line still wanted to send when the answer came: sometimes more of it, sometimes less.
          (r'time="TIME" level=error msg="Can.t (add file|close tar writer).*\n', ""))
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclasses.dataclass
class Said:
    status: int
    stdout: str
    stderr: str

    def lines(self):
        """One text for a comparison line by line."""
        shown = [f"exit status {self.status}"]
        shown += [f"stdout: {line}" for line in self.stdout.splitlines()]
        return shown + [f"stderr: {line}" for line in self.stderr.splitlines()]


class Side:
    """One docker command line, one daemon that listens at `socket`, and a registry of their own. `users` claims a plugin
    for somebody, and is called with the plugin's name and an ExitStack that ends the claim."""

    def __init__(self, directory, client, socket, plugins, users):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.client, self.socket, self.plugins, self.users = client, socket, pathlib.Path(plugins), users
        self.registry = Registry(self.directory)
        self.closed = f"127.0.0.2:{free_port()}"  # behind the registry in every list
        self.ambiguous = None
        self.helpers = []  # plugins that only make IDs ambiguous
        self.claims = contextlib.ExitStack()
        self.background = []  # (step, process)

    def close(self):
        self.claims.close()
        for _step, child in self.background:
            child.kill()
            child.communicate()
        self.registry.close()

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, steps):
        """step's name -> what was said, of all steps."""
        said = {}
        for step in steps:
            if step.first:
                method, *arguments = step.first.split()
                getattr(self, method)(*map(self.words, arguments))
            child = self.start(step)
            if step.background:
                self.background.append((step, child))
            else:
                said[step.name] = self.finish(step, child)
        for step, child in self.background:
            said[step.name] = self.finish(step, child)
        self.background = []
        return said

    def start(self, step):
        command = [self.client, "plugin", *(self.words(word) for word in shlex.split(step.command))]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment(step.environment), cwd=self.directory)

    def finish(self, step, child):
        try:
            stdout, stderr = child.communicate(step.answer, timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            raise AssertionError(f"step {step.name} did not end: {child.args}") from None
        return Said(child.returncode, self.normal(stdout), self.normal(stderr))

    def environment(self, more=()):
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.directory), "DOCKER_HOST": f"unix://{self.socket}",
                "DOCKER_CONFIG": str(self.directory / "client"), **dict(more)}

    def docker(self, *arguments):
        return succeed(subprocess.run([self.client, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                      timeout=60, env=self.environment(), cwd=self.directory))

    # -- what stands for something else -------------------------------------------------------------------------------

    def words(self, text):
        text = re.sub(r"\bR(?=/)", self.registry.host, text).replace("CLOSED", self.closed).replace("PLUGINS", str(self.plugins))
        text = text.replace("AMBIGUOUS", self.ambiguous or "AMBIGUOUS")
        for word, value in (("ID", self.id_of), ("PREFIX", lambda name: self.id_of(name)[:12]), ("DIGEST", self.digest_of)):
            text = re.sub(rf"{word}\(([^)]*)\)", lambda found, value=value: value(found[1]), text)
        return text

    def installed(self):
        """name -> ID"""
        return {plugin["Name"]: plugin["Id"] for plugin in unix_http.request(self.socket, "GET", "/plugins").json()}

    def id_of(self, name):
        return self.installed()[name if ":" in name.rpartition("/")[2] else name + ":latest"]

    def digest_of(self, name):
        path = name.partition("/")[2]
        return _send("HEAD", f"http://{self.registry.host}/v2/{path}/manifests/latest").headers["Docker-Content-Digest"]

    def normal(self, text):
        """Without what differs between two runs that say the same."""
        for value, word in ((self.registry.host, "R"), (self.closed, "CLOSED"), (self.plugins, "PLUGINS"), (self.directory, "HOME"),
                            (self.socket, "SOCKET")):
            text = text.replace(str(value), word)
        for pattern, word in NORMAL:
            text = re.sub(pattern, word, text)
        return "".join(_without_repetitions(text.splitlines(keepends=True)))

    # -- what is done before a step -----------------------------------------------------------------------------------

    def create(self, name, source=None):
        self.docker("plugin", "create", name, self.plugins / (source or name))

    def wait_installed(self, name):
        wait_until(lambda: name in self.installed(), f"plugin {name}", 60)

    def publish(self, name):
        """Into the registry, and into no daemon."""
        full = f"{self.registry.host}/{name}"
        self.create(full, name)
        for command in ("push", "rm"):
            self.docker("plugin", command, full)

    def push_image(self, name):
        """An image that is no plugin."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        base = f"http://{self.registry.host}/v2/{name}"
        place = _send("POST", f"{base}/blobs/uploads/").headers["Location"]
        _send("PUT", f"{place}&digest={digest}", config, "application/octet-stream")
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest, "size": len(config)}}
        _send("PUT", f"{base}/manifests/latest", json.dumps(manifest).encode(), MANIFEST)

    def make_ambiguous(self):
        """Until the IDs of two plugins begin with the same digit: of seventeen, two do."""
        while self.ambiguous is None:
            seen = set()
            for identifier in self.installed().values():
                if identifier[0] in seen:
                    self.ambiguous = identifier[0]
                seen.add(identifier[0])
            if self.ambiguous is None:
                self.helpers.append(f"helper{len(self.helpers)}")
                self.create(self.helpers[-1])

    def end_ambiguous(self):
        if self.helpers:
            self.docker("plugin", "rm", *self.helpers)
        self.helpers = []

    def hold(self, name):
        self.users(name, self.claims)

    def let_go(self):
        self.claims.close()

    def finish_background(self):
        for _step, child in self.background:
            child.wait(60)


def _without_repetitions(lines):
    """How often a layer's state is told depends on how long it takes."""
    told = set()
    for line in lines:
        if line.startswith("SHORT-ID: "):
            if line in told:
                continue
            told.add(line)
        yield line


def _send(method, address, body=None, kind=MANIFEST):
    """To the registry."""
    asked = urllib.request.Request(address, body, {"Accept": MANIFEST, "Content-Type": kind}, method=method)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return answer

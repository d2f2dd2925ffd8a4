"""Fixtures for the registry client: a driver that prints what the client does, and registries true and false."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fakes"))

from harness.build import BUILD  # noqa: E402
from lying_registry import LyingRegistry  # noqa: E402

DRIVER = pathlib.Path(os.environ.get("REGISTRY_DRIVER", BUILD / "tests" / "integration" / "registry" /
                                     "registry_driver"))


class Outcome:
    """What the driver printed."""

    def __init__(self, output):
        lines = [json.loads(line) for line in output.splitlines()]
        self.events, self.last = lines[:-1], lines[-1]

    @property
    def ok(self):
        return "ok" in self.last

    @property
    def kind(self):
        """Of the error."""
        return self.failure.get("kind") or self.last.get("error")

    @property
    def message(self):
        return self.failure.get("message") or self.last.get("message", "")

    @property
    def failure(self):
        return next((event for event in self.events if event["event"] == "failed"), {})

    def of(self, event):
        return [line for line in self.events if line["event"] == event]


@pytest.fixture
def drive(directory):
    """drive("blob", REFERENCE, …, stall=100): the driver's Outcome; it is ended after 60 s."""
    store = directory / "blobs"

    def run(*arguments, environment=None, timeout=60, **options):
        command = [str(DRIVER), "--store", str(store)]
        options.setdefault("pauses", "printed")
        for name, value in options.items():
            for each in value if isinstance(value, list) else [value]:
                command += ["--" + name.replace("_", "-"), str(each)]
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(command + [str(argument) for argument in arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, env={**clean, **(environment or {})}, check=False)
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return Outcome(done.stdout.decode())

    run.store = store
    return run


@pytest.fixture
def lying():
    registry = LyingRegistry()
    yield registry
    registry.close()

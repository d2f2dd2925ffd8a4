"""The client and the plugin in one: bench_driver, commanded over its stdin."""

import json
import subprocess
import sys

import daemons

from .accounting import on_cpus


class Driver:
    """A context manager. `origins` says where it listens as a plugin: {"unix": PATH, "tcp": PORT, "tls": PORT}; `ca` is
    the authority of its certificate, which is for "localhost" and 127.0.0.1."""

    def __init__(self, place, build, cpus):
        self._certificates = place / "certificates"
        self._certificates.mkdir()
        fixture = daemons.ROOT / "tests" / "fixtures" / "certificates"
        subprocess.run([sys.executable, fixture, self._certificates], check=True, stdout=subprocess.DEVNULL)
        self.ca = self._certificates / "ca.pem"
        self.origins = {"unix": str(place / "run" / "origin.sock")}
        self._program, self._cpus, self._process = build / "tests" / "bench" / "load" / "bench_driver", cpus, None

    def __enter__(self):
        command = [self._program, "--certificate", self._certificates / "server.pem", "--key", self._certificates / "server.key",
                   f"unix:{self.origins['unix']}", "tcp:0", "tls:0"]
        with on_cpus(self._cpus):
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _unix, self.origins["tcp"], self.origins["tls"] = self._answer()
        return self

    def __exit__(self, *_ignored):
        self._process.stdin.close()
        daemons.end(self._process)

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("bench_driver ended")
        return json.loads(line)

    def command(self, verb, fronts=(), **settings):
        """See driver_main.cpp. Raises if a single request failed: such a run says nothing."""
        words = [verb] + [f"{key}={value}" for key, value in settings.items()]
        if fronts:
            words.append("to=" + ",".join(f"unix:{front}" for front in fronts))
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        result = self._answer()
        if result.get("errors"):
            raise RuntimeError(f"{result['errors']} errors, the first: {result['first_error']}")
        return result

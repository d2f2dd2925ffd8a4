"""What goes on in a soak: everybody who does something to a broker, each in a thread of its own, until it is over."""

import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time

from . import unix_http
from .managed import succeed

#: For one call on a machine that does other things as well.
PATIENCE = 120
#: What a call to a plugin that is killed now and then may be answered with.
DOWN = (502, 503, 504)


class Actor(threading.Thread):
    """Does act() again and again, with a pause between; what goes wrong is kept in `problems`."""

    def __init__(self, broker, pause, act):
        super().__init__()
        self.broker, self.pause, self._act = broker, pause, act
        self.name = getattr(act, "__name__", type(self).__name__)
        self.done, self.problems = 0, []
        self.over = threading.Event()

    def run(self):
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.pause, time.monotonic() - 1)
            try:
                self._act()
                self.done += 1
            except Exception as error:  # whatever it is, it is the test's to judge
                self.problems.append(f"{self.name}: {error!r}")

    def stop(self):
        self.over.set()
        self.join(2 * PATIENCE)
        assert not self.is_alive(), f"{self.name} does not end"


class Caller(Actor):
    """An engine that calls a plugin at a steady pace over a connection that it keeps. Only where `killed`, calls may fail."""

    def __init__(self, broker, name, method, body, pace, killed=False):
        super().__init__(broker, 1 / pace, self._call)
        self.name = f"calls to {name}"
        self.statuses = collections.Counter()
        self._plugin, self._method, self._body, self._killed = name, method, body, killed
        self._connection = None

    def _call(self):
        if self._connection is None:
            self._connection = unix_http.Connection(self.broker.published(self._plugin), PATIENCE)
        try:
            reply = unix_http.send(self._connection, "POST", "/" + self._method, self._body)
        except BaseException:
            self.forget()
            raise
        self.statuses[reply.status] += 1
        assert reply.status == 200 or (self._killed and reply.status in DOWN), reply
        if self.done % 200 == 199:
            self.forget()  # connections come and go, too

    def forget(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def stop(self):
        super().stop()
        self.forget()


class Files:
    """Spec files that appear, change, become nonsense and vanish."""

    def __init__(self, broker, names, urls):
        self.broker, self.names, self.urls = broker, names, urls
        self.random = random.Random(16)

    def change(self):
        name, directory = self.random.choice(self.names), self.random.randrange(len(self.broker.specs))
        kind = self.random.choice(["spec", "json"])
        path = self.broker.specs[directory] / f"{name}.{kind}"
        if self.random.random() < 0.4:
            path.unlink(missing_ok=True)
        elif self.random.random() < 0.2:
            self.broker.write(path.name, "nonsense", directory)
        elif kind == "spec":
            self.broker.define(name, self.random.choice(self.urls), directory)
        else:
            self.broker.define_json(name, self.random.choice(self.urls), directory=directory)

    def remove_all(self):
        for directory in self.broker.specs:
            for name in self.names:
                for kind in ("spec", "json"):
                    (directory / f"{name}.{kind}").unlink(missing_ok=True)


class Operator:
    """Takes a plugin through its whole life, from the registry and back to nothing."""

    def __init__(self, broker, image, name):
        self.broker, self.image, self.name = broker, image, name

    def live(self):
        def pluginctl(*arguments):
            return succeed(self.broker.pluginctl(*arguments, timeout=PATIENCE))
        pluginctl("install", "--disable", "--grant-all-permissions", "--alias", self.name, f"{self.image}:1")
        pluginctl("set", self.name, "VOLUMES=/other")
        pluginctl("enable", "--timeout", PATIENCE, self.name)
        assert self.broker.call(self.name, "VolumeDriver.List", timeout=PATIENCE).status == 200
        pluginctl("logs", self.name)
        pluginctl("disable", self.name)
        pluginctl("upgrade", "--grant-all-permissions", "--skip-remote-check", self.name, f"{self.image}:2")
        pluginctl("enable", "--timeout", PATIENCE, self.name)
        pluginctl("rm", "-f", self.name)


class Looker:
    """Asks whatever can be asked, by each way."""

    def __init__(self, broker, docker, name):
        self.broker, self.docker, self.name, self._turn = broker, docker, name, 0

    def look(self):
        ways = [lambda: self.broker.pluginctl("ls"), lambda: self.docker("plugin", "ls"),
                lambda: self.broker.pluginctl("inspect", self.name), lambda: self.docker("plugin", "inspect", self.name),
                lambda: self.broker.pluginctl("stats", "--no-stream"), lambda: self.docker("info")]
        succeed(ways[self._turn % len(ways)]())
        for target in ("/plugins", "/broker/v1/plugins", "/broker/v1/doctor", "/broker/v1/metrics", "/broker/v1/healthz"):
            assert self.broker.get(target, timeout=PATIENCE).status == 200, target
        self._turn += 1


class Followers:
    """Watch for a while and go away, orderly or not; and somebody who never finishes a request."""

    def __init__(self, broker, name):
        self.broker, self.name = broker, name
        self.random = random.Random(17)

    def watch_events(self):
        self._watch("/broker/v1/events")
        self._watch("/events")

    def _watch(self, target):
        connection = unix_http.Connection(self.broker.control, PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", target)
            stream = connection.sock  # the response takes it over
            assert connection.getresponse().status == 200
            stream.settimeout(self.random.uniform(0.01, 0.5))
            with contextlib.suppress(TimeoutError):
                stream.recv(4096)

    def follow_logs(self):
        with self._follow() as follower:
            try:
                follower.communicate(timeout=self.random.uniform(0.05, 1))
            except subprocess.TimeoutExpired:
                follower.send_signal(self.random.choice((signal.SIGTERM, signal.SIGKILL)))
                follower.communicate()

    def _follow(self):
        command = self.broker.pluginctl_command("logs", "-f", self.name)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def lease(self):
        connection = unix_http.Connection(self.broker.control, PATIENCE)
        with contextlib.closing(connection):
            connection.request("POST", f"/broker/v1/plugins/{self.name}/lease")
            assert connection.getresponse().status == 200

    def break_off(self):
        for path, head in ((self.broker.control, b"GET /plugins HTTP/1.1\r\nHo"),
                           (self.broker.published(self.name), b"POST /VolumeDriver.List HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")):
            connection = unix_http.Connection(path)
            with contextlib.closing(connection):
                connection.connect()
                connection.sock.sendall(head)


class Reloader:
    """A setting that changes, and now and then a file with a mistake."""

    def __init__(self, broker):
        self.broker, self._turn = broker, 0

    def reload(self):
        lines = ("request-timeout = 30\n", "request-timeout = 31\n", "no-such-setting = 1\n")
        self._turn += 1
        (self.broker.directory / "brokerd.conf").write_text(lines[self._turn % len(lines)])
        self.broker.reload()


class Killer:
    """Ends the process of a managed plugin, as a crash would."""

    def __init__(self, broker, name):
        self.broker, self.name = broker, name

    def kill(self):
        bundle = self.broker.runtime / "bundles" / self.broker.plugin(self.name)["Id"] / "running"
        try:
            process = os.pidfd_open(json.loads(bundle.read_text())["Pid"])
        except (OSError, ValueError):
            return  # it does not run just now
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(process)

"""brokerd on private directories, its control API and pluginctl."""

import contextlib
import itertools
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

from . import sanitizers, unix_http
from .build import BUILD, PATIENCE, SANITIZERS
from .notify import DescriptorStore, NotifySocket
from .process import Process
from .waiting import wait_until

BROKERD = BUILD / "daemon" / "brokerd"
PLUGINCTL = BUILD / "cli" / "pluginctl"

EVENTS = "/broker/v1/events"

_launches = itertools.count()

# Hands over descriptors (argv[1], with commas) as systemd does: from 3 on, announced by the environment.
_ACTIVATED = """\
import fcntl, os, sys
high = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 512) for number in sys.argv[1].split(",")]
for place, number in enumerate(high):
    os.dup2(number, 3 + place, inheritable=True)
    os.close(number)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


class Brokerd:
    """A broker whose directories outlive its processes: start(), stop(), kill() and start() again."""

    def __init__(self, directory, *, engine_sockets=None, runtime=None, specs=None, timeout=4.0, activation="eager", threads=1, extra=(),
                 prefix=(), unsafe=False, environment=None):
        self.directory = pathlib.Path(directory)
        self.control = self.directory / "control.sock"
        self.runtime = pathlib.Path(runtime or self.directory / "run")
        self.state = self.directory / "state"
        self.engine_sockets = pathlib.Path(engine_sockets or self.directory / "engine")
        self.specs = [pathlib.Path(path) for path in specs or (self.directory / "specs", self.directory / "specs2")]
        self.timeout = timeout
        self.activation = activation
        self.threads = threads
        self.extra = list(extra)
        self.prefix = list(prefix)
        self.unsafe = unsafe
        self.environment = dict(environment or {})
        self.program = BROKERD  # of the next start
        self.process = None
        self.notify = None
        self.store = None  # see keep_sockets()
        self._streams = []
        for path in (self.engine_sockets, *self.specs):
            path.mkdir(parents=True, exist_ok=True)

    def keep_sockets(self):
        """From the next start on, the broker has a descriptor store, as below systemd."""
        self.store = DescriptorStore()
        return self

    # -- process ------------------------------------------------------------------------------------------------------

    def command(self):
        empty = self.directory / "brokerd.conf"
        if not empty.exists():
            empty.write_text("")
        flags = ["--config", empty, "--control-socket", self.control, "--state-root", self.state, "--runtime-root", self.runtime,
                 "--engine-socket-dir", self.engine_sockets, "--proxy-threads", self.threads,
                 "--activation-timeout", f"{self.timeout:g}", "--activation", self.activation, "--log-level", "debug"]
        for path in self.specs:
            flags += ["--spec-dir", path]
        if self.unsafe:
            flags.append("--allow-unsafe-files")
        return [*self.prefix, self.program, *flags, *self.extra]

    def launch(self, *, listener=None):
        """Starts the process and returns at once. `listener` is a listening socket for the control API to take over."""
        assert self.process is None or not self.process.running
        if self.notify is not None:
            self.notify.close()
        self.notify = NotifySocket(self.directory / f"notify.{next(_launches)}", self.store)
        environment = {**self.environment, "NOTIFY_SOCKET": self.notify.path}
        if self.store is not None:
            environment["FDSTORE"] = "4096"
        given = [] if listener is None else [("control", listener.fileno())]
        given += self.store.kept if self.store is not None else []
        command, descriptors = self.command(), tuple(descriptor for _, descriptor in given)
        if given:
            command = [sys.executable, "-c", _ACTIVATED, ",".join(map(str, descriptors)), ":".join(name for name, _ in given), *command]
        self.process = Process(command, self.directory / "brokerd.log", environment=environment, pass_fds=descriptors)
        return self

    def start(self, *, ready=15, **options):
        """Starts the process and returns when it said READY=1."""
        self.launch(**options)
        try:
            self.notify.wait_for("READY=1", ready, lambda: self.process.running)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.process.output()[-4000:]}") from None
        return self

    def refuse(self, timeout=15):
        """Starts a process that must end by itself with an error, and returns what it said."""
        self.launch()
        try:
            assert self.process.wait(timeout) not in (0, None)
            return self.process.output()
        finally:
            self.process.stop()
            self.process = None

    def stop(self):
        """SIGTERM; it must end cleanly. Calls under way have 20 seconds."""
        status = self.process.stop(40)
        assert status == 0, f"brokerd ended with {status}\n{self.process.output()[-4000:]}"

    def kill(self):
        self.process.kill()

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def close(self):
        for stream in self._streams:
            stream.close()
        try:
            if self.process is not None and self.process.running:
                self.process.signal(signal.SIGCONT)
                self.process.signal(signal.SIGTERM)
                # Calls that a test has left behind are not waited for; plugins that end with their broker are.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(40 if "--live-restore=false" in self.extra else 5)
                self.stop()
            elif self.process is not None:
                assert self.process.returncode in (0, -signal.SIGKILL), (
                    f"brokerd ended by itself with {self.process.returncode}\n{self.process.output()[-4000:]}")
        finally:
            if self.notify is not None:
                self.notify.close()
                self.notify = None
            if self.store is not None:
                self.store.close()
        if SANITIZERS and self.process is not None:
            sanitizers.assert_none_in(self.process.output())

    # -- definitions --------------------------------------------------------------------------------------------------

    def define(self, name, url, directory=0):
        """Writes NAME.spec as an administrator's editor does: whole, by rename."""
        return self.write(f"{name}.spec", url + "\n", directory)

    def define_json(self, name, url, tls=None, directory=0):
        content = {"Name": name, "Addr": url}
        if tls is not None:
            content["TLSConfig"] = {key: value if isinstance(value, bool) else str(value) for key, value in tls.items()}
        return self.write(f"{name}.json", json.dumps(content, indent=2), directory)

    def write(self, file_name, content, directory=0):
        path = self.specs[directory] / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.parent / (path.name + ".new")
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        fresh.rename(path)
        return path

    # -- control API --------------------------------------------------------------------------------------------------

    def get(self, target, timeout=10):
        return unix_http.request(self.control, "GET", target, timeout=timeout)

    def post(self, target, body=None, timeout=10):
        return unix_http.request(self.control, "POST", target, body, timeout=timeout)

    def plugins(self):
        """Every plugin by name."""
        reply = self.get("/broker/v1/plugins", timeout=30)
        assert reply.status == 200, reply
        return {plugin["Name"]: plugin for plugin in reply.json()["Plugins"]}

    def plugin(self, name):
        """The plugin as the API shows it; None where there is none."""
        reply = self.get(f"/broker/v1/plugins/{unix_http.quote(name)}/json")
        if reply.status == 404:
            return None
        assert reply.status == 200, reply
        return reply.json()

    def lookup(self, name, capability=None, timeout=None):
        query = "&".join(f"{key}={value}" for key, value in (("capability", capability), ("timeout", timeout)) if value is not None)
        return self.get(f"/broker/v1/plugins/{unix_http.quote(name)}" + (f"?{query}" if query else ""), timeout=60)

    def findings(self, plugin=None):
        reply = self.get("/broker/v1/doctor", timeout=60)
        assert reply.status == 200, reply
        return [finding for finding in reply.json()["Findings"] if plugin is None or finding["Plugin"] == plugin]

    def wait_state(self, name, state, timeout=10):
        """Returns the plugin once it is in `state` (None: once it is gone)."""
        def reached():
            plugin = self.plugin(name)
            if state is None:
                return plugin is None
            return plugin if plugin is not None and plugin["State"] == state else None
        return wait_until(reached, lambda: f"{name} in state {state}: {self.plugin(name)}", timeout)

    def events(self, query="", path=EVENTS):
        stream = EventStream(self.control, query, path)
        self._streams.append(stream)
        return stream

    # -- data plane ---------------------------------------------------------------------------------------------------

    def published(self, name):
        return self.runtime / "plugins" / f"{name}.sock"

    def engine_socket(self, name):
        return self.engine_sockets / f"{name}.sock"

    def wait_published(self, name, timeout=10):
        wait_until(lambda: unix_http.listening(self.published(name)), f"published socket for {name}", timeout)

    def call(self, name, method, body=None, timeout=10):
        return unix_http.call(self.published(name), method, body, timeout)

    # -- command line -------------------------------------------------------------------------------------------------

    def pluginctl_command(self, *arguments):
        return [PLUGINCTL, "-H", f"unix://{self.control}", *map(str, arguments)]

    def pluginctl(self, *arguments, timeout=60, environment=None):
        return subprocess.run(self.pluginctl_command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE * timeout, env={**os.environ, **(environment or {})})

    def begin(self, *arguments):
        """pluginctl, which is not waited for and whose words nobody reads."""
        return subprocess.Popen(self.pluginctl_command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def memory(self):
        """Resident memory in KiB. 0 where sanitizers have memory of their own, and keep what is freed: it says nothing there."""
        if SANITIZERS:
            return 0
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class EventStream:
    """GET /broker/v1/events, or Docker's /events, read by a thread."""

    def __init__(self, control, query="", path=EVENTS):
        self.seen = []
        self._queue = queue.Queue()
        self._connection = unix_http.Connection(control, timeout=None)
        self._connection.request("GET", path + (f"?{query}" if query else ""))
        self._socket = self._connection.sock  # the response takes it over
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.status
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            while line := self._response.readline():
                if line.strip():
                    self._queue.put(json.loads(line))
        except (OSError, ValueError, AttributeError):
            pass  # closed, or the broker went away
        self._queue.put(None)

    def wait_for(self, plugin, action, timeout=10):
        """Returns the next event of that plugin and action; what comes before it is kept in `seen`."""
        return self.wait(lambda event: (event["Plugin"], event["Action"]) == (plugin, action), f"event {action} of {plugin}", timeout)

    def wait(self, wanted, what, timeout=10):
        """The same for the next event of which wanted(event) is true."""
        deadline = time.monotonic() + PATIENCE * timeout
        while True:
            try:
                event = self._queue.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {what} within {timeout} s; seen: {self.seen}") from None
            assert event is not None, f"the stream ended; seen: {self.seen}"
            self.seen.append(event)
            if wanted(event):
                return event

    def count(self):
        """How many events have come, whether somebody has waited for them or not."""
        return len(self.seen) + self._queue.qsize()

    def close(self):
        try:
            self._socket.shutdown(2)
        except OSError:
            pass
        self._thread.join(5)
        self._connection.close()

"""Clients that do what they like to the same few plugins, and keep what they were answered."""

import collections
import contextlib
import json
import random
import re
import socket
import subprocess
import threading
import time

from . import unix_http
from .engines import DOCKER
from .history import ABSENT, DISABLED, ENABLED, PRESENT, Deed, Sight

#: For one call, however many others there are: who waits longer has been forgotten.
PATIENCE = 180

#: What a refusal says of the plugin's state meanwhile. None: that somebody else was at work on it.
REFUSALS = (
    (r"another operation", None),
    (r"already exists", PRESENT),
    (r"already enabled", {ENABLED}),
    (r"already disabled|found but disabled", {DISABLED}),
    (r"is enabled|must be disabled|on an active plugin", {ENABLED}),
    # docker-registry truncates a blob's link before it writes it again, for a push that was given up but has got so far.
    (r"blob unknown to registry", PRESENT),
    (r"not found|No such plugin", {ABSENT}),
)

#: Operation -> the events of brokerd's stream, and Docker's, of one that succeeds.
EVENTS = {
    "pull": (("installed",), ("pull",)), "create": (("installed",), ("create",)), "enable": (("enabled",), ("enable",)),
    "disable": (("disabled",), ("disable",)), "set": (("set",), ()), "upgrade": (("upgraded", "set"), ("pull",)),
    "push": ((), ()), "rm": (("removed",), ("remove",)),
}
#: What makes sense in a state, and how often it is done.
SENSIBLE = {
    ABSENT: {"pull": 4, "create": 4},
    DISABLED: {"enable": 6, "set": 2, "upgrade": 2, "push": 1, "rm": 2, "inspect": 1},
    ENABLED: {"disable": 5, "disable -f": 2, "rm -f": 3, "set": 1, "inspect": 1},
}
ANYTHING = {"list": 3, "inspect": 3, "pull": 1, "create": 1, "enable": 2, "disable": 1, "disable -f": 1, "set": 1, "upgrade": 1, "push": 1,
            "rm": 1, "rm -f": 1}


def pick(chance, weights):
    return chance.choices(list(weights), list(weights.values()))[0]


class Journal:
    """What happened to each plugin, as its clients see it. Threads: any."""

    def __init__(self, names):
        self.own = {name: [] for name in names}  # deeds, by brokerd's events
        self.docker = {name: [] for name in names}  # deeds, by Docker's events
        self.sights = {name: [] for name in names}
        self.changes = {name: [] for name in names}  # (begin, end) of every call that wants to change it
        self.busy = {name: [] for name in names}  # of those that were refused because of another
        self.outcomes = collections.Counter()
        self.strange = []
        self._lock = threading.Lock()

    def saw(self, name, what, begin, end, states):
        with self._lock:
            self.sights[name].append(Sight(what, begin, end, frozenset(states)))

    def note(self, what, outcome):
        with self._lock:
            self.outcomes[f"{what}: {outcome}"] += 1

    def odd(self, what):
        with self._lock:
            self.strange.append(what)

    def changed(self, name, operation, begin, end, succeeded):
        """`succeeded` is None where nobody waited for the answer."""
        verb = operation.split()[0]
        certain = succeeded is True
        own, docker = EVENTS[verb]
        with self._lock:
            self.changes[name].append((begin, end))
            if succeeded is False and operation != "rm -f":
                return
            if operation == "rm -f":  # of what is enabled; Docker's stream tells of it only where nothing more has come of it
                self.own[name].append(Deed(("disabled",), begin, end, certain=False))
                if succeeded is not True:
                    self.docker[name].append(Deed(("disable",), begin, end, certain=False))
            if succeeded is False:
                return
            if own:
                self.own[name].append(Deed(own, begin, end, certain))
            if docker:
                self.docker[name].append(Deed(docker, begin, end, certain))

    def refused(self, name, operation, begin, end, why):
        self.changed(name, operation, begin, end, False)
        for pattern, states in REFUSALS:
            if not re.search(pattern, why):
                continue
            self.note(operation, f"refused, {pattern}")
            if states is not None:
                return self.saw(name, f"{operation} was answered {why!r}", begin, end, states)
            with self._lock:
                self.busy[name].append((begin, end))
            return
        self.odd(f"{operation} {name}: {why}")

    def unexplained(self, name):
        """Calls that were refused because of another, where there was no other."""
        return [own for own in self.busy[name]
                if sum(begin <= own[1] and end >= own[0] for begin, end in self.changes[name]) < 2]


class Orders:
    """Requests by operation."""

    def __init__(self, image, archive):
        self.image = image  # tags :1 and :2 of it are in a registry
        self._archive = archive  # of a plugin, for create

    def request(self, operation, name, chance):
        """(method, target, body)"""
        path, remote = f"/plugins/{unix_http.quote(name)}", f"{self.image}:{chance.choice((1, 2))}"
        return {
            "list": lambda: ("GET", "/plugins", None),
            "inspect": lambda: ("GET", f"{path}/json", None),
            "pull": lambda: ("POST", f"/plugins/pull?remote={remote}&name={name}", []),
            "create": lambda: ("POST", f"/plugins/create?name={name}", self._archive),
            "enable": lambda: ("POST", f"{path}/enable?timeout={PATIENCE - 30}", None),
            "disable": lambda: ("POST", f"{path}/disable", None),
            "disable -f": lambda: ("POST", f"{path}/disable?force=1", None),
            "set": lambda: ("POST", f"{path}/set", [f"BEHAVIOUR=threads={chance.randrange(1, 4)}", f"VOLUMES=/{chance.random()}"]),
            "upgrade": lambda: ("POST", f"{path}/upgrade?remote={remote}", []),
            "push": lambda: ("POST", f"{path}/push", None),
            "rm": lambda: ("DELETE", path, None),
            "rm -f": lambda: ("DELETE", f"{path}?force=1", None),
        }[operation]()

    def command(self, operation, name, chance):
        """What `docker plugin` takes; None where it has nothing for the operation alone."""
        remote = f"{self.image}:{chance.choice((1, 2))}"
        return {
            "inspect": ["inspect", name],
            "pull": ["install", "--disable", "--grant-all-permissions", "--alias", name, remote],
            "enable": ["enable", "--timeout", str(PATIENCE - 30), name], "disable": ["disable", name], "disable -f": ["disable", "-f", name],
            "set": ["set", name, f"VOLUMES=/{chance.random()}"], "upgrade": ["upgrade", "--grant-all-permissions", "--skip-remote-check", name, remote],
            "push": ["push", name], "rm": ["rm", name], "rm -f": ["rm", "-f", name],
        }.get(operation)


class Client(threading.Thread):
    """Does one thing after another until it is stopped."""

    def __init__(self, control, names, journal, orders, seed, over):
        super().__init__()
        self.control, self.names, self.journal, self.orders, self.over = str(control), names, journal, orders, over
        self.chance = random.Random(seed)
        self.calls = 0

    def run(self):
        while not self.over.is_set():
            name = self.chance.choice(self.names)
            try:
                self.act(name)
            except Exception as error:  # whatever it is, it is the test's to judge
                self.journal.odd(f"{type(self).__name__}, {name}: {error!r}")

    def act(self, name):
        raise NotImplementedError

    def choose(self, name):
        if self.chance.random() < 0.3:
            return pick(self.chance, ANYTHING)
        return pick(self.chance, SENSIBLE[self.look(name)])

    def look(self, name):
        begin = time.time()
        reply = unix_http.request(self.control, "GET", f"/plugins/{unix_http.quote(name)}/json", timeout=PATIENCE)
        return self.see("inspect", name, begin, time.time(), reply)

    def see(self, operation, name, begin, end, reply):
        self.calls += 1
        self.journal.note(operation, reply.status)
        state = ABSENT if reply.status == 404 else ENABLED if reply.status == 200 and reply.json()["Enabled"] else DISABLED
        if reply.status not in (200, 404):
            self.journal.odd(f"{operation} {name}: {reply!r}")
        self.journal.saw(name, f"{operation} has shown it {state}", begin, end, {state})
        return state


class RawClient(Client):
    """Speaks HTTP, often several requests on one connection."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._connection = None

    def run(self):
        try:
            super().run()
        finally:
            self._forget()

    def _forget(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method, target, body):
        if self._connection is None or self.chance.random() < 0.2:
            self._forget()
            self._connection = unix_http.Connection(self.control, PATIENCE)
        try:
            return unix_http.send(self._connection, method, target, body)
        except BaseException:
            self._forget()
            raise

    def act(self, name):
        operation = self.choose(name)
        method, target, body = self.orders.request(operation, name, self.chance)
        begin = time.time()
        reply = self._send(method, target, body)
        end = time.time()
        if operation == "inspect":
            self.see(operation, name, begin, end, reply)
        elif operation == "list":
            self._see_all(begin, end, reply)
        else:
            self.calls += 1
            self._judge(operation, name, begin, end, reply)

    def _see_all(self, begin, end, reply):
        self.calls += 1
        self.journal.note("list", reply.status)
        listed = {plugin["Name"]: ENABLED if plugin["Enabled"] else DISABLED for plugin in reply.json()}
        for name in self.names:
            state = listed.get(name, ABSENT)
            self.journal.saw(name, f"list has shown it {state}", begin, end, {state})

    def _judge(self, operation, name, begin, end, reply):
        if operation in ("pull", "upgrade", "push") and reply.status == 200:
            lines = [json.loads(line) for line in reply.body.splitlines()]
            why = next((line["error"] for line in lines if "error" in line), "")
            if not why and any("up to date" in line.get("status", "") for line in lines):
                self.journal.note(operation, "up to date")
                self.journal.changed(name, operation, begin, end, False)
                return self.journal.saw(name, f"{operation} found it up to date", begin, end, PRESENT)
        elif reply.status in (200, 204):
            why = ""
        elif reply.status in (404, 409):
            why = reply.error
        else:
            return self.journal.odd(f"{operation} {name}: {reply!r}")
        if why:
            return self.journal.refused(name, operation, begin, end, why)
        self.journal.note(operation, "done")
        self.journal.changed(name, operation, begin, end, True)
        return None


class CliClient(Client):
    """Runs Debian's docker command."""

    def act(self, name):
        operation = self.choose(name)
        arguments = self.orders.command(operation, name, self.chance)
        if arguments is None:
            return
        begin = time.time()
        ran = subprocess.run([DOCKER, "-H", f"unix://{self.control}", "plugin", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=PATIENCE)
        end = time.time()
        self.calls += 1
        if operation == "inspect":
            if ran.returncode == 0:
                state = ENABLED if json.loads(ran.stdout)[0]["Enabled"] else DISABLED
                self.journal.saw(name, f"docker has shown it {state}", begin, end, {state})
        elif ran.returncode != 0:
            self.journal.refused(name, operation, begin, end, ran.stderr)
        elif "up to date" in ran.stdout:
            self.journal.changed(name, operation, begin, end, False)
        else:
            self.journal.note(operation, "done by docker")
            self.journal.changed(name, operation, begin, end, True)


class RudeClient(Client):
    """Asks for something and does not wait for the answer, or not for all of it."""

    def act(self, name):
        operation = self.choose(name)
        method, target, body = self.orders.request(operation, name, self.chance)
        body = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode()
        whole = head + (body or b"")
        begin = time.time()
        self.calls += 1
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(PATIENCE)
            client.connect(self.control)
            cut = self.chance.random() < 0.3
            client.sendall(whole[:self.chance.randrange(len(whole))] if cut else whole)
            if not cut and operation not in ("list", "inspect"):
                self.journal.changed(name, operation, begin, float("inf"), None)
            client.settimeout(self.chance.uniform(0.001, 0.3))
            client.recv(100)
        self.journal.note(operation, "given up")


def counted(clients):
    """Calls by kind of client."""
    calls = collections.Counter()
    for client in clients:
        calls[type(client).__name__] += client.calls
    return dict(calls)

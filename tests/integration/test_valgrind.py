"""brokerd's whole life under valgrind's memcheck: no error, no byte lost, no descriptor left open.

It sees what sanitizers do not: memory that is used before it is set, also by libraries, and in the very program that is packaged.
Of what Debian 12's valgrind (3.19) cannot do, harness/newer_calls.py makes system calls that are younger. Archive workers and shims run
as ever; it is brokerd that is watched, in which everything stays that is lost."""

import os
import re
import shutil
import signal

import pytest
from harness import unix_http
from harness.build import SANITIZERS
from harness.managed import push_plugin, succeed
from harness.newer_calls import NewerCalls
from harness.plugins import free_port
from harness.remains import Remains, assert_nothing_runs
from harness.running import SAMPLE, create_sample
from harness.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(SANITIZERS), reason="sanitizers and valgrind do not go together"),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
]
CALLS = 1000
#: It is thirty times slower, and more on a busy machine.
PATIENCE = 120
STATUS = 9


class Watched:
    """A brokerd below valgrind."""

    def __init__(self, broker, directory, calls):
        self._told = directory / "valgrind.log"
        self.broker = broker(
            prefix=["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible", "--errors-for-leak-kinds=definite,possible",
                    "--track-fds=yes", "--num-callers=30", f"--error-exitcode={STATUS}", f"--log-file={self._told}"],
            environment=calls.environment(), timeout=60, threads=2)

    def verdict(self):
        """Once it has ended: its errors, what is lost, and its descriptors that were left open, as valgrind tells of them."""
        text = self._told.read_text(errors="replace")
        told = re.sub(r"(?m)^==\d+== ?", "", text)
        print(told)
        summary = re.search(r"(?m)^ERROR SUMMARY: (\d+) errors", told)
        assert summary, told
        descriptors = re.findall(r"(?m)^Open (.+)\n +(.+)", told)
        lost = re.search(r"definitely lost: ([\d,]+) bytes", told)
        return {"errors": int(summary[1]), "lost": int(lost[1].replace(",", "")) if lost else 0,
                "descriptors": [what for what, where in descriptors if "<inherited from parent>" not in where]}


@pytest.fixture
def watched(broker, directory, closing):
    return Watched(broker, directory, closing.add(NewerCalls(directory)))


def use(broker, name, calls):
    """Calls as engines make them, over one connection and over one each."""
    connection = unix_http.Connection(broker.published(name), timeout=PATIENCE)
    for number in range(calls - 10):
        method, body = ("VolumeDriver.List", {}) if number % 10 else ("VolumeDriver.Create", {"Name": f"v{number}"})
        assert unix_http.send(connection, "POST", "/" + method, body).status == 200
    connection.close()
    for _ in range(10):
        assert broker.call(name, "VolumeDriver.List", timeout=PATIENCE).status == 200


def test_a_whole_life(watched, mobyfs, registry, directory):
    broker, plugin = watched.broker, mobyfs()
    broker.define("mobyfs", plugin.url)
    broker.define("absent", f"tcp://127.0.0.1:{free_port()}")
    broker.write("invalid.spec", "nonsense")
    broker.start(ready=PATIENCE)
    remains, events = Remains(broker), broker.events()

    def pluginctl(*arguments, status=0):
        done = broker.pluginctl(*arguments, timeout=PATIENCE)
        assert done.returncode == status, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    broker.wait_state("mobyfs", "active", PATIENCE)
    use(broker, "mobyfs", CALLS)
    broker.define("mobyfs", mobyfs(name="moved").url)
    broker.wait_state("mobyfs", "active", PATIENCE)
    broker.reload()
    (broker.directory / "brokerd.conf").write_text("log-level = info\nanswer-timeout = 60\n")
    broker.reload()
    (broker.directory / "brokerd.conf").write_text("answer-timeout = soon\n")
    broker.reload()
    wait_until(lambda: "answer-timeout" in broker.process.output(), "refusal of the settings", PATIENCE)

    config = {"env": [{"name": name, "description": "", "settable": ["value"], "value": value}
                      for name, value in (("BEHAVIOUR", ""), ("VOLUMES", "/data"))]}
    for version in ("1", "2"):
        push_plugin(broker, registry, f"acme/sample:{version}", directory / version, config, {"bin/sample": SAMPLE.read_bytes()}, 100_000)
    full = f"{registry.host}/acme/sample"
    pluginctl("install", "--grant-all-permissions", "--alias", "sample", f"{full}:1")
    running = broker.wait_state("sample:latest", "running", PATIENCE)
    remains.note()
    use(broker, "sample:latest", 100)
    os.kill(running["Pid"], signal.SIGKILL)
    events.wait_for("sample:latest", "restarting", PATIENCE)
    broker.wait_state("sample:latest", "running", PATIENCE)
    pluginctl("disable", "sample")
    pluginctl("set", "sample", "BEHAVIOUR=exit=3")
    pluginctl("enable", "sample", status=1)
    pluginctl("set", "sample", "BEHAVIOUR=")
    pluginctl("upgrade", "--skip-remote-check", "--grant-all-permissions", "sample", f"{full}:2")
    pluginctl("save", "-o", directory / "saved.tar", "sample")
    pluginctl("rm", "sample")
    pluginctl("load", "--grant-all-permissions", directory / "saved.tar")
    pluginctl("enable", "sample")
    pluginctl("install", "--grant-all-permissions", f"{full}:missing", status=1)
    for question in (("ls",), ("inspect", "sample"), ("logs", "sample"), ("stats", "--no-stream"), ("prune", "--force")):
        pluginctl(*question)
    assert broker.findings("absent") and broker.get("/broker/v1/metrics", timeout=PATIENCE).status == 200
    pluginctl("rm", "--force", "sample")
    create_sample(broker, "acme/last")
    pluginctl("rm", "acme/last")
    broker.define("mobyfs", f"tcp://127.0.0.1:{free_port()}")
    broker.process.signal(signal.SIGTERM)
    status = broker.process.wait(PATIENCE)
    assert watched.verdict() == {"errors": 0, "lost": 0, "descriptors": []}
    assert status == 0, broker.process.output()
    assert_nothing_runs(remains)

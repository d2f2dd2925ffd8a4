"""brokerd as systemd sees it: readiness, reload, watchdog, stop, and a listening socket that systemd keeps."""

import grp
import socket
import subprocess

import pytest
from harness import unix_http
from harness.waiting import wait_until


def test_ready_means_that_every_published_socket_listens(broker):
    broker = broker(activation="lazy")
    names = [f"plugin{number}" for number in range(300)]
    for name in names:
        broker.define(name, f"unix:///nonexistent/{name}.sock")
    for _ in range(3):
        broker.start()
        # No waiting from here on: READY=1 has been said.
        assert [name for name in names if not unix_http.listening(broker.published(name))] == []
        assert [name for name in names if not unix_http.listening(broker.engine_socket(name))] == []
        assert broker.get("/_ping").status == 200
        assert set(broker.plugins()) == set(names)
        broker.kill()


def test_a_plugin_that_is_down_does_not_keep_brokerd_from_being_ready(broker, mobyfs):
    broker = broker(timeout=30)
    broker.define("absent", "tcp://127.0.0.1:9")
    broker.define("stuck", mobyfs(broken="never-answer").url)
    broker.start(ready=5)
    assert broker.notify.messages.count("READY=1") == 1


def test_stopping_is_announced_and_clean(broker, mobyfs):
    plugin = mobyfs(delay=1)
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.define("absent", "tcp://127.0.0.1:9")
    broker.start()
    broker.wait_state("mobyfs", "active")
    events = broker.events()
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(broker.published("mobyfs")))
        broker.process.signal(15)
        broker.notify.wait_for("STOPPING=1", 10, lambda: broker.process.running)
        assert broker.process.wait(10) == 0
    assert events is not None


def test_sigint_stops_as_well(broker):
    broker = broker().start()
    broker.process.signal(2)
    assert broker.process.wait(10) == 0


def test_reload_reads_everything_again(broker):
    """A file system mounted over the directory raises no event, so only SIGHUP can tell."""
    broker = broker(activation="lazy")
    broker.define("before", "tcp://127.0.0.1:9")
    broker.start()
    aside = broker.directory / "aside"
    aside.mkdir()
    (aside / "after.spec").write_text("tcp://127.0.0.1:9")
    subprocess.run(["mount", "--bind", aside, broker.specs[0]], check=True)
    try:
        broker.reload()
        wait_until(lambda: set(broker.plugins()) == {"after"}, lambda: f"table with after alone: {set(broker.plugins())}")
        broker.define("later", "tcp://127.0.0.1:9")
        wait_until(lambda: set(broker.plugins()) == {"after", "later"}, "table with the later one")
    finally:
        subprocess.run(["umount", broker.specs[0]], check=True)
    broker.reload()
    wait_until(lambda: set(broker.plugins()) == {"before"}, "table as before")


def test_many_reloads_disturb_nothing(broker, mobyfs):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    connection = unix_http.Connection(broker.published("mobyfs"))
    for _ in range(50):
        broker.reload()
        assert unix_http.send(connection, "POST", "/VolumeDriver.List", {}).status == 200
    connection.close()
    assert broker.plugin("mobyfs")["State"] == "active"
    assert len(plugin.calls("Plugin.Activate")) == 1


def test_reload_is_told_to_systemd(broker):
    broker = broker().start()
    broker.reload()
    broker.notify.wait_for("RELOADING=1", 10, lambda: broker.process.running)
    broker.notify.wait_for("READY=1", 10, lambda: broker.process.running)


def test_the_watchdog_is_fed(broker):
    broker = broker(environment={"WATCHDOG_USEC": "400000"}).start()
    for _ in range(4):
        broker.notify.wait_for("WATCHDOG=1", 5, lambda: broker.process.running)


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_socket_activation_keeps_the_control_socket_alive(broker, way):
    """The listening socket is systemd's: a client that connects while brokerd is away waits, and is served."""
    broker = broker()
    broker.define("mobyfs", "tcp://127.0.0.1:9")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(broker.control))
        listener.listen(64)
        inode = broker.control.stat().st_ino
        broker.start(listener=listener)
        assert "mobyfs" in broker.plugins()
        for _ in range(2):
            if way == "stop":
                broker.stop()
            else:
                broker.kill()
            assert broker.control.stat().st_ino == inode, "the path belongs to systemd"
            with socket.socket(socket.AF_UNIX) as early:
                early.settimeout(20)
                early.connect(str(broker.control))
                early.sendall(b"GET /_ping HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n")
                broker.start(listener=listener)
                assert early.recv(4096).startswith(b"HTTP/1.1 200")
            assert "mobyfs" in broker.plugins()
        broker.stop()


@pytest.mark.parametrize("flags", [["--no-such-flag"], ["--activation", "sometimes"], ["--proxy-threads", "many"], ["--activation-timeout", "-1"],
                                   ["--log-level", "loud"]])
def test_a_wrong_command_line_ends_at_once_with_a_reason(broker, flags):
    broker = broker(extra=flags)
    result = subprocess.run([str(part) for part in broker.command()], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0
    assert result.stderr.strip()


def run_with_file(broker, text, *more):
    command = [str(part) for part in [*broker.command(), *more] if str(part) not in ("--log-level", "debug")]
    (broker.directory / "brokerd.conf").write_text(text)
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_a_wrong_file_has_a_status_of_its_own(broker):
    """By which systemd does not start brokerd again and again."""
    for more in ([], ["--check-config"]):
        done = run_with_file(broker(), "activation-timeout = 5\nlog-level = loud\n", *more)
        assert done.returncode == 78, done
        assert "brokerd.conf:2: " in done.stderr and "loud" in done.stderr


def test_settings_are_checked_beside_a_brokerd_that_runs(broker):
    running = broker().start()
    done = run_with_file(running, "log-level = warning\n", "--check-config")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert running.get("/_ping").status == 200


@pytest.mark.parametrize("path", ["control.sock", "elsewhere.sock"])
def test_a_socket_that_systemd_made_is_given_to_the_group(broker, path):
    """Who it was made for, brokerd.socket says; brokerd.conf, who is served."""
    broker = broker()
    group = next(entry for entry in grp.getgrall() if entry.gr_gid != 0)
    broker.extra += ["--group", group.gr_name]
    broker.control = broker.directory / path
    wanted = [broker.directory / "control.sock" if part == broker.control else part for part in broker.command()]
    broker.command = lambda: wanted
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(broker.control))
        broker.control.chmod(0o660)
        listener.listen(64)
        broker.start(listener=listener)
        assert broker.get("/_ping").status == 200
        assert (broker.control.stat().st_gid, broker.control.stat().st_mode & 0o777) == (group.gr_gid, 0o660)
        wait_until(lambda: f"control socket {broker.control}" in broker.process.output(), broker.process.output)
        assert ("systemctl edit brokerd.socket" in broker.process.output()) == (path != "control.sock")
        broker.stop()


def test_settings_from_the_configuration_file(broker, directory):
    broker = broker()
    configuration = directory / "brokerd.conf"
    configuration.write_text('proxy-threads = 2\nactivation = "lazy"\n')
    wanted = [part for part in broker.command() if str(part) not in ("--activation", "eager")]
    broker.command = lambda: wanted
    broker.define("mobyfs", "tcp://127.0.0.1:9")
    broker.start()
    assert broker.plugin("mobyfs")["State"] == "discovered"

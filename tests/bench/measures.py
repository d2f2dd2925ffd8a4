"""The measurements. Each takes a Bench (see run) and returns rows; none asserts anything."""

import contextlib
import os
import random
import statistics
import time

import daemons
import managed
import plugins
import running
from report import Figure, Row, percentile


def milliseconds(seconds):
    return Figure(seconds * 1e3, "ms")


def spread(samples):
    """What goes to the JSON file beside the figure in the table; seconds in, milliseconds out."""
    return {"samples": len(samples), "p50_ms": percentile(samples, 50) * 1e3, "p99_ms": percentile(samples, 99) * 1e3,
            "max_ms": max(samples) * 1e3}


def p50_and_p99(work, samples, target_p99=None):
    return [Row(f"{work}, p50", milliseconds(percentile(samples, 50)), detail=spread(samples)),
            Row(f"{work}, p99", milliseconds(percentile(samples, 99)), target=target_p99, detail=spread(samples))]


def discovery(bench):
    """A new .spec file until its published socket accepts; files are written in place and renamed, in turn."""
    samples = []
    with bench.brokerd() as broker:
        reserved, port = plugins.reserve_port()
        watch = plugins.DirectoryWatch(broker.published)
        for number in range(bench.count(300)):
            name = f"found{number}"
            write = plugins.write_in_place if number % 2 else plugins.rename_into_place
            started = time.perf_counter()
            write(broker.specs / f"{name}.spec", f"tcp://127.0.0.1:{port}\n")
            watch.wait_for(f"{name}.sock")
            samples.append(plugins.wait_connectable(str(broker.published / f"{name}.sock")) - started)
            os.unlink(broker.specs / f"{name}.spec")
            plugins.wait_gone(broker.published / f"{name}.sock")
        watch.close()
        reserved.close()
    return p50_and_p99("new .spec file to published socket", samples, Figure(20, "ms"))


def _activation_samples(bench, prepare, appear, count):
    """Time from `appear` (which makes the plugin reachable and returns its listener) to the event "active"."""
    samples = []
    with bench.brokerd() as broker, contextlib.closing(daemons.EventStream(broker)) as events:
        for number in range(count):
            name = f"late{number}"
            state = prepare(broker, name)
            started = time.perf_counter()
            with appear(state) as listener:
                plugins.answer_handshake(listener)
                samples.append(events.wait_for(name, "active") - started)
    return samples


def activation_unix(bench):
    def prepare(broker, name):
        path = str(broker.volatile / f"{name}.sock")
        (broker.specs / f"{name}.spec").write_text(f"unix://{path}\n")
        plugins.wait_connectable(str(broker.published / f"{name}.sock"))
        time.sleep(random.uniform(0.02, 0.2))
        return path

    return p50_and_p99("Unix socket appears to plugin active",
                       _activation_samples(bench, prepare, plugins.listen_unix, bench.count(200)))


def activation_tcp(bench):
    """The port opens at any moment of the back-off (25 ms doubling to 1 s), 0.1 to 3 s after the file appeared."""
    def prepare(broker, name):
        reserved, port = plugins.reserve_port()
        (broker.specs / f"{name}.spec").write_text(f"tcp://127.0.0.1:{port}\n")
        time.sleep(random.uniform(0.1, 3))
        return reserved

    def appear(reserved):
        reserved.listen(16)
        return reserved

    return p50_and_p99("TCP port opens to plugin active", _activation_samples(bench, prepare, appear, bench.count(30)))


def activation_new_file(bench):
    """The plugin listens already; a .spec file names it."""
    def prepare(broker, name):
        reserved, port = plugins.reserve_port()
        reserved.listen(16)
        return broker.specs / f"{name}.spec", port, reserved

    def appear(state):
        path, port, listener = state
        path.write_text(f"tcp://127.0.0.1:{port}\n")
        return listener

    return p50_and_p99("new .spec file to plugin active (TCP)", _activation_samples(bench, prepare, appear, bench.count(200)))


def run_seconds(command, environment):
    """How long a command takes from start to end; its output is thrown away."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        started = time.perf_counter()
        pid = os.posix_spawn(command[0], command, environment,
                             file_actions=[(os.POSIX_SPAWN_DUP2, null, descriptor) for descriptor in (0, 1, 2)])
        _pid, status = os.waitpid(pid, 0)
        seconds = time.perf_counter() - started
    finally:
        os.close(null)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return seconds


def interleaved(commands, environment, count):
    """Runs the commands in turn, so that whatever else the machine does hits all of them; one list of times for each."""
    times = [[] for _command in commands]
    for _warm_up in range(3):
        for command in commands:
            run_seconds(command, environment)
    for _round in range(count):
        for command, samples in zip(commands, times):
            samples.append(run_seconds(command, environment))
    return times


@contextlib.contextmanager
def active_plugins(bench, count):
    """A brokerd with that many active plugins. Their listeners stay open but are not served any more."""
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(bench.brokerd())
        for number in range(count):
            reserved, port = plugins.reserve_port()
            listener = stack.enter_context(reserved)
            listener.listen(16)
            (broker.specs / f"plugin{number}.spec").write_text(f"tcp://127.0.0.1:{port}\n")
            plugins.answer_handshake(listener)
        deadline = time.monotonic() + 30
        while any(broker.state_of(f"plugin{number}") != "active" for number in range(count)):
            if time.monotonic() > deadline:
                raise TimeoutError("the plugins did not become active")
            time.sleep(0.02)
        yield broker


def ls_and_memory(bench):
    """`pluginctl ls` with ten active plugins against `docker plugin ls` with none, and what the daemons take when idle."""
    ls = Row("`ls`, median", peer_name="docker plugin ls", target=Figure(0.3, "x"))
    memory = Row("idle memory (PSS)", peer_name="dockerd + containerd", target=Figure(12, "MB"))
    with active_plugins(bench, 10) as broker:
        command = [broker.pluginctl, "-H", f"unix://{broker.control}", "ls"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(bench.place), "LC_ALL": "C.UTF-8"}
        with contextlib.ExitStack() as stack:
            commands, docker = [command], None
            if daemons.Dockerd.installed():
                docker = stack.enter_context(daemons.Dockerd(bench.place / "docker"))
                commands.append(docker.ls)
            times = interleaved(commands, environment, bench.count(100))
            ls.brokerd, ls.detail = milliseconds(statistics.median(times[0])), spread(times[0])
            time.sleep(3)
            memory.brokerd = Figure(daemons.pss_megabytes(broker.process.pid), "MB")
            if docker:
                ls.peer = milliseconds(statistics.median(times[1]))
                ls.detail["peer_samples"] = spread(times[1])
                memory.peer = Figure(sum(map(daemons.pss_megabytes, daemons.process_tree(docker.process.pid))), "MB")
    return [ls, memory]


def ls_with_watchers(bench):
    """200 programs follow the events and nothing happens: `ls` must not notice."""
    row = Row("`ls` with 200 idle event watchers, median", peer_name="without")
    with active_plugins(bench, 10) as broker:
        command = [[broker.pluginctl, "-H", f"unix://{broker.control}", "ls"]]
        environment = {"PATH": os.environ["PATH"]}
        alone = interleaved(command, environment, bench.count(60))[0]
        with contextlib.ExitStack() as watchers:
            for _number in range(200):
                watchers.enter_context(contextlib.closing(daemons.EventStream(broker)))
            watched = interleaved(command, environment, bench.count(60))[0]
    row.peer, row.brokerd = milliseconds(statistics.median(alone)), milliseconds(statistics.median(watched))
    row.detail = {**spread(watched), "without": spread(alone)}
    return [row]


def _ready_row(bench, work, url_of):
    """Median start to READY=1 with 1 000 definitions, and what the 1 000 dead plugins cost in the seconds after it."""
    times, busy = [], []
    for number in range(bench.count(5, at_least=3)):
        broker = bench.brokerd()
        for plugin in range(1000):
            (broker.specs / f"plugin{plugin}.spec").write_text(url_of(broker, plugin) + "\n")
        with broker:
            times.append(broker.ready_seconds)
            if number == 0:
                before = daemons.cpu_seconds(broker.process.pid)
                time.sleep(5)
                busy.append((daemons.cpu_seconds(broker.process.pid) - before) / 5 * 100)
    ready = Row(f"start to READY, 1 000 .spec files, {work}", milliseconds(statistics.median(times)),
                target=Figure(150, "ms"), detail=spread(times))
    return [ready, Row(f"CPU in the 5 s after that, {work}", Figure(busy[0], "% of a core"))]


def ready_tcp(bench):
    with contextlib.ExitStack() as stack:
        ports = []
        for _number in range(1000):
            reserved, port = plugins.reserve_port()
            stack.enter_context(reserved)
            ports.append(port)
        return _ready_row(bench, "closed TCP ports", lambda _broker, number: f"tcp://127.0.0.1:{ports[number]}")


def ready_unix(bench):
    return _ready_row(bench, "absent Unix sockets", lambda broker, number: f"unix://{broker.volatile}/absent{number}.sock")


ALL = {measure.__name__.replace("_", "-"): measure for measure in
       (discovery, activation_unix, activation_tcp, activation_new_file, ls_and_memory, ls_with_watchers, ready_tcp, ready_unix,
        managed.install, managed.install_large, managed.thousand, running.enable)}

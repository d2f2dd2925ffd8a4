"""The measurements of running plugins: enable and disable beside Docker's, one and twenty at once."""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import daemons
from managed import run
from report import Figure, Row

CONFIG = {"description": "measured", "documentation": "", "entrypoint": ["/bin/sample"], "network": {"type": "none"}, "workdir": "/",
          "interface": {"types": ["docker.volumedriver/1.0"], "socket": "s.sock"}, "propagatedMount": "/mnt/volumes",
          "env": [{"name": "SOCKET", "value": "/run/docker/plugins/s.sock"}], "linux": {"capabilities": ["CAP_SYS_ADMIN"]}}
TOGETHER = 20


def make_plugin(place, build):
    """The program of the tests' sample plugin: it listens at once, so the time is that of whoever runs it."""
    program = pathlib.Path(build) / "tests" / "fixtures" / "sample_plugin" / "sample-plugin"
    for directory in ("bin", "run/docker/plugins", "mnt/volumes"):
        (place / "rootfs" / directory).mkdir(parents=True)
    shutil.copy2(program, place / "rootfs" / "bin" / "sample")
    (place / "config.json").write_text(json.dumps(CONFIG))
    return str(place)


def enable(bench):
    """`enable` and `disable` of one plugin, with brokerd and with Docker in turn, then twenty at once."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(bench.place)}
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(bench.brokerd())
        ours = [broker.pluginctl, "-H", f"unix://{broker.control}"]
        plugin = make_plugin(bench.place / "sample", bench.build)
        programs = [ours]
        if daemons.Dockerd.installed():
            docker = stack.enter_context(daemons.Dockerd(bench.place / "docker"))
            programs.append([docker.CLIENT, "-H", f"unix://{docker.socket}", "plugin"])
        for program in programs:
            run([*program, "create", "bench/one", plugin], environment)
        enables, disables = ([[] for _program in programs] for _kind in range(2))
        for number in range(bench.count(15) + 1):
            for program, enabled, disabled in zip(programs, enables, disables):
                taken = run([*program, "enable", "bench/one"], environment), run([*program, "disable", "bench/one"], environment)
                if number > 0:  # the first one warms up
                    enabled.append(taken[0])
                    disabled.append(taken[1])
        rows = [_row("enable, median", "docker plugin enable", enables, 0.25),
                _row("disable, median", "docker plugin disable", disables, 1)]
        rows += _together(bench, programs, plugin, environment, statistics.median(enables[0]))
    return rows


def _row(work, peer, times, target):
    row = Row(work, Figure(statistics.median(times[0]) * 1e3, "ms"), peer_name=peer, target=Figure(target, "x"),
              detail={"samples_ms": [[sample * 1e3 for sample in samples] for samples in times]})
    if len(times) > 1:
        row.peer = Figure(statistics.median(times[1]) * 1e3, "ms")
    return row


def _together(bench, programs, plugin, environment, one):
    taken = [_at_once(program, plugin, environment, bench.count(5, at_least=3)) for program in programs]
    work, ours = f"{TOGETHER} plugins enabled at once, median", Figure(taken[0] * 1e3, "ms")
    rows = [Row(work, ours, Figure(one * 1e3, "ms"), "one of them", Figure(3, "x"))]
    return rows + [Row(work, ours, Figure(other * 1e3, "ms"), "docker plugin enable") for other in taken[1:]]


def _at_once(program, plugin, environment, rounds):
    """How long it takes until all of them are enabled, in seconds."""
    names = [f"bench/many{number}" for number in range(TOGETHER)]
    for name in names:
        (pathlib.Path(plugin) / "rootfs" / "name").write_text(name)  # dockerd makes no second plugin of the same content
        run([*program, "create", name, plugin], environment)
    times = []
    for _round in range(rounds):
        started = time.perf_counter()
        clients = [subprocess.Popen([*program, "enable", name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True, env=environment) for name in names]
        for client in clients:
            if (error := client.communicate()[1]) or client.returncode != 0:
                raise RuntimeError(error[-300:])
        times.append(time.perf_counter() - started)
        for name in names:
            run([*program, "disable", name], environment)
    return statistics.median(times)

"""What a proxy took, of all its processes and threads, from the kernel's books."""

import contextlib
import os

import daemons


def cpu_ns(pids):
    """Time on a CPU in nanoseconds. Exact, unlike the ticks in /proc/PID/stat, but threads that ended are not in it: the
    proxies have none that come and go."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as schedstat:
                total += int(schedstat.read().split()[0])
    return total


def pss_mb(pids):
    return sum(map(daemons.pss_megabytes, pids))


def open_files(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def _status_kib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


@contextlib.contextmanager
def peak_growth(pids, result):
    """Sets result["growth_kib"] to how far resident memory went above where it was at the beginning of the block."""
    for pid in pids:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")  # the peak begins anew
    before = {pid: _status_kib(pid, "VmRSS") for pid in pids}
    yield
    result["growth_kib"] = sum(max(0, _status_kib(pid, "VmHWM") - before[pid]) for pid in pids)


@contextlib.contextmanager
def before_others():
    """This process and what it starts go before whatever else the machine does, so that it is not measured."""
    def prefer(nice):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # Where sessions share the machine evenly, nice values count within each session alone.
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as autogroup:
            autogroup.write(str(nice))
    prefer(-20)
    try:
        yield
    finally:
        prefer(0)


@contextlib.contextmanager
def on_cpus(cpus):
    """What is started in the block runs on these CPUs only; all where None."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or usual)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)

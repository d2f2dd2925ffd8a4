"""Memory has a bound whatever comes: the peak of brokerd (VmHWM) before and after bodies, archives and heads that are too large for it
(harness/large.py says how large)."""

import pathlib

import pytest
from harness.build import SANITIZERS
from harness.large import LARGE, PIECE, LargeBodies, create, exchange, large_file, large_headed, refused_head, small_file, sparse_file
from harness.managed import leftovers, succeed

#: How much the peak may grow, in KiB: for a body, and for anything.
BODY, ANYTHING = 1 << 10, 32 << 10


def peak(broker):
    """KiB that the process has had at most since forget_peak(). 0 with sanitizers, as Brokerd.memory()."""
    if SANITIZERS:
        return 0
    status = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def forget_peak(broker):
    """proc(5), clear_refs: the peak is what there is now, which is returned."""
    pathlib.Path(f"/proc/{broker.process.pid}/clear_refs").write_text("5", encoding="ascii")
    return peak(broker)


def tell(what, before, after):
    print(f"{what}: peak {before} KiB before, {after} KiB after: {after - before:+} KiB")
    return after - before


# -- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["unix", "tcp", "tls"])
def test_a_body_each_way_takes_no_memory(broker, directory, closing, certificates, transport):
    plugin = closing.add(LargeBodies(directory, transport, certificates))
    broker = broker()
    plugin.define(broker, certificates)
    broker.start()
    broker.wait_state("raw", "active")
    exchange(broker.published("raw"), len(PIECE))  # buffers are there
    before = forget_peak(broker)
    exchange(broker.published("raw"))
    assert tell(f"{LARGE >> 20} MiB each way, {transport}", before, peak(broker)) <= BODY


# -- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.long  # test_managed_hostile.py has smaller ones, and looks at the worker
def test_an_archive_takes_no_memory(broker):
    """Of brokerd; the worker that unpacks it has a limit of its own (daemon/archive/limits.h), which holds as well."""
    broker = broker().start()
    assert create(broker.control, "acme/small", small_file())[0] == 204
    before = forget_peak(broker)
    assert create(broker.control, "acme/large", large_file())[0] == 204
    assert tell(f"archive of {LARGE >> 20} MiB", before, peak(broker)) <= ANYTHING
    rootfs = broker.state / "plugins" / broker.get("/plugins/acme/large/json").json()["Id"] / "rootfs"
    assert (rootfs / "large").stat().st_size == LARGE
    status, body = create(broker.control, "acme/sparse", sparse_file())
    assert status == 400 and b"1000 times its size" in body, (status, body)
    assert tell(f"sparse file of {4 * LARGE >> 20} MiB, refused", before, peak(broker)) <= ANYTHING
    succeed(broker.pluginctl("rm", "acme/large"))
    assert leftovers(broker) == []


# -- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("socket_of", ["published", "control"])
def test_a_head_of_megabytes_is_refused_and_takes_no_memory(broker, mobyfs, socket_of):
    plugin = mobyfs()
    broker = broker()
    broker.define("mobyfs", plugin.url)
    broker.start()
    broker.wait_state("mobyfs", "active")
    path = broker.control if socket_of == "control" else broker.published("mobyfs")
    before = forget_peak(broker)
    for _ in range(10):
        received = refused_head(path)
        assert received.startswith(b"HTTP/1.1 431 "), received[:200]
    assert tell(f"10 heads of 3 MiB, {socket_of} socket", before, peak(broker)) <= BODY


def test_an_answer_with_a_head_of_megabytes_is_refused_and_takes_no_memory(broker, directory, closing):
    plugin = closing.add(large_headed(directory / "raw.sock"))
    broker = broker()
    broker.define("raw", plugin.url)
    broker.start()
    broker.wait_state("raw", "active")
    before = forget_peak(broker)
    for _ in range(10):
        reply = broker.call("raw", "VolumeDriver.List", timeout=60)
        assert reply.status == 502 and "raw" in reply.error
    assert tell("10 answers with heads of 3 MiB", before, peak(broker)) <= BODY
    assert broker.plugin("raw")["State"] == "active"

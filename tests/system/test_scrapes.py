"""packaging/prometheus where systemd is: its units give the metrics, with everything that they are denied."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import booted
import pytest
from harness import prometheus
from harness.waiting import wait_until
from inside import BUILD, PATIENCE

pytestmark = pytest.mark.skipif(not os.environ.get("BROKERD_SYSTEM_TESTS"), reason="runs with packaging/test --system")

UNITS = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "prometheus"
LIBRARIES = pathlib.Path("usr/lib/x86_64-linux-gnu")
FILE = "/var/lib/prometheus/node-exporter/brokerd.prom"
SCRAPE = ("curl", "--silent", "--show-error", "http://127.0.0.1:9753/metrics")


@pytest.fixture(scope="module")
def machine():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as place:
        place = pathlib.Path(place)
        booted.install(BUILD, place)
        add_curl(place)
        (place / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
        for unit in UNITS.glob("brokerd-*"):
            shutil.copy(unit, place / "etc/systemd/system")
        (place / FILE[1:]).parent.mkdir(parents=True)
        with booted.Machine(place) as machine:
            yield machine


def add_curl(place):
    """This host's, a Debian 12, too; the tree has none."""
    (place / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2("/usr/bin/curl", place / "usr/bin")
    (place / LIBRARIES).mkdir(parents=True, exist_ok=True)
    for line in subprocess.run(["ldd", "/usr/bin/curl"], check=True, capture_output=True, text=True).stdout.splitlines():
        library = pathlib.Path(line.partition("=> ")[2].partition(" ")[0])
        if library.name and not (booted.tree() / LIBRARIES / library.name).exists():
            shutil.copy2(library, place / LIBRARIES)


def assert_metrics(page):
    assert prometheus.parse(page)["brokerd_build_info"]


def test_a_scrape_by_the_socket(machine):
    machine.succeed("systemctl", "enable", "--now", "brokerd-metrics.socket")
    for _ in range(20):  # more than are allowed at once
        assert_metrics(machine.succeed(*SCRAPE))
    wait_until(lambda: machine.run("systemctl", "list-units", "--no-legend", "brokerd-metrics@*").stdout == "", "end of all scrapes", PATIENCE)
    told = [entry["MESSAGE"] for entry in machine.journal("_PID=1") if "brokerd-metrics" in entry["MESSAGE"]]
    assert any(words.startswith("Listening on brokerd-metrics.socket") for words in told)
    assert not any("one scrape" in words or "brokerd-metrics@" in words for words in told), "what goes well is not told"


def test_a_file_for_node_exporter_that_goes_with_brokerd(machine):
    machine.succeed("systemctl", "enable", "--now", "brokerd-textfile.timer")
    machine.succeed("systemctl", "start", "brokerd-textfile.service")
    page = machine.succeed("cat", FILE)
    assert_metrics(page)
    assert prometheus.parse(page)["brokerd_process_open_fds"] and "\nprocess_" not in page
    machine.succeed("systemctl", "stop", "brokerd.socket", "brokerd.service")
    assert machine.run("systemctl", "start", "brokerd-textfile.service").returncode != 0
    assert machine.run("cat", FILE).returncode != 0, "old figures are not taken for new ones"
    assert machine.run(*SCRAPE).returncode != 0
    assert any("Failed to connect" in entry["MESSAGE"] for entry in machine.journal("SYSLOG_IDENTIFIER=curl"))
    machine.succeed("systemctl", "start", "brokerd.service")
    assert_metrics(machine.succeed(*SCRAPE))

"""tests/bench/proxy still works: a very short run against the relay alone. What it measures is not looked at."""

import json
import subprocess

import pytest

from harness.build import BUILD, REPOSITORY

WORKS = ["unix-16", "tls-16", "body-1mb", "churn", "up-unix", "down-tls", "idle", "threads-64"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "proxy.json"
    command = [REPOSITORY / "tests" / "bench" / "proxy", "--build", BUILD, "--json", path, "--scale", "0.03", "--rounds", "1",
               "--peers", "relay", "--only", *WORKS]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(path.read_text())["rows"]


def test_every_work_gives_figures_of_brokerd(results):
    assert [row for row in results if "brokerd" not in row["figures"] or row["troubles"]] == []
    assert len([row for row in results if row["work"]]) == len(WORKS)


def test_a_relay_takes_part_where_it_can(results):
    by_work = {row["work"]: row["figures"] for row in results if row["work"]}
    assert "relay" in by_work["Unix, 16 conn., 20/200 B"]
    assert "relay" not in by_work["TLS, 16 conn., 20/200 B"]

"""pluginctl on a terminal: colours, and who gets none."""

import os
import subprocess

import pytest
from harness.brokerd import PLUGINCTL
from harness.terminal import Terminal

ESCAPE, GREEN, RED = "\x1b[", "\x1b[32m", "\x1b[31m"


def shown(broker, closing, *arguments, **environment):
    """What a terminal is given."""
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm", **environment}
    terminal = closing.add(Terminal([PLUGINCTL, "-H", f"unix://{broker.control}", *arguments], variables))
    terminal.wait_for(lambda: "mobyfs" in terminal.screen() and terminal.screen().endswith("\n"), "list")
    return terminal.screen()


def test_status_has_a_colour(busy, closing):
    broker, _plugin = busy
    rows = {line.split()[0]: line for line in shown(broker, closing, "ls").splitlines()}
    assert f"{GREEN}active{ESCAPE}0m" in rows["mobyfs"]
    assert f"{RED}failed: " in rows["absent"] and f"{RED}invalid: " in rows["invalid"]
    assert ESCAPE not in rows["NAME"]
    plain = {line.split()[0]: line for line in broker.pluginctl("ls").stdout.splitlines()}
    for name, row in rows.items():
        for code in ("31", "32", "33", "0"):
            row = row.replace(f"{ESCAPE}{code}m", "")
        assert row.rstrip() == plain[name].rstrip()  # the columns stand where they stand without


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_that_are_not_wanted(busy, closing, environment):
    assert ESCAPE not in shown(busy[0], closing, "ls", **environment)


def test_no_colours_for_programs(busy, closing):
    broker, _plugin = busy
    assert ESCAPE not in broker.pluginctl("ls", environment={"TERM": "xterm"}).stdout
    assert ESCAPE not in shown(broker, closing, "ls", "--format", "{{.Name}} {{.Status}}")
    assert ESCAPE not in shown(broker, closing, "ls", "-q")


def test_who_may_not_connect_is_told_how_to(busy):
    broker, _plugin = busy
    broker.directory.chmod(0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", PLUGINCTL, "-H", f"unix://{broker.control}", "ls"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert refused.returncode == 125 and len(refused.stderr.splitlines()) == 1
    assert "Permission denied" in refused.stderr and "usermod -aG brokerd" in refused.stderr

"""pluginctl beside `docker plugin`: every command and flag that docker lists is there, and the manual pages are sound."""

import os
import re
import shutil
import subprocess

import pytest
from harness.brokerd import PLUGINCTL

# What docker has and pluginctl has not, with the reason. Nothing, today.
MISSING = {}


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)


def flags_of(help_text):
    """The words with dashes that begin a line of a help text."""
    flags = set()
    for line in help_text.splitlines():
        # "  -f, --force   Force …" and "  -f, --filter KEY=VALUE  …": what stands before the explanation.
        begun = re.match(r"\s{2,}(-[^\s,=]+(?:, -[^\s,=]+)*)", line)
        if begun:
            flags.update(begun.group(1).split(", "))
    return flags


def docker_commands(program):
    text = run(program, "plugin", "--help").stdout
    commands = re.findall(r"^  (\w+)\s", text[text.index("Commands:"):], re.MULTILINE)
    assert len(commands) >= 10, text
    return commands


def test_every_flag_of_docker_is_there(docker_program):
    for command in docker_commands(docker_program):
        theirs = flags_of(run(docker_program, "plugin", command, "--help").stdout)
        shown = run(PLUGINCTL, command, "--help")
        assert shown.returncode == 0, (command, shown)
        missing = {flag for flag in theirs - flags_of(shown.stdout) - {"--help"} if (command, flag) not in MISSING}
        assert not missing, (command, missing)


def test_docker_s_aliases_are_there(docker_program):
    for command in docker_commands(docker_program):
        aliases = re.search(r"Aliases:\n\s+(.*)", run(docker_program, "plugin", command, "--help").stdout)
        for alias in (word.split()[-1] for word in (aliases.group(1).split(", ") if aliases else [])):
            assert run(PLUGINCTL, alias, "--help").stdout == run(PLUGINCTL, command, "--help").stdout, alias


@pytest.mark.parametrize("command, flags", [
    ("install", ["--disable-content-trust=false"]), ("push", ["--disable-content-trust"]), ("upgrade", ["--disable-content-trust=true"])])
def test_flags_without_effect_are_accepted(command, flags, directory):
    """They reach the daemon that is not there, past the arguments."""
    done = run(PLUGINCTL, "-H", directory / "no.sock", command, *flags, "a/b")
    assert done.returncode == 125, done


def all_commands():
    text = run(PLUGINCTL, "--help").stdout
    part = text[text.index("\nCOMMANDS\n"):text.index("\nOPTIONS\n")]
    return [line.split(",")[0].split()[0] for line in part.splitlines()[2:] if line.startswith("  ")]


@pytest.mark.parametrize("tool", ["man", "groff"])
def test_manual_pages_have_no_warnings(tool, directory):
    commands = all_commands()
    assert {"ls", "install", "dial-stdio"} <= set(commands)
    assert shutil.which(tool)
    for command in [None, *commands]:
        page = directory / f"pluginctl{'-' + command if command else ''}.1"
        page.write_text(run(PLUGINCTL, "--man-page", *([command] if command else [])).stdout)
        checked = run("man", "--warnings", "-l", page) if tool == "man" else run("groff", "-man", "-Tutf8", "-ww", "-z", page)
        assert checked.returncode == 0 and checked.stderr == "", (command, checked.stderr)


def test_the_build_makes_a_page_for_each_command():
    pages = {path.name for path in PLUGINCTL.parent.glob("*.1")}
    if not pages:
        pytest.skip("this build has no manual pages: ninja man_pages")
    assert pages == {"pluginctl.1", *(f"pluginctl-{command}.1" for command in all_commands())}


def test_docker_host_is_not_looked_at(started, shared_dockerd):
    """A DOCKER_HOST that leads to an engine leads pluginctl nowhere; an engine's socket is told from brokerd's."""
    engine = f"unix://{shared_dockerd.socket}"
    names = started.pluginctl("version", "--format", "{{.Server.Version}}", environment={"DOCKER_HOST": engine})
    assert names.returncode == 0 and names.stdout == started.pluginctl("version", "--format", "{{.Server.Version}}").stdout
    lost = subprocess.run([PLUGINCTL, "ls"], capture_output=True, text=True, env={**os.environ, "DOCKER_HOST": engine, "BROKERD_HOST": ""})
    assert lost.returncode == 125 and "/run/brokerd/control.sock" in lost.stderr and "systemctl status brokerd" in lost.stderr
    for command in (["ls"], ["doctor"], ["stats"], ["events"]):
        wrong = run(PLUGINCTL, "-H", engine, *command)
        assert wrong.returncode == 1 and "a Docker engine answers there" in wrong.stderr, wrong
        assert len(wrong.stderr.splitlines()) == 1
    missing = run(PLUGINCTL, "-H", engine, "inspect", "nobody")
    assert missing.returncode == 1 and "nobody" in missing.stderr


def test_hosts_that_are_refused(directory):
    tcp = run(PLUGINCTL, "-H", "tcp://127.0.0.1:2375", "ls")
    assert tcp.returncode == 2 and "ssh://[USER@]HOST" in tcp.stderr and "root" in tcp.stderr
    (directory / "file").write_text("")
    assert run(PLUGINCTL, "-H", directory / "file", "ls").returncode == 125

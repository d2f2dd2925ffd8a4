"""Completion in real shells: bash, zsh and fish on a terminal, with the scripts that pluginctl prints and a running brokerd."""

import os
import subprocess

import pytest
from harness.brokerd import PLUGINCTL
from harness.terminal import Terminal

TAB, SHOW, CLEAR = "\t", "\x14", "\x15"  # Ctrl-T writes the line to a file, Ctrl-U empties it

BASH = """\
set -o emacs
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
source <("$PLUGINCTL" completion bash)
show() { printf '%s' "$READLINE_LINE" >"$PLACE/new"; mv "$PLACE/new" "$PLACE/line"; }
bind -x '"\\C-t": show'
PS1='ready> '
"""
ZSH = """\
autoload -Uz compinit && compinit -u -d "$PLACE/dump"
setopt no_beep
bindkey -e
source <("$PLUGINCTL" completion zsh)
show() { printf '%s' "$BUFFER" >"$PLACE/new"; mv "$PLACE/new" "$PLACE/line"; }
zle -N show
bindkey '^T' show
PS1='ready> '
"""
FISH = """\
"$PLUGINCTL" completion fish | source
function show; printf '%s' (commandline) >"$PLACE/new"; mv "$PLACE/new" "$PLACE/line"; end
bind \\ct show
bind \\cu kill-whole-line
function fish_prompt; echo 'ready> '; end
function fish_greeting; end
"""


class Shell:
    """A shell with the script loaded, typed at."""

    def __init__(self, name, directory, control):
        self.name, self.place = name, directory / name
        programs = self.place / "bin"
        programs.mkdir(parents=True)
        (programs / "pluginctl").symlink_to(PLUGINCTL)
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "TERM": "vt100", "HOME": str(self.place), "LANG": "C.UTF-8",
                       "PLACE": str(self.place), "PLUGINCTL": str(PLUGINCTL), "BROKERD_HOST": f"unix://{control}", "ZDOTDIR": str(self.place)}
        # fish would else make completions of all manual pages that there are, in the background, beyond the test's end.
        environment["FISH_UNIT_TESTS_RUNNING"] = "1"
        start = self.place / {"bash": "rc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}[name]
        start.parent.mkdir(parents=True, exist_ok=True)
        start.write_text({"bash": BASH, "zsh": ZSH, "fish": FISH}[name])
        command = {"bash": ["bash", "--noprofile", "--rcfile", start, "-i"], "zsh": ["zsh", "-o", "no_global_rcs", "-i"], "fish": ["fish", "-i"]}[name]
        self.terminal = Terminal(command, environment)
        self.terminal.wait_for(lambda: "ready> " in self.terminal.screen(), f"prompt of {name}")

    def completed(self, text):
        """What the line says after `text` and a tab."""
        shown = self.place / "line"
        shown.unlink(missing_ok=True)
        self.terminal.type(text + TAB)
        self.terminal.type(SHOW)
        self.terminal.wait_for(shown.exists, f"line of {self.name} for {text!r}")
        line = shown.read_text().rstrip("\n")
        self.terminal.type(CLEAR)
        return line

    def close(self):
        self.terminal.close()


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, busy, directory, closing):
    broker, plugin = busy
    for name in ("vieux/sshfs", "vieux/sshfs:v2", "acme/net"):
        broker.define(name, plugin.url)
        broker.wait_state(name, "active")
    return closing.add(Shell(request.param, directory, broker.control))


CASES = [
    ("pluginctl insp", "pluginctl inspect "),
    ("pluginctl dial", "pluginctl dial-stdio "),
    ("pluginctl --vers", "pluginctl --version "),
    ("pluginctl ls --no-t", "pluginctl ls --no-trunc "),
    ("pluginctl list --qui", "pluginctl list --quiet "),
    ("pluginctl completion fi", "pluginctl completion fish "),
    ("pluginctl inspect --format js", "pluginctl inspect --format json "),
    ("pluginctl ls --format=js", "pluginctl ls --format=json "),
    ("pluginctl wait mobyfs --for dis", "pluginctl wait mobyfs --for disabled "),
    ("pluginctl wait mobyfs --for=hea", "pluginctl wait mobyfs --for=healthy "),
    ("pluginctl ls --filter cap", "pluginctl ls --filter capability="),
    ("pluginctl ls --filter kind=m", "pluginctl ls --filter kind=managed "),
    ("pluginctl ls --filter=kind=m", "pluginctl ls --filter=kind=managed "),
    ("pluginctl inspect mob", "pluginctl inspect mobyfs "),
    ("pluginctl rm -f mobyfs acm", "pluginctl rm -f mobyfs acme/net "),
    ("pluginctl enable acme/n", "pluginctl enable acme/net "),
    ("pluginctl inspect vieux/sshfs:", "pluginctl inspect vieux/sshfs:v2 "),
    ("pluginctl enable mobyfs acm", "pluginctl enable mobyfs acm"),  # it takes one name
    ("pluginctl -H ss", "pluginctl -H ssh://"),
]


def test_words(shell):
    for text, line in CASES:
        assert shell.completed(text) == line, (shell.name, text)
    (shell.place / "archive-of-mine.tar").write_text("")
    assert shell.completed(f"pluginctl load {shell.place}/archive-of") == f"pluginctl load {shell.place}/archive-of-mine.tar "


def test_names_as_they_come_and_go(shell, busy):
    """New plugins are known at once. Names that a shell would run, expand or cut are not offered, and do nothing."""
    broker, plugin = busy
    assert shell.completed("pluginctl inspect fre") == "pluginctl inspect fre"
    broker.define("fresh", plugin.url)
    broker.wait_state("fresh", "active")
    assert shell.completed("pluginctl inspect fre") == "pluginctl inspect fresh "

    hostile = ["evil$(touch pwned)", "evil`touch pwned`", "evil;touch pwned", "evil|touch pwned", "evil>pwned", "evil (touch pwned)",
               "evil'", 'evil"', "evil*", "evil~", "evil\\", "evil!!", "evil#", "evil&touch pwned&"]
    for name in hostile:
        broker.define(name, plugin.url)
    broker.define("evilest", plugin.url)
    broker.wait_state("evilest", "active")
    assert any("evil" in name and name != "evilest" for name in broker.plugins()), "no hostile name got this far"
    assert shell.completed("pluginctl inspect evil") == "pluginctl inspect evilest "
    assert not (shell.place / "pwned").exists() and not os.path.exists("pwned")

    broker.stop()
    assert shell.completed("pluginctl inspect mob") == "pluginctl inspect mob"
    assert shell.completed("pluginctl insp") == "pluginctl inspect "
    assert "cannot reach" not in shell.terminal.screen()


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_scripts_are_valid(name):
    script = subprocess.run([PLUGINCTL, "completion", name], capture_output=True, text=True, check=True).stdout
    checked = subprocess.run([name, "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stderr == "", checked

"""--format beside docker's: the same templates, through docker and through pluginctl, about the same plugin of brokerd."""

import os
import subprocess

import pytest
from harness.brokerd import PLUGINCTL
from harness.running import enable_sample

LIST = [
    "{{.Name}}", "{{.ID}}", "{{.ID}} {{.Name}}\t{{.Enabled}}", "{{.Description}}", "{{.PluginReference}}", "{{.Enabled}}",
    "{{upper .Name}}", "{{lower .Name}}", "{{title .Name}}", "{{.Name | upper}}", "{{json .Name}}", "{{json .Enabled}}",
    '{{join (split .Name ":") "-"}}', "<{{pad .Name 1 2}}>", "{{truncate .Name 4}}", "{{println .Name}}", "{{len .Name}}",
    "{{if .Enabled}}on{{else}}off{{end}}", '{{if eq .Name "acme/one:latest"}}first{{else if .Enabled}}other{{else}}off{{end}}',
    '{{printf "%-30s|%q|%v" .Name .Description .Enabled}}', "{{- .Name -}}", "{{/* nothing */}}{{.Name}}", "{{$n := .Name}}{{$n}}",
    "{{range split .Name \"/\"}}<{{.}}>{{end}}", "{{with .Name}}{{.}}{{end}}", "{{not .Enabled}}", '{{index (split .Name "/") 0}}',
    "{{print .Name .Enabled}}", '{{or .PluginReference "none"}}', "{{and .Enabled .Name}}", "{{.Name}}\\t{{.ID}}\\n",
    '{{slice .Name}}{{.Nmae}}', "{{.Name", "{{end}}", "{{nothing .Name}}", "{{if .Name}}",
    '{{range split .Name "/"}}{{else if .Name}}{{end}}']

INSPECT = [
    "{{.Name}}", "{{.Id}}", "{{.ID}}", "{{.Enabled}}", "{{.PluginReference}}", "{{.Settings.Env}}", "{{.Settings.Args}}",
    "{{json .Settings.Env}}", "{{range .Settings.Env}}{{println .}}{{end}}", "{{range $i, $e := .Settings.Env}}{{$i}}={{$e}} {{end}}",
    "{{.Config.Interface.Types}}", "{{.Config.Interface.Socket}}", "{{index .Config.Interface.Types 0}}", "{{len .Settings.Env}}",
    "{{.Config.Entrypoint}}", "{{.Config.Network.Type}}", "{{json .Config.Network}}", '{{join .Settings.Env ";"}}',
    "{{if .Config.PidHost}}host{{else}}own{{end}}", "{{range .Config.Env}}{{.Name}}={{.Value}},{{end}}", "{{.Config.PropagatedMount}}",
    "{{range .Config.Mounts}}{{.Destination}}{{else}}none{{end}}", "{{with .Config.Linux}}{{.Capabilities}}{{end}}",
    "{{(index .Config.Env 0).Name}}", '{{range .Settings.Env}}{{index (split . "=") 0}} {{end}}', "{{.Name",
    '{{join .Settings.Env "\\n"}}', '{{"a\\tb"}}{{printf "%s\\t%v\\n" .Name .Enabled}}', '{{print .Name "\\n"}}{{json .Settings}}']
# Where the two differ: a member of Config or Settings that does not exist is an error of docker's, which knows all of them, and
# nothing of pluginctl's; objects are JSON instead of Go's braces; in `ls` docker takes no \n or \t within quotes.


@pytest.fixture
def plugins(engine_broker):
    """brokerd with an enabled and a disabled plugin, and one that a file defines, which docker does not list."""
    broker = engine_broker(extra=["--live-restore=false"])
    broker.start()
    enable_sample(broker, "acme/one", config={"description": "A plugin that stores what it is given, and gives it back later"})
    enable_sample(broker, "acme/two:v2")
    assert broker.pluginctl("disable", "acme/two:v2").returncode == 0
    broker.define("legacy", "tcp://127.0.0.1:1")
    yield broker
    for name in ("acme/one", "acme/two:v2"):
        broker.pluginctl("rm", "-f", name)


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, env={**os.environ, "DOCKER_HOST": ""})


def difference(program, broker, template, docker_arguments, our_arguments):
    """What differs, or nothing. Of an error only that it is one counts."""
    theirs = run(program, "-H", f"unix://{broker.control}", "plugin", *docker_arguments, "--format", template)
    ours = run(PLUGINCTL, "-H", f"unix://{broker.control}", *our_arguments, "--format", template)
    if theirs.returncode != 0 and ours.returncode != 0:
        return None
    return None if (theirs.returncode, theirs.stdout) == (ours.returncode, ours.stdout) else (template, theirs, ours)


def test_templates_of_ls(plugins, docker_program):
    managed = ["ls", "--filter", "kind=managed"]
    found = [difference(docker_program, plugins, template, ["ls", *flags], [*managed, *flags]) for template in LIST for flags in ([], ["--no-trunc"])]
    assert not list(filter(None, found))


def test_templates_of_inspect(plugins, docker_program):
    found = [difference(docker_program, plugins, template, ["inspect", "acme/one"], ["inspect", "acme/one"]) for template in INSPECT]
    assert not list(filter(None, found))

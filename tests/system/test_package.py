"""What goes into the package, as the build installs it: everything in its place, pages that render, and no setting forgotten. Needs
no package to be made; test_package_life.py makes one."""

import json
import re
import shutil
import subprocess
import tempfile

import pytest
from harness.brokerd import BROKERD, Brokerd
from inside import ROOT

PACKAGING = ROOT / "packaging"
PAGES = ("brokerd.8", "brokerd.conf.5", "brokerd-plugins.5")
UNIT = ROOT / "systemd/brokerd.service.in"
EXAMPLES = {"insecure-registry", "registry-mirror"}  # have no default; the file shows what one looks like
BY_MACHINE = {"proxy-threads"}                       # the default depends on where brokerd runs
NO_SETTINGS = {"help", "version", "config", "check-config"}


def run(*command, **options):
    return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)


def one_line(text):
    return " ".join(text.split())


@pytest.fixture(scope="module", name="help_of")
def options_of_help():
    """What brokerd itself says: option -> (defaults, explanation)."""
    text = run(BROKERD, "--help").stdout
    options = {}
    for name, kind, explanation in re.findall(r"(?m)^  (?:-\w,)?--([a-z-]+)(\S*(?: \S+)*?)(?:  +|\n +)(\S.*(?:\n {10,}\S.*)*)", text):
        default = kind.rpartition("=")[2].removesuffix(" ...") if "=" in kind else ""
        options[name] = (default.strip("[]").split(",") if default else [], one_line(explanation))
    assert {"config", "spec-dir", "log-level"} <= set(options), text
    return options


@pytest.fixture(scope="module", name="settings")
def settings_of_file():
    """What brokerd.conf shows, commented out: setting -> values."""
    values = {}
    for line in (PACKAGING / "brokerd.conf").read_text().splitlines():
        if found := re.fullmatch(r"#([a-z-]+) = (.+)", line):
            values.setdefault(found[1], []).append(found[2])
        else:
            assert not line or line == "#" or line.startswith("# "), line
    return values


def test_the_file_names_every_setting_with_its_default(help_of, settings):
    assert set(settings) == set(help_of) - NO_SETTINGS
    for name in set(settings) - EXAMPLES - BY_MACHINE:
        assert settings[name] == (help_of[name][0] or ["false"]), name
    for name in EXAMPLES:
        assert help_of[name][0] == []


def test_the_file_explains_every_setting(settings):
    text = (PACKAGING / "brokerd.conf").read_text()
    for name in settings:
        assert re.search(rf"(?m)^# .*\n#{name} = ", text), name


def test_brokerd_accepts_every_line_of_the_file():
    """All at once, without the "#"; directories come from the command line, which wins."""
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as place:  # short: the path of a socket is
        broker = Brokerd(place)
        lines = (PACKAGING / "brokerd.conf").read_text()
        (broker.directory / "brokerd.conf").write_text(re.sub(r"(?m)^#([a-z-]+ = )", r"\1", lines))
        broker.start()
        try:
            assert broker.pluginctl("ls").returncode == 0
        finally:
            broker.stop()


def items(page):
    """The items of a page: term -> explanation."""
    return dict(re.findall(r"(?m)^- `([^`]+)`: (.+)$", (PACKAGING / "man" / f"{page}.md").read_text()))


def test_the_manual_page_has_the_options_of_the_help_text(help_of):
    options = {term[2:].split()[0]: text for term, text in items("brokerd.8").items() if term.startswith("--")}
    assert options == {name: text for name, (_defaults, text) in help_of.items()}


def test_the_page_of_the_file_has_every_setting_with_its_default(help_of):
    shown = {}
    for term in items("brokerd.conf.5"):
        if found := re.fullmatch(r"([a-z-]+)(?: = (.+))?", term):
            shown[found[1]] = found[2].split(", ") if found[2] else []
    assert set(shown) == set(help_of) - NO_SETTINGS
    for name in set(help_of) - NO_SETTINGS - BY_MACHINE:
        assert shown[name] == (help_of[name][0] or ([] if name in EXAMPLES else ["false"])), name


def test_everything_is_where_debian_has_it(installed):
    pages = {path.stem for path in (installed / "share/man/man1").iterdir()}
    commands = run(installed / "bin/pluginctl", "__complete", "").stdout.split("\n")
    commands = {line.split("\t")[0] for line in commands if line and not line.startswith("-")}
    assert {"ls", "install", "disable"} <= commands
    assert pages == {"pluginctl", *(f"pluginctl-{command}" for command in commands)}
    for path in ("sbin/brokerd", "bin/pluginctl", "libexec/brokerd/brokerd-shim", "lib/systemd/system/brokerd.service",
                 "lib/systemd/system/brokerd.socket", "lib/systemd/system/brokerd.slice", "lib/sysusers.d/brokerd.conf",
                 "lib/tmpfiles.d/brokerd.conf", "lib/systemd/catalog/brokerd.catalog", *(f"share/man/man{page[-1]}/{page}" for page in PAGES),
                 "share/bash-completion/completions/pluginctl", "share/zsh/vendor-completions/_pluginctl",
                 "share/fish/vendor_completions.d/pluginctl.fish"):
        assert (installed / path).stat().st_size > 0, path
    known = {"bin", "sbin", "lib", "libexec", "share"}
    assert {path.name for path in installed.iterdir()} == known and list(installed.parent.iterdir()) == [installed]


@pytest.mark.parametrize("page", PAGES)
def test_manual_pages_render_without_a_warning(installed, page):
    path = installed / f"share/man/man{page[-1]}/{page}"
    for command in (("man", "--warnings", "-l", path), ("groff", "-man", "-Tutf8", "-ww", "-z", path)):
        assert shutil.which(command[0])
        done = run(*command)
        assert (done.returncode, done.stderr) == (0, ""), command
    assert f"brokerd {run(BROKERD, '--version').stdout.split()[-1]}" in path.read_text()


def test_pages_that_pages_name_exist(installed):
    ours = {path.name for path in installed.glob("share/man/man?/*")}
    for page in PAGES:
        for name, section in re.findall(r"`([a-z.-]+)`\((\d)\)", (PACKAGING / "man" / f"{page}.md").read_text()):
            assert f"{name}.{section}" in ours or name.startswith(("systemd", "sd_", "journalctl")), (page, name)


@pytest.mark.parametrize("shell, path", [("bash", "bash-completion/completions/pluginctl"), ("zsh", "zsh/vendor-completions/_pluginctl"),
                                         ("fish", "fish/vendor_completions.d/pluginctl.fish")])
def test_completions_are_read_by_their_shells(installed, shell, path):
    assert shutil.which(shell)
    done = run(shell, "-n", installed / "share" / path)
    assert (done.returncode, done.stderr) == (0, "")
    if shell == "zsh":
        assert (installed / "share" / path).read_text().startswith("#compdef pluginctl\n")


def test_the_package_is_built_with_what_the_build_needs():
    """debhelper's list and that of packaging/lib/dependencies.sh are one."""
    control = (PACKAGING / "debian/control").read_text()
    needed = re.search(r"Build-Depends:\n((?: .+\n)+)", control)[1].split(",\n")
    needed = {line.split()[0] for line in needed if line.strip()}
    ours = run("bash", "-c", f'root={ROOT}; . "$root/packaging/lib/dependencies.sh"; echo "${{packages_build[@]}}"').stdout.split()
    assert needed - {"debhelper-compat", "dh-sequence-installsysusers"} == set(ours) - {"g++"}  # which Debian takes for granted


@pytest.mark.parametrize("script", ["brokerd.postinst", "brokerd.prerm", "brokerd.postrm"])
def test_maintainer_scripts_are_of_the_plain_shell(script):
    assert run("dash", "-n", PACKAGING / "debian" / script).stderr == ""


def test_each_exposed_point_of_the_unit_has_its_reason(tmp_path):
    """packaging/docs/hardening.md against what systemd says of the unit."""
    unit = tmp_path / "brokerd.service"
    unit.write_text(UNIT.read_text().replace("@BROKERD_PROGRAM@", "/bin/true"))
    text = (PACKAGING / "docs/hardening.md").read_text()
    table = text.partition("## What it does not have")[2]
    explained = {name for row in re.findall(r"(?m)^\| (`[^|]*`) \|", table) for name in re.findall(r"`(\w+)`", row)}
    points = json.loads(run("systemd-analyze", "security", "--offline=yes", "--json=short", unit).stdout)
    assert {point["json_field"].rstrip(")") for point in points if point["set"] is False} == explained
    figure = re.search(r"exposure level for \S+: ([\d.]+)", run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit).stdout)
    assert float(figure[1]) <= float(re.search(r"says \*\*([\d.]+)\*\*", text)[1])


def test_the_figures_of_what_could_be_given_up(tmp_path):
    """The steps in packaging/docs/hardening.md, each with those before it."""
    steps = re.findall(r"(?ms)^\d\. \*\*([\d.]+)\*\*:.*?```ini\n(.*?)```", (PACKAGING / "docs/hardening.md").read_text())
    assert len(steps) == 3
    text = UNIT.read_text().replace("@BROKERD_PROGRAM@", "/bin/true")
    for figure, settings in steps:
        text += f"\n[Service]\n{settings}"
        unit = tmp_path / "brokerd.service"
        unit.write_text(text)
        said = run("systemd-analyze", "security", "--offline=yes", "--no-pager", unit).stdout
        assert re.search(r"exposure level for \S+: ([\d.]+)", said)[1] == figure, settings

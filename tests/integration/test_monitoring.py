"""packaging/prometheus and packaging/grafana: they speak of what a running brokerd exports, and Prometheus takes them."""

import itertools
import json
import pathlib
import re
import shlex
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml
from harness import prometheus, promql, unpacked
from harness.build import REPOSITORY
from harness.plugins import free_port
from harness.process import Process
from harness.running import enable_sample
from harness.waiting import wait_until

PROMETHEUS = REPOSITORY / "packaging" / "prometheus"
RULES = PROMETHEUS / "brokerd.rules.yml"
DASHBOARD = json.loads((REPOSITORY / "packaging" / "grafana" / "brokerd.json").read_text(encoding="utf-8"))
CONTROL = pathlib.Path("/run/brokerd/control.sock")
SCRAPED = {"job", "instance"}  # labels that Prometheus adds
ITS_OWN = {"up": SCRAPED}  # metrics that Prometheus makes


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def queries():
    """{panel and query: expression} of the dashboard, with its variables as Grafana fills them in."""
    filled = {}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$plugin", ".*")
            where = f"{panel['title']} {target['refId']}"
            assert "$" not in expression and where not in filled, where
            filled[where] = expression
    return filled


def commands(unit):
    """The commands that a unit starts, as systemd reads them; for the few things that these units use."""
    text = re.sub(r"\\\n\s*", "", (PROMETHEUS / unit).read_text(encoding="utf-8"))
    return [shlex.split(line.partition("=")[2].replace("$$", "$")) for line in text.splitlines() if line.startswith("ExecStart=")]


@pytest.fixture
def usual_place(engine_broker, engine_directories):
    """Makes a broker whose control socket is where it usually is."""
    def make(**options):
        broker = engine_broker(**options)
        broker.control = CONTROL
        return broker
    return make


@pytest.fixture
def watched(usual_place, mobyfs):
    """A broker with plugins that were called, are down, and invalid."""
    broker = usual_place(timeout=1, extra=["--live-restore=false"])
    broker.define("mobyfs", mobyfs().url)
    broker.define("absent", f"tcp://127.0.0.1:{free_port()}")
    broker.write("invalid.spec", "nonsense")
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.wait_state("absent", "failed")
    enable_sample(broker, "acme/sample")
    call_some(broker)
    return broker


def call_some(broker):
    for number in range(3):
        assert broker.call("mobyfs", "VolumeDriver.Create", {"Name": f"volume{number}"}).status == 200
        assert broker.call("mobyfs", "VolumeDriver.Get", {"Name": "nothing"}).status == 500


@pytest.fixture
def scraped(closing, directory):
    """Starts the socket for scrapes, as systemd would; returns its address."""
    def start():
        address = f"127.0.0.1:{free_port()}"
        command, = commands("brokerd-metrics@.service")
        closing.add(Stopping(Process(["systemd-socket-activate", "--accept", "--inetd", "--listen", address, *command], directory / "socket.log")))
        wait_until(lambda: "Listening on" in (directory / "socket.log").read_text(encoding="utf-8"), "listening socket")
        return address
    return start


class Stopping:
    """A Process that ends with its test, whatever status it then has."""

    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.stop()


def get(address, path):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://{address}{path}", timeout=20) as reply:
        return reply.read().decode()


def write_textfile(directory):
    """What brokerd-textfile.service does, with its files in `directory`; returns the file that node_exporter reads."""
    for command in commands("brokerd-textfile.service"):
        for place in ("/var/lib/prometheus/node-exporter", "/run/brokerd-textfile"):
            command = [part.replace(place, str(directory)) for part in command]
        subprocess.run(command, check=True, timeout=20)
    return directory / "brokerd.prom"


def labels_of(page):
    """{name of a series: its labels}."""
    families, names = prometheus.parse(page), {}
    for family, samples in families.items():
        names.setdefault(family, set())
        for key in samples:
            labels = dict(key)
            names.setdefault(family + labels.pop(""), set()).update(labels)
    return names


def test_rules_and_dashboard_speak_of_what_is_exported(watched, directory):
    page = watched.get("/broker/v1/metrics", timeout=30).body.decode()
    known = {name: labels | SCRAPED for name, labels in
             itertools.chain(labels_of(page).items(), labels_of(write_textfile(directory).read_text()).items(), ITS_OWN.items())}
    for rule in rules():
        if "record" in rule:
            used, grouped = promql.metrics_and_labels(rule["expr"])
            assert set(used) <= set(known), rule["record"]
            known[rule["record"]] = grouped or set.union(*(known[name] for name in used))
    speaking = {rule.get("alert", rule.get("record")): rule["expr"] for rule in rules()} | queries()
    for where, expression in speaking.items():
        used, grouped = promql.metrics_and_labels(expression)
        assert used, where
        for name, labels in used.items():
            assert name in known, f"{where}: brokerd exports no {name}"
            assert labels <= known[name], f"{where}: {name} has no label {labels - known[name]}"
        assert grouped <= set.union(*(known[name] for name in used)), where
    for rule in rules():
        if "alert" in rule:
            used, grouped = promql.metrics_and_labels(rule["expr"])
            shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
            assert shown <= (grouped | set.union(*(known[name] for name in used))), rule["alert"]


def test_the_dashboard_is_one_that_grafana_takes():
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = set(itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])))
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["title"] and panel["description"] and panel["targets"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"]))) - {"__rate_interval"} == variables == {"datasource", "instance", "plugin"}


def test_a_scrape_gets_the_metrics_and_nothing_else(usual_place, scraped):
    broker, address = usual_place().start(), scraped()
    assert labels_of(get(address, "/metrics")) == labels_of(broker.get("/broker/v1/metrics").body.decode())
    assert get(address, "/broker/v1/plugins").startswith("# HELP ")  # whatever is asked
    broker.stop()
    with pytest.raises((urllib.error.URLError, ConnectionError)):  # nothing is answered, so the scrape fails
        get(address, "/metrics")


def test_who_connects_and_says_nothing_is_not_waited_for(scraped):
    host, port = scraped().split(":")
    with socket.create_connection((host, int(port)), timeout=20) as silent:
        assert silent.recv(1) == b""


def test_units_are_right():
    names = [str(PROMETHEUS / name) for name in ("brokerd-metrics.socket", "brokerd-metrics@.service", "brokerd-textfile.service", "brokerd-textfile.timer")]
    seen = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, timeout=60)
    ours = [line for line in seen.stderr.splitlines() if "brokerd-" in line]
    assert (seen.returncode, ours) == (0, []), seen.stderr


@pytest.mark.long
def test_promtool_takes_rules_and_queries(directory):
    promtool = unpacked.program("prometheus", "promtool")
    asked = directory / "queries.yml"
    asked.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [
        {"record": f"query:number_{number}:value", "expr": expression} for number, expression in enumerate(queries().values())]}]}))
    for arguments in (["check", "rules", RULES], ["test", "rules", PROMETHEUS / "brokerd.rules.test.yml"],
                      ["check", "config", PROMETHEUS / "prometheus.yml"], ["check", "rules", asked]):
        seen = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60)
        assert seen.returncode == 0, seen.stdout + seen.stderr


def test_every_alert_is_tested_and_explained():
    tests = yaml.safe_load((PROMETHEUS / "brokerd.rules.test.yml").read_text(encoding="utf-8"))["tests"]
    shown = {case["alertname"] for test in tests for case in test.get("alert_rule_test", []) if case.get("exp_alerts")}
    explained = re.findall(r"(?m)^\| `(\w+)` \|", (REPOSITORY / "packaging" / "docs" / "monitoring.md").read_text(encoding="utf-8"))
    assert shown == set(explained) == {rule["alert"] for rule in rules() if "alert" in rule}


@pytest.mark.long
def test_a_real_prometheus_has_an_answer_to_each_query(watched, scraped, directory, closing):
    exporter, server = unpacked.program("prometheus-node-exporter", "prometheus-node-exporter"), unpacked.program("prometheus", "prometheus")
    metrics_socket, node, listening = scraped(), f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    write_textfile(directory)
    closing.add(Stopping(Process([exporter, f"--web.listen-address={node}", "--collector.disable-defaults", "--collector.textfile",
                                  f"--collector.textfile.directory={directory}"], directory / "exporter.log")))
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES)]
    for job, address in zip(config["scrape_configs"], (metrics_socket, node), strict=True):
        job["static_configs"] = [{"targets": [address]}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    closing.add(Stopping(Process([server, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
                                  f"--web.listen-address={listening}"], directory / "prometheus.log")))

    def ask(expression):
        try:
            return json.loads(get(listening, "/api/v1/query?" + urllib.parse.urlencode({"query": expression})))["data"]["result"]
        except urllib.error.URLError:
            return []  # it starts

    wait_until(lambda: len(ask("up == 1")) == 2, lambda: f"two targets that are up: {ask('up')}", 60)
    quiet = {"Restarts A", "In flight by method A"}  # no plugin ends, and no call lasts

    def unanswered():
        call_some(watched)
        return [where for where, expression in queries().items() if where not in quiet and not ask(expression)]

    wait_until(lambda: not unanswered(), lambda: f"an answer to {unanswered()}", 60, pause=1)
    wait_until(lambda: {sample["metric"]["plugin"] for sample in ask('ALERTS{alertname="BrokerdPluginDown"}')} == {"absent"}, "the alert that absent is down", 30, pause=1)
    assert {sample["metric"]["plugin"] for sample in ask('ALERTS{alertname="BrokerdPluginInvalid"}')} == {"invalid"}

    # Why brokerd-textfile.service renames: of two families with one name, node_exporter drops ours.
    assert ask('brokerd_process_open_fds{job="node"}')
    page = watched.get("/broker/v1/metrics").body.decode()
    (directory / "brokerd.prom").write_text(re.sub(r"(?m)^process_open_fds .*", "process_open_fds 12345", page))
    assert "process_open_fds 12345" not in get(node, "/metrics")
    assert "error gathering metrics" in (directory / "exporter.log").read_text(encoding="utf-8")

"""The tests' fixtures. Run with: python3 -m pytest tests/integration (as root; BROKERD_BUILD names the build directory)."""

import contextlib
import itertools
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

from harness import docker_commands, engines, isolation, plugins, sanitizers  # noqa: E402
from harness.brokerd import BROKERD, Brokerd  # noqa: E402
from harness.build import SANITIZERS  # noqa: E402
from harness.registry import Registry  # noqa: E402

DESCRIPTORS = 8192


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than ten seconds")
    config.addinivalue_line("markers", "long: takes half a minute and more, or needs what is fetched first; runs with packaging/test --long")
    if os.geteuid() != 0:
        raise pytest.UsageError("the integration tests need root: they run engines in namespaces of their own")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell; what the tests start would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # With pytest -n this process runs no tests. Those that do leave the host's namespaces, and not namespaces of ours.
    distributes = getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput")
    if not config.option.collectonly and not distributes:
        isolation.enter()


def _group(nodeid):
    """Of a test: its file, or the files that are summed up together."""
    return re.sub(r"/test_openapi\w*", "/test_openapi", nodeid.partition("::")[0])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """BROKERD_TEST_ORDER=NUMBER: another order of files, and of the tests in each, than the usual one; the same for the same number.
    Only what is summed up keeps its order."""
    if "BROKERD_TEST_ORDER" not in os.environ:
        return
    order = random.Random(os.environ["BROKERD_TEST_ORDER"])
    groups = {}
    for item in items:
        groups.setdefault(_group(item.nodeid), []).append(item)
    for name, members in groups.items():
        if "test_openapi" not in name:
            order.shuffle(members)
    shuffled = list(groups.values())
    order.shuffle(shuffled)
    items[:] = itertools.chain.from_iterable(shuffled)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where several run side by side (pytest -n), a group of tests stays with one of them."""
    from xdist.scheduler.loadfile import LoadFileScheduling  # only there is it where -n is

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid)
    return Scheduling(config, log)


def pytest_unconfigure():
    isolation.leave()


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for broker in item.funcargs.get("_brokers", []):
            if broker.process is not None:
                report.sections.append(("brokerd", broker.process.output()[-8000:]))


@pytest.fixture(scope="session")
def reports():
    """What sanitizers report, where the build has them."""
    return sanitizers.Reports() if SANITIZERS else None


@pytest.fixture(autouse=True)
def _no_reports(reports):
    """In a build with sanitizers, what they report fails the test. First of all fixtures, and so it sees what happens at their ends."""
    yield
    if reports is not None:
        fresh = reports.fresh()
        assert not fresh, "\n".join(fresh)


@contextlib.contextmanager
def private_directory():
    path = tempfile.mkdtemp(prefix="b.", dir="/tmp")
    os.chmod(path, 0o755)
    try:
        yield pathlib.Path(path)
    finally:
        isolation.unmount_below(path)
        shutil.rmtree(path)


@pytest.fixture
def directory():
    """A private directory with a short path, for a Unix socket's path holds 107 bytes."""
    with private_directory() as path:
        yield path


@pytest.fixture
def engine_directories():
    """Docker's own plugin directories, emptied, and brokerd's runtime root beside them."""
    paths = [pathlib.Path(path) for path in (isolation.ENGINE_SOCKETS, isolation.ENGINE_SPECS, isolation.RUNTIME)]
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    yield
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def many_descriptors():
    """For a test with a thousand connections and more. Afterwards the limit is as before, for the tests that come next."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Closing:
    """Closes what a test started, in reverse order, and reports the first error only after all are closed."""

    def __init__(self):
        self.things = []

    def add(self, thing):
        self.things.append(thing)
        return thing

    def close(self):
        errors = []
        for thing in reversed(self.things):
            try:
                thing.close()
            except Exception as error:  # the others must be closed all the same
                errors.append(error)
        if errors:
            raise errors[0]


@pytest.fixture
def closing(directory):
    things = Closing()
    yield things
    things.close()


@pytest.fixture
def _brokers():
    return []


@pytest.fixture
def broker(directory, closing, _brokers):
    """Makes a Brokerd on private directories, not started yet."""
    def make(**options):
        assert BROKERD.exists(), f"{BROKERD} does not exist; build it, or set BROKERD_BUILD"
        made = closing.add(Brokerd(directory, **options))
        _brokers.append(made)
        return made
    return make


@pytest.fixture
def started(broker):
    """A broker of its own, running."""
    return broker().start()


@pytest.fixture
def registry(directory, closing):
    """An empty docker-registry."""
    return closing.add(Registry(directory))


@pytest.fixture
def bare_dockerd(directory, closing):
    """A dockerd without images, where only its plugins matter."""
    return closing.add(engines.Dockerd(directory, None))


@pytest.fixture(scope="module")
def _dockerd_of_module():
    with private_directory() as path, contextlib.closing(engines.Dockerd(path, None)) as engine:
        yield engine


@pytest.fixture
def shared_dockerd(_dockerd_of_module):
    """The same dockerd for all tests of a module, without plugins when one begins."""
    yield _dockerd_of_module
    _dockerd_of_module.remove_plugins()


@pytest.fixture
def engine_broker(broker, engine_directories):
    """Makes a Brokerd that publishes where Docker looks. Its definitions are where Docker does not look, so that an
    engine has no other way to the plugins."""
    return lambda **options: broker(engine_sockets=isolation.ENGINE_SOCKETS, runtime=isolation.RUNTIME, **options)


@pytest.fixture
def mobyfs(directory, closing):
    """Starts a mobyfs; see harness.plugins.Mobyfs."""
    return lambda *arguments, **switches: closing.add(plugins.Mobyfs(directory, *arguments, **switches))


@pytest.fixture
def busy(broker, mobyfs):
    """A broker with an active, a failed and an invalid plugin, and the active one."""
    plugin = mobyfs(implements="VolumeDriver,authz")
    broker = broker(timeout=1, extra=["--live-restore=false"])  # what a failing test has enabled ends with it
    broker.define("mobyfs", plugin.url)
    broker.define("absent", f"tcp://127.0.0.1:{plugins.free_port()}")
    broker.write("invalid.spec", "nonsense")
    broker.start()
    broker.wait_state("mobyfs", "active")
    broker.wait_state("absent", "failed")
    return broker, plugin


@pytest.fixture
def rclone(directory, closing):
    return lambda **options: closing.add(plugins.Rclone(directory, **options))


@pytest.fixture(scope="session")
def image():
    """A tar of a root file system with busybox."""
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as path:
        yield engines.make_image(pathlib.Path(path) / "tiny.tar")


@pytest.fixture
def dockerd(directory, closing, image, engine_directories):
    """Starts a Docker engine with these additional flags."""
    return lambda *flags: closing.add(engines.Dockerd(directory, image, *flags))


@pytest.fixture(params=docker_commands.NAMES)
def docker_program(request):
    """The docker command line of Debian 12, and in a long run today's."""
    return docker_commands.program(request.param)


@pytest.fixture
def docker(docker_program, directory):
    """Makes a docker command that speaks to this socket."""
    return lambda path: docker_commands.Docker(docker_program, path, directory / "client")


@pytest.fixture
def podman(directory, closing, image):
    return lambda plugins_by_name: closing.add(engines.Podman(directory, image, plugins_by_name))


@pytest.fixture(scope="session")
def certificates():
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as path:
        yield plugins.make_certificates(path)

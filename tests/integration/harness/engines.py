"""dockerd and podman on private directories, and an image for them that no registry has."""

import io
import os
import pathlib
import signal
import subprocess
import tarfile

from . import isolation, unix_http
from .process import Process
from .waiting import wait_until

DOCKERD = "/usr/sbin/dockerd"
DOCKER = "/usr/bin/docker"  # Debian's: it belongs to the dockerd above
IMAGE = "localhost/tiny:1"
APPLETS = ("sh", "cat", "ls", "echo", "rm")


class EngineError(AssertionError):
    """An engine's command failed."""


def make_image(path):
    """Writes a root file system with busybox as a tar."""
    busybox = pathlib.Path("/bin/busybox").read_bytes()
    with tarfile.open(path, "w") as archive:
        for directory in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(busybox), 0o755
        archive.addfile(entry, io.BytesIO(busybox))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return path


def _run(command, environment, check, timeout):
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=timeout, env={**os.environ, **environment})
    if check and result.returncode != 0:
        raise EngineError(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def _ended(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class _Engine:
    """What the command lines of both understand alike: client() is the one, _run_in() starts a container."""

    def run(self, volume, script, *flags):
        """Runs a shell script in a container with `volume` at /v, and returns what it printed."""
        return self._run_in(volume, script, "--rm", *flags)

    def run_detached(self, volume, script, *flags):
        """The same for a container that stays until remove(); returns its ID. A restarted dockerd would end one of --rm,
        --live-restore or not."""
        return self._run_in(volume, script, "--detach", *flags).strip()

    def first_process(self, container):
        """Its number; None where there is no such container, or it has ended."""
        said = self.client("inspect", "--format", "{{.State.Pid}}", container, check=False)
        return int(said.stdout) or None if said.returncode == 0 else None

    def create_volume(self, driver, name, options=()):
        self.client("volume", "create", "--driver", driver, *(f"--opt={option}" for option in options), name)

    def remove_volume(self, name):
        self.client("volume", "rm", name)

    def volumes(self):
        """The names of the volumes that the engine knows."""
        return self.client("volume", "ls", "-q").stdout.split()


class Dockerd(_Engine):
    """A real Docker engine; without an image, where only its plugins matter. It looks for plugins in isolation.ENGINE_SOCKETS and ENGINE_SPECS, which are private here."""

    def __init__(self, directory, image, *flags):
        self.directory = pathlib.Path(directory) / "docker"
        self.directory.mkdir()
        self.socket = self.directory / "docker.sock"
        self.flags = flags
        try:
            self.start()
            if image is not None:
                self.docker("import", image, IMAGE)
        except BaseException:
            self.close()
            raise

    def start(self):
        """Also again, after stop() or kill(); returns when it answers."""
        self.launch()
        self.wait_ready()

    def launch(self):
        self.process = Process(
            [DOCKERD, "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none",
             "--data-root", self.directory / "data", "--exec-root", self.directory / "exec", "--pidfile", self.directory / "pid",
             "-H", f"unix://{self.socket}", *self.flags], self.directory / "log")

    def wait_ready(self):
        wait_until(self._answers, lambda: f"answer from dockerd:\n{self.process.output()[-4000:]}", 60, 0.05)

    def stop(self):
        self.process.stop(timeout=60)

    def kill(self):
        """SIGKILL, at which its containerd is killed as well. Where nobody reaps that one, the next dockerd takes it for
        alive, and waits for it in vain; so its file is removed."""
        note = self.directory / "exec" / "containerd" / "containerd.pid"
        containerd = note.read_text()
        self.process.kill()
        wait_until(lambda: _ended(containerd), f"end of containerd {containerd}", 20)
        note.unlink()

    def _answers(self):
        assert self.process.running, f"dockerd ended:\n{self.process.output()[-4000:]}"
        try:
            return unix_http.request(self.socket, "GET", "/_ping").status == 200
        except OSError:
            return False

    def docker(self, *arguments, check=True, timeout=90):
        environment = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.directory / "client")}
        return _run([DOCKER, *arguments], environment, check, timeout)

    client = docker

    def _run_in(self, volume, script, *flags):
        assert len(volume) > 1, "docker takes v:/v for a drive of Windows"
        return self.docker("run", "--network", "none", "-v", f"{volume}:/v", *flags, IMAGE, "/bin/sh", "-c", script).stdout

    def remove(self, container):
        if not self.process.running:  # a test has failed while it was killed
            self.start()
        self.docker("rm", "--force", container)

    def remove_plugins(self):
        for plugin in unix_http.request(self.socket, "GET", "/plugins").json():
            reply = unix_http.request(self.socket, "DELETE", f"/plugins/{plugin['Id']}?force=1", timeout=60)
            assert reply.status == 200, reply

    def close(self):
        try:
            self.stop()
        finally:
            self._end_shims()
            isolation.unmount_below(str(self.directory))

    def _end_shims(self):
        """dockerd forgets the shim of a plugin that did not start, and all of them when it crashes."""
        address = os.fsencode(self.directory / "exec" / "containerd" / "containerd.sock")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if address in (process / "cmdline").read_bytes().split(b"\0"):
                    for pid in (*(process / "task" / process.name / "children").read_text().split(), process.name):
                        os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass  # it has ended


class Podman(_Engine):
    """Podman with one volume plugin for each name of `plugins` (name -> socket)."""

    def __init__(self, directory, image, plugins):
        self.directory = pathlib.Path(directory) / "podman"
        self.directory.mkdir()
        configuration = ['[engine]', 'cgroup_manager="cgroupfs"', 'runtime="runc"', 'events_logger="none"', '[engine.volume_plugins]']
        configuration += [f'"{name}"="{socket}"' for name, socket in plugins.items()]
        (self.directory / "containers.conf").write_text("\n".join(configuration) + "\n")
        os.makedirs("/etc/containers", exist_ok=True)
        if not os.path.exists("/etc/containers/policy.json"):
            pathlib.Path("/etc/containers/policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.podman("import", image, IMAGE)

    def podman(self, *arguments, check=True, timeout=90):
        own = self.directory
        command = ["podman", "--root", own / "root", "--runroot", own / "runroot", "--tmpdir", own / "tmp", "--storage-driver", "vfs"]
        return _run([*command, *arguments], {"CONTAINERS_CONF": str(own / "containers.conf")}, check, timeout)

    client = podman

    def _run_in(self, volume, script, *flags):
        return self.podman("run", "--network=host", "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=1000:1000",
                           "-v", f"{volume}:/v", *flags, IMAGE, "/bin/sh", "-c", script).stdout

    def remove(self, container):
        self.podman("rm", "--force", "--time", "0", container)

    def close(self):
        isolation.unmount_below(str(self.directory))

"""Starts the proxies that can be judged, each on private directories and ended by its own pid."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


class Proxy:
    """A running proxy. `lanes`: name → endpoint, ("unix", path) or ("tcp", port). Use as a context manager."""

    json_errors = False
    skips = ("broker's own answers",)  # groups that this proxy is not made for

    def __init__(self, directory, lanes):
        self.directory = pathlib.Path(directory)
        self.lanes = lanes
        self.log = self.directory / "proxy.log"
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def socket_path(self, name):
        return str(self.directory / (name + ".v"))

    def spawn(self, command, **options):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

    def alive(self):
        return self.process.poll() is None


def haproxy_address(endpoint):
    kind, where = endpoint
    return "unix@" + where if kind == "unix" else "127.0.0.1:%d" % where


class HAProxy(Proxy):
    def start(self):
        text = ["global", "  maxconn 2000", "  nbthread 1", "defaults", "  mode http", "  timeout connect 2s",
                "  timeout client 10s",
                "  timeout server 10s", "  timeout http-request 10s"]
        for name, endpoint in self.lanes.items():
            text += ["frontend f_" + name, "  bind unix@" + self.socket_path(name), "  default_backend b_" + name,
                    "backend b_" + name,
                     "  http-reuse safe", "  server s " + haproxy_address(endpoint)]
        path = self.directory / "haproxy.cfg"
        path.write_text("\n".join(text) + "\n")
        self.spawn([shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", str(path)])


class Nginx(Proxy):
    def start(self):
        d = self.directory
        text = ["daemon off;", "master_process off;", "pid %s/nginx.pid;" % d, "error_log %s/error.log;" % d,
                "events { worker_connections 2000; }", "http {", "access_log off; client_max_body_size 0;",
                "client_header_timeout 10s; client_body_timeout 10s;"]
        text += ["%s_temp_path %s/%s;" % (what, d, what) for what in ("client_body", "proxy", "fastcgi", "uwsgi",
                "scgi")]
        for name, (kind, where) in self.lanes.items():
            address = "unix:" + where if kind == "unix" else "127.0.0.1:%d" % where
            text += ["upstream u_%s { server %s; keepalive 16; }" % (name, address),
                     "server { listen unix:%s; location / {" % self.socket_path(name),
                     "proxy_pass http://u_%s; proxy_http_version 1.1; proxy_next_upstream off;" % name,
                     "proxy_set_header Connection ''; proxy_set_header Host $http_host; proxy_request_buffering off; } }"]
        path = d / "nginx.conf"
        path.write_text("\n".join([*text, "}"]) + "\n")
        self.spawn([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(d), "-e", str(d / "error.log"), "-c",
                str(path)])


class Brokerd(Proxy):
    json_errors = True
    skips = ()

    def start(self):
        for name in ("s", "r", "e", "p"):
            (self.directory / name).mkdir()
        for name, (kind, where) in self.lanes.items():
            url = "unix://" + where if kind == "unix" else "tcp://127.0.0.1:%d" % where
            (self.directory / "p" / (name + ".spec")).write_text(url + "\n")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self.directory / "notify"))
        notify.settimeout(30)
        d = str(self.directory)
        self.spawn([str(self.binary()), "--config", "/dev/null", "--control-socket", d + "/c.sock", "--state-root",
                d + "/s", "--runtime-root", d + "/r",
                    "--engine-socket-dir", d + "/e", "--spec-dir", d + "/p", "--allow-unsafe-files", "--log-level",
                    "warning"],
                   env={**os.environ, "NOTIFY_SOCKET": d + "/notify"})
        while b"READY=1" not in notify.recv(4096):
            pass
        notify.close()

    def socket_path(self, name):
        return str(self.directory / "r" / "plugins" / (name + ".sock"))

    @staticmethod
    def binary():
        return pathlib.Path(os.environ.get("BROKERD_BUILD", ROOT / "build" / "release")) / "daemon" / "brokerd"


class Reference(Proxy):
    """The strict proxy of this suite, whole or with one fault built in."""

    json_errors = True
    fault = ""
    skips = ("broker's own answers", "answers: before the request ended")  # it holds whole messages

    def start(self):
        pairs = ["%s=%s:%s" % (self.socket_path(name), kind, where) for name, (kind, where) in self.lanes.items()]
        self.spawn([sys.executable, str(HERE / "reference.py"), "--fault", self.fault, *pairs])


PROXIES = {"brokerd": Brokerd, "haproxy": HAProxy, "nginx": Nginx, "reference": Reference}

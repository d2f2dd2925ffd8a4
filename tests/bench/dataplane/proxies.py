"""The proxies that are compared, each set up as well as a user who reads its manual would do it for this work.

Each is a context manager: started on enter, ended on exit. `fronts` are the Unix sockets that it serves, `pids` its
processes. The endpoint is "unix", "tcp" or "tls": one of the driver's origins. The traffic is "calls", "bodies" (of 16 KB
and more) or "streams": some settings that make one faster make another slower, and each peer gets what was best for it."""

import os
import subprocess
import time

import daemons
import plugins

TLS_NAME = "localhost"


class _Program:
    """A proxy that is one command with a configuration file or arguments."""

    path = None
    endpoints = ("unix", "tcp", "tls")

    def __init__(self, place, driver, endpoint, traffic, connections):
        self.place, self.driver, self.endpoint, self.traffic = place, driver, endpoint, traffic
        self.connections = connections
        self.front = place / "front.sock"
        self.fronts, self.process = [self.front], None

    @classmethod
    def missing(cls):
        """Why it cannot be started; empty if it can."""
        return "" if os.access(cls.path, os.X_OK) else f"no {cls.path}"

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        log = self.place / "log"
        with open(log, "ab") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            plugins.wait_connectable(str(self.front), 10)
        except BaseException as error:
            daemons.end(self.process)
            raise RuntimeError(f"{self.path} did not start: {log.read_text(errors='replace')[-300:]}") from error
        return self

    def __exit__(self, *_ignored):
        daemons.end(self.process)

    @property
    def pids(self):
        return daemons.process_tree(self.process.pid)

    def origin(self, unix, ip="127.0.0.1:"):
        where = self.driver.origins[self.endpoint]
        return f"{unix}{where}" if self.endpoint == "unix" else f"{ip}{where}"


class HAProxy(_Program):
    path = "/usr/sbin/haproxy"

    def command(self):
        tls = f"ssl verify required ca-file {self.driver.ca} verifyhost {TLS_NAME} sni str({TLS_NAME})"
        # "no strict-limits": it wants two descriptors per connection, more than this machine may allow. Idle
        # connections take one.
        (self.place / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn {max(4000, self.connections + 100)}
    no strict-limits
    {"" if self.traffic == "calls" else "tune.bufsize 65536"}
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    timeout http-keep-alive 10m
    option splice-auto
    http-reuse always
frontend front
    bind unix@{self.front}
    default_backend plugin
backend plugin
    server plugin {self.origin("unix@")} {tls if self.endpoint == "tls" else ""}
""")
        return [self.path, "-q", "-db", "-f", self.place / "haproxy.cfg"]


class Nginx(_Program):
    path = "/usr/sbin/nginx"

    def command(self):
        paths = "".join(f"    {kind}_temp_path {self.place}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        tls = (f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.driver.ca}; proxy_ssl_name {TLS_NAME};"
               " proxy_ssl_server_name on; proxy_ssl_session_reuse on;") if self.endpoint == "tls" else ""
        for_ever = "keepalive_requests 1000000000; keepalive_timeout 1h; keepalive_time 24h;"
        # Nothing goes to a file; in large pieces, or a body of 16 KB costs twice as much.
        buffering = "on; proxy_max_temp_file_size 0" if self.traffic == "streams" else "off"
        # It closes idle connections where few are left, and needs some beside those of clients.
        (self.place / "nginx.conf").write_text(f"""
daemon off; user root; worker_processes 1; worker_rlimit_nofile 20000;
pid {self.place}/nginx.pid; error_log {self.place}/log crit;
events {{ worker_connections {max(4096, self.connections * 3 // 2)}; }}
http {{
{paths}
    access_log off; {for_ever}
    client_max_body_size 0; client_body_buffer_size 64k;
    upstream plugin {{ server {self.origin("unix:")}; keepalive 300; {for_ever} }}
    server {{
        listen unix:{self.front};
        location / {{
            proxy_pass {"https" if self.endpoint == "tls" else "http"}://plugin;
            proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_request_buffering off; proxy_buffering {buffering};
            proxy_buffer_size 64k; proxy_buffers 8 64k;
            {tls}
        }}
    }}
}}
""")
        return [self.path, "-p", self.place, "-e", self.place / "log", "-c", self.place / "nginx.conf"]


class SocketProxyd(_Program):
    """systemd-socket-proxyd, as a socket unit would start it. It relays bytes and knows no HTTP."""

    path = "/lib/systemd/systemd-socket-proxyd"
    endpoints = ("unix", "tcp")

    def command(self):
        return ["/usr/bin/systemd-socket-activate", "-l", self.front, self.path, "--connections-max=4000", self.origin("")]


class Relay(_Program):
    """Our own bench_relay: what copying alone costs."""

    endpoints = ("unix", "tcp")

    def __init__(self, place, driver, endpoint, traffic, connections, build):
        super().__init__(place, driver, endpoint, traffic, connections)
        self.path = build / "tests" / "bench" / "load" / "bench_relay"

    @classmethod
    def missing(cls):
        return ""

    def command(self):
        return [self.path, f"unix:{self.front}", self.origin("unix:", "tcp:")]


class Brokerd:
    """Plugins p0, p1 … with the same endpoint: as many as its limit of connections per published socket demands."""

    endpoints = ("unix", "tcp", "tls")
    PER_SOCKET = 4000

    def __init__(self, place, driver, endpoint, _traffic, connections, build, threads=1):
        volatile = place / "v"
        volatile.mkdir()
        self.broker = daemons.Brokerd(place, volatile, build, "--log-level", "warning", "--proxy-threads", str(threads))
        self.names = [f"p{number}" for number in range(-(-connections // self.PER_SOCKET))]
        self.fronts = [self.broker.published / f"{name}.sock" for name in self.names]
        for name in self.names:
            self._define(name, driver, endpoint)

    @classmethod
    def missing(cls):
        return ""

    def _define(self, name, driver, endpoint):
        where = driver.origins[endpoint]
        if endpoint == "tls":
            (self.broker.specs / f"{name}.json").write_text(
                f'{{"Name": "{name}", "Addr": "tcp://127.0.0.1:{where}", "TLSConfig": {{"CAFile": "{driver.ca}"}}}}')
        else:
            url = f"unix://{where}" if endpoint == "unix" else f"tcp://127.0.0.1:{where}"
            (self.broker.specs / f"{name}.spec").write_text(url)

    def __enter__(self):
        self.broker.__enter__()
        try:
            deadline = time.monotonic() + 20
            while any(self.broker.state_of(name) != "active" for name in self.names):
                if time.monotonic() > deadline:
                    raise TimeoutError("brokerd's plugins did not become active")
                time.sleep(0.02)
        except BaseException:
            self.broker.__exit__()
            raise
        return self

    def __exit__(self, *_ignored):
        self.broker.__exit__()

    @property
    def pids(self):
        return [self.broker.process.pid]


PEERS = {"haproxy": HAProxy, "nginx": Nginx, "socket-proxyd": SocketProxyd, "relay": Relay}

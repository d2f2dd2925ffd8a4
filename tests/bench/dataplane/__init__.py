"""brokerd's data plane beside HAProxy, nginx, systemd-socket-proxyd and a bare relay; see tests/bench/proxy."""

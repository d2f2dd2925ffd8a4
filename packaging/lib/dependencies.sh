# Debian packages, and how they get here; sourced after common.sh. These lists are the only ones: CI, quickstart and
# tests install from them.

packages_build=(g++ cmake ninja-build pkg-config libcpp-httplib-dev rapidjson-dev libcli11-dev libfmt-dev libsystemd-dev
    catch2 libssl-dev libboost-dev libarchive-dev libseccomp-dev zlib1g-dev python3)
packages_quickstart=(python3 curl openssl util-linux runc)
# The peers that the integration tests and the benches run: engines, a real volume plugin, registries and the programs
# beside them, systemd's own tools (no systemd need run), and what they need.
packages_test=(python3 python3-pytest python3-pytest-xdist python3-yaml python3-docker docker.io docker-registry skopeo umoci
    zstd podman runc rclone fuse3 busybox-static curl openssl strace systemd procps iproute2 util-linux mount
    openssh-server openssh-client zsh fish man-db groff-base e2fsprogs)
# With AppArmor in the kernel, dockerd starts no container without its parser.
if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then packages_test+=(apparmor); fi
# For tests that are long.
packages_long=(valgrind)
# For packaging/test --fuzz and tests/coverage/run: the compiler, libFuzzer, and what names the lines of a report.
packages_fuzz=(clang-14 libclang-rt-14-dev llvm-14)
# For packaging/deb, which is part of --system, too: cmake installs what a build has made.
packages_deb=(debhelper dpkg-dev lintian cmake fakeroot ninja-build python3)
# For packaging/test --system: a Debian to boot.
packages_system=(debootstrap systemd-container)
# The data plane's peers, for tests/bench/proxy.
packages_proxies=(haproxy nginx-light systemd)

policy=/usr/sbin/policy-rc.d
policy_kept=$policy.kept-by-brokerd
policy_mark='# written by brokerd packaging/lib/dependencies.sh'

# Prints those of the named packages that are not installed.
missing_packages() {
    local installed
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
    grep -vxFf <(printf '%s\n' "$installed") < <(printf '%s\n' "$@") || true
}

# Undoes forbid_service_starts, also after a run that was killed in between.
restore_policy() {
    if grep -qsF "$policy_mark" "$policy"; then rm -f "$policy"; fi
    if [[ -e $policy_kept ]]; then mv -f "$policy_kept" "$policy"; fi
}

# docker.io and podman start their daemons when they are installed. The tests bring their own, in private directories,
# and a machine that only wanted to run tests should not find itself with a Docker daemon.
forbid_service_starts() {
    restore_policy
    if [[ -e $policy || -L $policy ]]; then mv "$policy" "$policy_kept"; fi
    printf '#!/bin/sh\n%s; 101: "not allowed"\nexit 101\n' "$policy_mark" >"$policy"
    chmod 755 "$policy"
}

# Prints each unit that is enabled for the next boot: the links that enable it (below .wants, .requires) have its name, aliases
# lead to it. What leads elsewhere (/dev/null) is masked, and what is no link was put there by hand.
enabled_units() {
    [[ -d /etc/systemd/system ]] || return 0
    find /etc/systemd/system -type l -lname '*/systemd/system/*' \( -path '*.wants/*' -printf '%f\n' -o -path '*.requires/*' -printf '%f\n' \
        -o -printf '%l\n' \) | sed 's|.*/||' | sort -u
}

# disable_units_beyond UNITS: as forbid_service_starts, for the next boot: Debian's packages enable their services when they
# are installed. Whatever is not one of UNITS (lines) is disabled again; what systemd itself brings to a machine that had none stays.
disable_units_beyond() {
    local unit fresh=()
    for unit in $(enabled_units); do
        if ! grep -qxF -- "$unit" <<<"$1" && [[ $unit != @(systemd-*|getty@*|*.target) ]]; then fresh+=("$unit"); fi
    done
    [[ ${#fresh[@]} -gt 0 ]] || return 0
    if command -v systemctl >/dev/null && systemctl -q disable "${fresh[@]}" </dev/null >/dev/null; then
        say "Not enabled for the next boot: ${fresh[*]}"
    else
        warn "could not disable, and so these start at the next boot: ${fresh[*]}"
    fi
}

# install_packages PACKAGE…: installs what is missing; quick and offline when nothing is.
install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    command -v apt-get >/dev/null || die "missing packages, and no apt-get to install them: ${missing[*]}"
    mkdir -p "$root/build"
    say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
    (
        export DEBIAN_FRONTEND=noninteractive
        enabled=$(enabled_units)
        trap 'restore_policy; disable_units_beyond "$enabled"' EXIT
        forbid_service_starts
        # Only the installation decides: another, broken source in this machine's list is none of our business.
        apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >/dev/null || warn "apt-get update reported errors; going on"
        apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" \
            </dev/null >"$root/build/apt.log" 2>&1 || {
            tail -n 20 "$root/build/apt.log" >&2
            exit 1
        }
    ) || die "apt-get could not install them (the whole log: build/apt.log)"
}

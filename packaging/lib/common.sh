# Shared by packaging/quickstart and packaging/test; sourced by bash, never run.
# Gives: $root (the checkout), a known environment, say/warn/die, need_root.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$root"

# Debian's own programs and nothing else: a python, docker or compiler from /usr/local or $HOME would be another peer
# than the one that the results are stated for. Odd settings of the caller (no HOME, a missing locale, umask 0, a proxy
# that would catch calls to 127.0.0.1) end here.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8 LANG=C.UTF-8
[[ -n ${HOME:-} && -d $HOME && -w $HOME ]] || export HOME=/root
[[ -d $HOME ]] || export HOME=/
export no_proxy=localhost,127.0.0.1,::1 NO_PROXY=localhost,127.0.0.1,::1
unset TMPDIR PYTHONHOME PYTHONPATH PYTHONSTARTUP DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG CONTAINER_HOST BROKERD_HOST \
    NOTIFY_SOCKET LISTEN_FDS LISTEN_PID LISTEN_FDNAMES WATCHDOG_USEC WATCHDOG_PID MAKEFLAGS NINJA_STATUS CDPATH
export PYTHONDONTWRITEBYTECODE=1
umask 022

if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$*" "$plain" >&2; }
die() {
    warn "$*"
    exit 1
}

need_root() {
    [[ $EUID -eq 0 ]] || die "needs root (plugin files must belong to root, packages are installed): sudo packaging/$(basename "$0")"
}

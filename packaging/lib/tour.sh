# The parts of a tour that shows real commands and checks what they print; sourced after common.sh.
# A tour sets $place, the directory that holds its processes' logs and pids, before it calls anything here.

step_number=0
output=''

# step TITLE SENTENCE…: what comes now, and why.
step() {
    step_number=$((step_number + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step_number" "$1" "$plain"
    shift
    tell "$@"
}

tell() { printf '%s\n' "$*" | fold -s -w 100 | sed 's/ *$//; s/^/   /'; }

# remark SENTENCE…: something to say between two commands.
remark() {
    printf '\n'
    tell "$@"
}

# Ends the tour: what went wrong, what brokerd thinks of its plugins, and what it said last.
fail() {
    printf '\n%sThe tour stops here: %s%s\n' "$red" "$*" "$plain" >&2
    if [[ -s ${place:-}/log/brokerd ]]; then
        printf 'The last lines of %s:\n' "$place/log/brokerd" >&2
        tail -n 15 "$place/log/brokerd" | sed 's/^/   | /' >&2
        printf 'pluginctl ls:\n' >&2
        timeout 5 pluginctl ls --no-trunc 2>&1 | sed 's/^/   | /' >&2 || true
    fi
    exit 1
}

print_command() { printf '\n   %s$ %s%s\n' "$bold" "${1//$'\n'/$'\n'     }" "$plain"; }
print_output() { if [[ -n $output ]]; then printf '%s\n' "$output" | sed 's/^/   /'; fi; }

# show COMMAND: prints the command as one would type it, runs it in this shell, prints and keeps what it printed.
# Fails the tour where the command fails.
show() {
    local status=0
    show_any "$1" || status=$?
    [[ $status -eq 0 ]] || fail "that command should succeed; its exit status is $status"
}

# show_any COMMAND: the same, but the exit status is the caller's business.
show_any() {
    local status=0
    print_command "$1"
    output=$(eval "$1" 2>&1 </dev/null) || status=$?
    print_output
    return "$status"
}

# expect PATTERN WHAT: the last output must match the extended regular expression; WHAT says what that means.
expect() { [[ $output =~ $1 ]] || fail "$2 was expected, in words that match /$1/"; }

# wait_until SECONDS WHAT COMMAND…: polls until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then fail "$what: still not, after waiting"; fi
        sleep 0.02
    done
}

# A process is known by its pid and its start time, so that a reused pid is never taken for one of ours.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# launch NAME COMMAND: prints the command, starts it in the background, in a session of its own: Ctrl-C then reaches
# this script alone, which ends its processes in order. Its output goes to log/NAME.
launch() {
    local name=$1 pid
    print_command "$2 &"
    setsid bash -c "exec $2" >"$place/log/$name" 2>&1 </dev/null 8>&- &  # 8: the caller's lock, which ends with it
    pid=$!
    disown "$pid"  # or bash would tell of its end in the midst of the tour
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$place/pid/$name"
}

# alive NAME: whether that process, and no other with its number, still runs.
alive() {
    local pid started
    read -r pid started 2>/dev/null <"$place/pid/$1" && [[ -n $started && $(start_time "$pid") == "$started" ]]
}

dead() { ! alive "$1"; }

# stop NAME…: SIGTERM, five seconds, SIGKILL.
stop() {
    local name tries
    for name in "$@"; do
        if alive "$name"; then
            kill "$(cut -d' ' -f1 "$place/pid/$name")" 2>/dev/null || true
            for ((tries = 0; tries < 250; tries++)); do
                alive "$name" || break
                sleep 0.02
            done
            if alive "$name"; then kill -KILL "$(cut -d' ' -f1 "$place/pid/$name")" 2>/dev/null || true; fi
        fi
        rm -f "$place/pid/$name"
    done
}

# stop_all: everything that launch started in $place, also by an earlier run that could not clean up.
stop_all() {
    local file
    for file in "$place"/pid/*; do
        if [[ -e $file ]]; then stop "$(basename "$file")"; fi
    done
}

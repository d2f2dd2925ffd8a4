# The tour itself; sourced by packaging/quickstart, which provides $Q, $place and the functions of tour.sh.
# Each step does one thing, shows it with commands that can be typed as they stand, and checks the answer.
# shellcheck disable=SC2016  # $Q is shown as it is typed, and expanded by show

# settled NAME STATE: asks the control socket, which answers once the plugin's handshake has an outcome.
settled() { curl -fsS --max-time 5 --unix-socket "$Q/control.sock" "http://broker/broker/v1/plugins/$1" | grep -qE "\"State\": *\"$2\""; }
listening_line() { sed -n 's/^mobyfs: listening on //p' "$place/log/$1"; }
# launch_plugin NAME COMMAND: starts a sample plugin and sets $address to where it listens.
launch_plugin() {
    launch "$1" "$2"
    wait_until 10 "the plugin $1 listens" test -s "$place/log/$1"
    address=$(listening_line "$1")
    [[ -n $address ]] || fail "the plugin $1 did not start: $(tail -n 3 "$place/log/$1")"
    tell "$(cat "$place/log/$1")"
}

run_tour() {
    tour_daemon
    tour_spec
    tour_published_socket
    tour_tls
    tour_own_socket
    tour_questions
    tour_doctor
    tour_move
    tour_managed
    tour_outlive
    tour_travel
    tour_events
}

launch_brokerd() {
    launch brokerd 'brokerd --config $Q/brokerd.conf --control-socket $Q/control.sock --state-root $Q/state \
    --runtime-root $Q/run --engine-socket-dir $Q/engine --spec-dir $Q/etc'
    wait_until 10 "brokerd answers on its control socket" curl -fsS --unix-socket "$Q/control.sock" http://broker/_ping
}

tour_daemon() {
    step "Start brokerd" "One daemon on directories of its own. \$Q is $Q; there, engine/ stands for /run/docker/plugins," \
        "where Docker and podman look for sockets, and etc/ for /etc/docker/plugins, where plugins are defined."
    launch_brokerd
    show 'pluginctl version'
    show 'pluginctl ls'
    expect NAME "an empty table"
}

tour_spec() {
    step "A plugin on a TCP port, found while everything runs" "mobyfs is a sample volume plugin. It could as well be on" \
        "another host. A .spec file holds its address, one line; brokerd sees the file at once and asks the plugin what it is" \
        "(the handshake, /Plugin.Activate)."
    launch_plugin mobyfs 'mobyfs --listen tcp://127.0.0.1:0 --root $Q/volumes'
    show "echo $address >\$Q/etc/mobyfs.spec"
    wait_until 10 "mobyfs becomes active" settled mobyfs active
    show 'pluginctl ls'
    expect 'mobyfs .*VolumeDriver.*active' "the plugin mobyfs, active, with the capability VolumeDriver"
}

tour_published_socket() {
    step "The published socket: all that an engine needs" "Engines find this plain Unix socket and know nothing of TCP, of" \
        "retries or of brokerd. Here curl plays the engine: the handshake, a volume, the list."
    show 'ls -l $Q/engine'
    expect 'mobyfs\.sock' "the published socket"
    show 'curl -sS --fail-with-body --unix-socket $Q/engine/mobyfs.sock -X POST http://plugin/Plugin.Activate'
    expect VolumeDriver "the manifest"
    show "curl -sS --fail-with-body --unix-socket \$Q/engine/mobyfs.sock -d '{\"Name\": \"photos\"}' http://plugin/VolumeDriver.Create"
    show "curl -sS --fail-with-body --unix-socket \$Q/engine/mobyfs.sock -d '{}' http://plugin/VolumeDriver.List"
    expect photos "the new volume"
    remark "What a plugin does not implement is refused by brokerd and never reaches it:"
    show "curl -sS --unix-socket \$Q/engine/mobyfs.sock -d '{}' http://plugin/NetworkDriver.GetCapabilities"
    expect '"Err"' "an error"
}

tour_tls() {
    step "A plugin behind TLS, with certificates on both sides" "A .json file says more than an address. brokerd verifies the" \
        "plugin, shows its own certificate, and the engine still sees a plain socket."
    certificates "$Q/tls" >/dev/null
    launch_plugin securefs 'mobyfs --listen tcp://127.0.0.1:0 --root $Q/volumes --client-ca $Q/tls/ca.pem \
    --tls-cert $Q/tls/server.pem --tls-key $Q/tls/server.key'
    show "echo '{
  \"Name\": \"securefs\",
  \"Addr\": \"https://${address#tcp://}\",
  \"TLSConfig\": {
    \"CAFile\": \"$Q/tls/ca.pem\",
    \"CertFile\": \"$Q/tls/client.pem\",
    \"KeyFile\": \"$Q/tls/client.key\"
  }
}' >\$Q/etc/securefs.json"
    wait_until 10 "securefs becomes active" settled securefs active
    show "curl -sS --fail-with-body --unix-socket \$Q/engine/securefs.sock -d '{}' http://plugin/VolumeDriver.List"
    expect photos "the answer of the plugin behind TLS"
    show 'pluginctl inspect securefs'
    expect securefs "the details of securefs"
}

tour_own_socket() {
    step "A plugin that brings its own Unix socket" "Plugins on this host often put a socket where engines look. The engine" \
        "uses it directly, as ever; brokerd lists and watches it, and offers it in run/plugins as well."
    launch_plugin localfs 'mobyfs --listen unix://$Q/engine/localfs.sock --root $Q/volumes'
    wait_until 10 "localfs becomes active" settled localfs active
    show 'ls $Q/engine $Q/run/plugins'
    show 'pluginctl ls'
    expect 'localfs .*VolumeDriver.*active' "the plugin localfs, active"
}

tour_questions() {
    step "Ask, and call" "Programs ask the control socket which plugins have a capability; people use pluginctl. A call goes" \
        "the same way as an engine's."
    show "curl -sS --fail-with-body --unix-socket \$Q/control.sock 'http://broker/broker/v1/plugins/mobyfs?capability=VolumeDriver'"
    expect mobyfs "the plugin"
    show "pluginctl call mobyfs VolumeDriver.Get '{\"Name\": \"photos\"}'"
    expect photos "the volume"
    remark "What is called, how often and how long; Prometheus gets the same (packaging/docs/monitoring.md):"
    show 'pluginctl stats --no-stream'
    expect 'mobyfs +[1-9]' "the calls of mobyfs"
}

tour_doctor() {
    step "When a plugin does not work: pluginctl doctor" "Here is a definition with a slip of the pen. It is listed as invalid" \
        "instead of being ignored, and doctor says where the mistake is and what to write."
    show 'echo tpc://127.0.0.1:8080 >$Q/etc/backups.spec'
    wait_until 10 "backups is listed" invalid backups
    show_any 'pluginctl doctor' || true
    expect 'backups\.spec:1' "a finding with file and line"
    remark "The warning beside it is about the call that was refused in step 3. The remedy, with the address of a plugin" \
        "that exists:"
    show "echo $(listening_line mobyfs) >\$Q/etc/backups.spec"
    wait_until 10 "backups becomes active" settled backups active
    show 'pluginctl doctor'
    [[ $output != *backups* ]] || fail "doctor still complains about backups"
    show 'rm $Q/etc/backups.spec'
    wait_until 10 "backups is gone" unknown backups
}

# These ask the list, which does not wait.
invalid() { curl -fsS --unix-socket "$Q/control.sock" 'http://broker/broker/v1/plugins?state=invalid' | grep -q "\"Name\":\"$1\""; }
unknown() { ! curl -fsS --unix-socket "$Q/control.sock" http://broker/broker/v1/plugins | grep -q "\"Name\":\"$1\""; }

# call_until_told: calls the plugin as an engine would, over and over, and notes the HTTP status of each call. Ends with
# the script as well, however that ends.
call_until_told() {
    while [[ ! -e $Q/stop-calling && -d /proc/$$ ]]; do
        curl -sS --max-time 30 -o /dev/null -w '%{http_code}\n' --unix-socket "$Q/engine/mobyfs.sock" -d '{}' \
            http://plugin/VolumeDriver.List >>"$Q/log/calls" 2>&1 || true
    done
}

called() { [[ $(wc -l <"$Q/log/calls" 2>/dev/null || echo 0) -ge $1 ]]; }

tour_move() {
    local before caller
    step "Move the plugin while engines use it" "A loop calls the published socket all the time. Meanwhile mobyfs starts on" \
        "another port, its .spec file is changed, and the old process ends. Nothing is restarted."
    call_until_told 8>&- &
    caller=$!
    wait_until 10 "the loop calls" called 20
    launch_plugin mobyfs-moved 'mobyfs --listen tcp://127.0.0.1:0 --root $Q/volumes'
    show "echo $address >\$Q/etc/mobyfs.spec"
    wait_until 10 "brokerd uses the new address" uses_address "$address"
    stop mobyfs
    remark "(the old mobyfs has ended)"
    before=$(wc -l <"$Q/log/calls")
    wait_until 10 "the loop goes on" called $((before + 20))
    touch "$Q/stop-calling"
    wait "$caller" || true
    show 'sort $Q/log/calls | uniq -c'
    [[ $output =~ ^\ *[0-9]+\ 200$ ]] || fail "every call should have been answered with 200"
    show 'pluginctl ls'
    expect "mobyfs .*active.*${address//./\\.}" "mobyfs, active at its new address"
}

uses_address() { settled mobyfs active && curl -fsS --unix-socket "$Q/control.sock" http://broker/broker/v1/plugins/mobyfs | grep -qF "\"$1\""; }

tour_managed() {
    step "A managed plugin: installed, and run" "Plugins come as images, too, which brokerd installs: from a registry" \
        "(pluginctl install), from a file, or from a directory that is made on the spot, as here. This one is a program of" \
        "one file, which keeps its volumes below /mnt/volumes; what it mounts there, the host sees."
    show 'mkdir -p $Q/plugin/rootfs/bin && cp "$(command -v sample-plugin)" $Q/plugin/rootfs/bin/'
    show "echo '{
  \"description\": \"a sample volume plugin\",
  \"entrypoint\": [\"/bin/sample-plugin\"],
  \"interface\": {\"types\": [\"docker.volumedriver/1.0\"], \"socket\": \"sample.sock\"},
  \"network\": {\"type\": \"none\"},
  \"propagatedMount\": \"/mnt/volumes\",
  \"env\": [{\"name\": \"BEHAVIOUR\", \"settable\": [\"value\"], \"value\": \"\"}]
}' >\$Q/plugin/config.json"
    show 'pluginctl create acme/sample $Q/plugin'
    show 'pluginctl set --memory 64m --pids 100 acme/sample BEHAVIOUR=slow=100'
    remark "enable starts it in a container of its own and returns once it has answered. From then on brokerd keeps it" \
        "running. Should it not start, the command says why, and it stays disabled."
    show 'pluginctl enable acme/sample'
    show 'pluginctl ls --filter kind=managed'
    expect 'acme/sample.*managed.*VolumeDriver.*running' "the managed plugin acme/sample, running"
    remark "Engines find it as they find the others. Mountpoint is a path of the host: brokerd has translated it."
    show "curl -sS --fail-with-body --unix-socket \$Q/engine/acme/sample.sock -d '{\"Name\": \"films\"}' http://plugin/VolumeDriver.Create"
    show "curl -sS --fail-with-body --unix-socket \$Q/engine/acme/sample.sock -d '{\"Name\": \"films\", \"ID\": \"1\"}' http://plugin/VolumeDriver.Mount"
    expect "\"Mountpoint\": *\"$Q/state/plugins/[^\"]*/films\"" "a mountpoint below \$Q/state/plugins"
    show 'pluginctl logs acme/sample'
    expect 'the sample plugin starts' "what the plugin has written"
}

tour_outlive() {
    local process
    step "brokerd is killed; the plugin runs on" "Managed plugins do not depend on brokerd's process: it may crash, be" \
        "restarted or upgraded. The next brokerd finds the plugin by its lock and goes on with it: the same process, and no" \
        "restart."
    show "pluginctl inspect --format '{{.Broker.Pid}}' acme/sample"
    process=$output
    show 'kill -KILL $(cut -d" " -f1 $Q/pid/brokerd)'
    wait_until 10 "brokerd is gone" dead brokerd
    launch_brokerd
    show 'pluginctl wait --timeout 20 acme/sample'
    show "pluginctl inspect --format '{{.Broker.Pid}} {{.Broker.State}}, restarted {{.Broker.Restarts}} times' acme/sample"
    expect "^$process running, restarted 0 times\$" "the same process, running"
    show "curl -sS --fail-with-body --unix-socket \$Q/engine/acme/sample.sock -d '{}' http://plugin/VolumeDriver.List"
    expect films "the volume, which the plugin still knows"
}

tour_travel() {
    step "Stop it, take it elsewhere, remove it" "disable ends a plugin; one that containers or engines use is refused, and" \
        "they are named. A host without network gets a plugin as one file, settings included. What it may do is granted" \
        "anew wherever it is installed; without the flag, load asks."
    show 'pluginctl disable acme/sample'
    show 'pluginctl save -o $Q/sample.tar acme/sample'
    show 'pluginctl rm acme/sample'
    show 'pluginctl load --grant-all-permissions $Q/sample.tar'
    show "pluginctl inspect --format '{{json .Settings.Env}} enabled: {{.Enabled}}' acme/sample"
    expect 'BEHAVIOUR=slow=100.*enabled: false' "the setting that was saved"
    show 'pluginctl rm acme/sample'
    show 'ls $Q/run/bundles $Q/run/exec $Q/state/plugins'
    if [[ $output =~ [0-9a-f]{64} ]]; then fail "nothing should be left of the plugin"; fi
}

tour_events() {
    step "What happened" "Every change is an event. Programs can follow them as a stream, or those of one capability." \
        "\`events\` goes on until Ctrl-C; here, timeout ends it."
    show_any 'timeout 1 pluginctl events --replay 100' || true
    expect 'active mobyfs' "the events of mobyfs"
}

# Configures and builds a preset; sourced after common.sh.

# A compiler process of this project takes up to about 1.2 GB (Boost.Beast, cpp-httplib): more jobs than memory allows
# would swap or be killed.
build_jobs() {
    local memory_kb jobs
    memory_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
    jobs=$(nproc)
    if ((memory_kb / 1300000 < jobs)); then jobs=$((memory_kb / 1300000)); fi
    echo $((jobs > 0 ? jobs : 1))
}

# build_preset PRESET [TARGET…]: build/PRESET holds the result. Quiet unless something fails.
build_preset() {
    local preset=$1 log="$root/build/$1.log" fresh=() launcher=''
    shift
    mkdir -p "$root/build/$preset"
    # A checkout that was moved or copied still carries the old path in its cache, and CMake refuses that.
    if [[ -f build/$preset/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "build/$preset/CMakeCache.txt"; then
        fresh=(--fresh)
    fi
    if command -v ccache >/dev/null; then launcher=ccache; fi
    say "Building ($preset) …"
    (
        flock 9  # two runs in one build directory would spoil it
        cmake --preset "$preset" "${fresh[@]}" -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" >"$log" 2>&1 &&
            ninja -C "build/$preset" -j "$(build_jobs)" "$@" >>"$log" 2>&1
    ) 9>"build/$preset/.lock" </dev/null || {
        tail -n 60 "$log" >&2
        die "the build failed (the whole log: build/$preset.log)"
    }
}

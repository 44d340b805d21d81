# shellcheck shell=bash
# Starts servers, and ends the ones it started.
# Is sourced by the runners; judges nothing itself.

SERVER_PIDS=()

# An inherited setting would change what is judged.
unset "${!WSWORKER_@}"

# start_server BINARY LOG [NAME=VALUE...]: one of ours, as `start` does.
start_server() {
    local binary=$1 log=$2 build='cargo build --release --example echo'
    shift 2
    [[ $binary != *-full ]] || build='cargo build --release -p wsworker-tests-full'
    [[ -x $binary ]] || {
        echo "no echo server at $binary: build it with '$build'" >&2
        return 1
    }
    start "$log" env WSWORKER_ADDR=127.0.0.1:0 "$@" "$binary"
}

# start LOG COMMAND [ARGUMENT...]: any server that says its address.
# Sets SERVER_PID and SERVER_ADDR (127.0.0.1:PORT), which may speak TLS.
start() {
    local log=$1
    shift
    : >"$log"
    "$@" >>"$log" 2>&1 </dev/null &
    SERVER_PID=$!
    SERVER_PIDS+=("$SERVER_PID")

    local try line
    for ((try = 0; try < 200; try++)); do
        # `read` is false for a line that is not finished, so no port is read by halves.
        while IFS= read -r line; do
            if [[ $line =~ wss?://(127\.0\.0\.1:[0-9]+) ]]; then
                # shellcheck disable=SC2034 # for the runner
                SERVER_ADDR=${BASH_REMATCH[1]}
                return 0
            fi
        done <"$log"
        kill -0 "$SERVER_PID" 2>/dev/null || break
        sleep 0.05
    done
    echo "the server said no 'ws://127.0.0.1:PORT' within 10 s; it said:" >&2
    cat "$log" >&2
    return 1
}

# stop_server PID: asks it to drain. True if it leaves with status 0 within 15 s.
stop_server() {
    kill -TERM "$1" 2>/dev/null || echo "server $1 was gone before it was stopped" >&2
    await_end "$1"
}

# await_end PID: true if a server that was asked to drain leaves with status 0 within 15 s.
await_end() {
    local pid=$1 status=0 try
    for ((try = 0; try < 300; try++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$pid" 2>/dev/null; then
        echo "server $pid was still there 15 s after SIGTERM" >&2
        return 1
    fi
    wait "$pid" || status=$?
    ((status == 0)) || echo "server $pid left with status $status, not 0" >&2
    return "$status"
}

# For an EXIT trap: ends what is still running.
kill_servers() {
    local pid
    for pid in "${SERVER_PIDS[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
}

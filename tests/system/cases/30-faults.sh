# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# Bad input and faults: each has an end, a cause and a record.

last() { reevectl --json runs "$1" | jq -r ".[0].$2"; }
replica() { { reevectl --json status "$1" || true; } | jq -r --argjson n "$2" ".. | objects | select(.index? == \$n) | .$3" | head -n 1; }
has_run() { reevectl --json runs "$1" | jq -e 'length > 0'; }
cause_is() { [[ $(last "$1" cause) == "$2" ]]; }
once() { # NAME EXEC…: a worker that is not restarted at once
    local name=$1 text
    shift
    text=$(printf '"%s", ' "$@")
    worker "$name" <<TOML
[worker]
exec = [${text%, }]
[worker.restart]
backoff = { first = "10min", base = "10min", cap = "10min", reset_after = "20min" }
TOML
}

test_missing_binary_no_permission_unknown_user() {
    once absent /usr/bin/no-such-program
    once locked /etc/passwd
    worker stranger <<'TOML'
[worker]
exec = ["/bin/sleep", "infinity"]
user = "nobody-of-that-name"
TOML
    reload
    for w in absent locked stranger; do
        wait_for "$w has a record" cause_is "$w/1" start-failed
    done
    assert_contains /usr/bin/no-such-program "$(last absent/1 reason)"
    assert_contains /etc/passwd "$(last locked/1 reason)"
    assert_contains nobody-of-that-name "$(last stranger/1 reason)"
}

test_exec_that_forks_and_exits_leaves_nothing() {
    once forker /bin/sh -c "sleep 987654 & exit 0"
    reload
    wait_for "its end is recorded" has_run forker/1
    wait_for "its child is gone" eval '! pgrep -f "sleep 987654"'
}

test_worker_that_ignores_sigterm_is_killed_after_its_grace() {
    worker deaf <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "trap '' TERM; : >{runtime_dir}/deaf; while :; do sleep 1; done"]
[worker.stop]
timeout = "3s"
TOML
    rm -f /run/reeve/workers/deaf-1/deaf
    reload
    wait_running deaf
    wait_for "it is deaf" test -e /run/reeve/workers/deaf-1/deaf
    assert_rc 0 reevectl stop deaf
    is_down "$(unit deaf)" || fail "it still runs"
    assert_eq stop-timeout "$(last deaf/1 cause)"
}

test_log_flood_does_not_slow_the_daemon() {
    worker flood <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "yes flooding the log"]
[worker.resources]
cpu = { limit = 0.5 }
TOML
    sleeper calm
    reload
    wait_running flood
    wait_running calm
    local pid
    pid=$(main_pid calm)
    kill -KILL "$pid"
    wait_for "another worker heals beside it" healed "$pid" calm
    assert_rc 0 reevectl stop flood
}

test_fork_bomb_stays_inside_tasks_max() {
    worker bomb <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "while :; do sleep 600 & done"]
[worker.resources]
tasks_max = 20
cpu = { limit = 0.5 }
[worker.restart]
policy = "never"
TOML
    reload
    wait_for "it has run" eval 'is_running bomb || has_run bomb/1'
    assert_le "$(pgrep -fc 'sleep 600' || true)" 20 "processes of the bomb"
    assert_rc 0 reevectl stop bomb
    wait_for "nothing of it is left" eval '! pgrep -f "sleep 600"'
}

hog='import time; b=[]
while True: b.append(bytearray(4<<20)); time.sleep(0.01)'
test_oom_of_the_main_process_and_of_a_child() {
    worker hog <<TOML
[worker]
exec = ["/usr/bin/python3", "-c", """$hog"""]
[worker.resources]
memory = { limit = "48Mi" }
[worker.restart]
backoff = { first = "10min", base = "10min", cap = "10min", reset_after = "20min" }
TOML
    worker parent <<TOML
[worker]
exec = ["/bin/sh", "-c", "/usr/bin/python3 -c '''import time; b=[]\nwhile True: b.append(bytearray(4<<20)); time.sleep(0.01)''' & wait; sleep 100"]
[worker.resources]
memory = { limit = "48Mi" }
[worker.restart]
backoff = { first = "10min", base = "10min", cap = "10min", reset_after = "20min" }
TOML
    reload
    wait_for "the main process was killed for memory" cause_is hog/1 oom
    wait_for "the child's death is the worker's" cause_is parent/1 oom
}

test_frozen_worker_stops() {
    sleeper ice
    reload
    wait_running ice
    assert_rc 0 reevectl pause ice
    is_frozen ice || fail "it is not frozen"
    assert_rc 0 reevectl stop ice
    is_down "$(unit ice)" || fail "it still runs"
    assert_rc 0 reevectl start ice
    is_running ice || fail "it does not run again"
    ! is_frozen ice || fail "it is still frozen"
}

test_sup_09_frozen_worker_killed_keeps_its_name() {
    # With a child, which stays frozen when the main process is killed.
    worker iced <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "sleep 765432 & wait"]
TOML
    reload
    wait_running iced
    local pid round
    for round in 1 2; do
        pid=$(main_pid iced)
        assert_rc 0 reevectl pause iced
        is_frozen iced || fail "it is not frozen"
        # Not by PID 1, which on some versions never lets go of a unit that dies so.
        assert_eq running "$(prop "$(unit iced)" FreezerState)"
        kill -KILL "$pid"
        wait_for "its end is recorded ($round)" eval '[[ $(reevectl --json runs iced/1 | jq length) == '"$round"' ]]'
        assert_eq 9 "$(last iced/1 signal)"
        # Paused is paused: it heals when it is resumed.
        assert_rc 0 reevectl resume iced
        wait_for "it runs again under its name" healed "$pid" iced
        wait_for "it is ready" has_ready iced 1
        ! is_frozen iced || fail "the new run is frozen"
    done
    wait_for "one child" eval '[[ $(pgrep -fc "sleep 765432$") == 1 ]]'
    assert_rc 0 reevectl stop iced
    is_down "$(unit iced)" || fail "it still runs"
    assert_rc 0 reevectl start iced
    is_running iced || fail "its name is lost"
}

test_hlt_05_a_probe_that_hangs_restarts_only_its_worker() {
    worker hung <<'TOML'
[worker]
exec = ["/usr/bin/python3", "-c", "import socket,time; s=socket.socket(); s.bind(('127.0.0.1',{port})); s.listen(50); time.sleep(1e6)"]
[worker.probe.liveness]
http = "http://127.0.0.1:{port}/health"
initial_delay = "1s"
period = "2s"
timeout = "1s"
failure_threshold = 2
TOML
    sleeper bystander
    reload
    wait_running bystander
    local pid
    pid=$(main_pid bystander)
    wait_for "the hung one is restarted for its probe" cause_is hung/1 probe
    assert_eq "$pid" "$(main_pid bystander)"
}

test_disk_full_and_torn_state() {
    sleeper keeper
    reload
    wait_running keeper
    local before
    before=$(fingerprint)
    # A torn last line, as after a power cut, and a file of garbage.
    systemctl stop reeved
    printf 'deadbeef {"exited":{"run"' >>/var/lib/reeve/runs/keeper-1.log
    printf 'garbage' >/var/lib/reeve/node.json
    systemctl start reeved
    wait_for "reeved is back" reeved_up
    assert_eq "$before" "$(fingerprint)" "workers across a torn state"
    compgen -G '/var/lib/reeve/runs/*.damaged*' >/dev/null || compgen -G '/var/lib/reeve/*.damaged*' >/dev/null || fail "nothing was set aside"
    assert_contains "damaged" "$(journal)"
    # A full disk: the state folder becomes a file system without room.
    systemctl stop reeved
    cp -a /var/lib/reeve /var/lib/reeve.kept
    mount -t tmpfs -o size=256k,mode=700 tmpfs /var/lib/reeve
    trap 'systemctl stop reeved; umount -l /var/lib/reeve; rm -rf /var/lib/reeve.kept; systemctl start reeved' EXIT
    cp -a /var/lib/reeve.kept/. /var/lib/reeve/
    head -c 1M /dev/zero >/var/lib/reeve/ballast 2>/dev/null || true
    systemctl start reeved
    wait_for "reeved is up without room" reeved_up
    assert_eq "$before" "$(fingerprint)" "workers across a full disk"
    # The last page of a file may still have room: as many ends as it takes.
    local pid kills=0
    until said 'trouble: store'; do
        ((++kills <= 25)) || fail "25 records found room on a full disk"
        pid=$(main_pid keeper)
        kill -KILL "$pid"
        wait_for "it heals without room for the record" healed "$pid" keeper
        assert_rc 0 reevectl reset keeper
    done
    rm -f /var/lib/reeve/ballast
    wait_for "the node is well again" said 'store works again'
    assert_eq "$kills" "$(reevectl --json runs keeper/1 | jq '[.[] | select(.signal == 9)] | length')" "no record is lost"
}

test_a_port_that_another_program_holds() {
    worker roamer <<'TOML'
[worker]
exec = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
[worker.probe.readiness]
tcp = "127.0.0.1:{port}"
initial_delay = "0s"
period = "2s"
timeout = "2s"
TOML
    reload
    wait_for "it is ready" has_ready roamer 1
    local port pid
    port=$(replica roamer 1 port)
    assert_rc 0 reevectl stop roamer
    python3 -c "import socket,time; s=socket.create_server(('127.0.0.1',$port)); time.sleep(1e6)" &
    pid=$!
    # shellcheck disable=SC2064 # this very process
    trap "kill $pid" EXIT
    wait_for "somebody else has its port" python3 -c "import socket; socket.create_connection(('127.0.0.1',$port))"
    # A port that Reeve chose is exchanged for a free one.
    assert_rc 0 reevectl start roamer
    wait_for "it is ready elsewhere" has_ready roamer 1
    assert_ne "$port" "$(replica roamer 1 port)" "port"
    assert_contains "another program holds port $port of roamer/1" "$(journal)"
    # One that the definition chose is not ours to change: few tries, and the reason at hand.
    worker fixed <<TOML
[worker]
exec = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "$port"]
[worker.restart]
backoff = { first = "0s", base = "100ms", cap = "1s", reset_after = "5m" }
breaker = { failures = 4, window = "10min", open = "10min" }
TOML
    reload
    wait_for "it is seen to fail" equals crash-loop replica fixed 1 state
    local runs
    runs=$(reevectl --json runs fixed/1 | jq length)
    assert_le "$runs" 6 "runs of the worker without its port"
    wait_for "the record has the reason" eval 'reevectl --json runs fixed/1 | jq -e ".[0].log_tail | any(contains(\"Address already in use\"))"'
    assert_contains "Address already in use" "$(reevectl --no-pager status fixed/1)"
    holds_for 5 "no storm" equals "$runs" eval 'reevectl --json runs fixed/1 | jq length'
    kill "$pid"
    trap - EXIT
    assert_rc 0 reevectl reset fixed/1
    wait_for "it runs once the port is free" eval '[[ $(replica fixed 1 state) == ready ]]'
}

test_two_daemons_on_one_state_directory() {
    assert_rc 70 timeout 30 reeved --bus session --launcher direct
    assert_contains "$(reeved_pid)" "$OUT"
    reeved_up || fail "the first one suffered"
}

test_clock_step_of_an_hour() {
    worker probed <<'TOML'
[worker]
exec = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
[worker.probe.readiness]
http = "http://127.0.0.1:{port}/"
initial_delay = "0s"
period = "2s"
timeout = "2s"
[worker.probe.liveness]
http = "http://127.0.0.1:{port}/"
initial_delay = "1s"
period = "5s"
timeout = "5s"
TOML
    reload
    wait_for "it is ready" has_ready probed 1
    local before now
    before=$(fingerprint)
    now=$(date +%s)
    date -s "@$((now + 3600))" >/dev/null
    holds_for 6 "unchanged after a step forward" equals "$before" fingerprint
    date -s "@$((now - 3600))" >/dev/null
    holds_for 6 "unchanged after a step back" equals "$before" fingerprint
    date -s "@$((now + 15))" >/dev/null
    local pid
    pid=$(main_pid probed)
    kill -KILL "$pid"
    wait_for "it still heals" healed "$pid" probed
}

boot_clock() { awk '{ print int($1) }' /proc/uptime; }
test_suspended_machine() {
    grep -qw mem /sys/power/state 2>/dev/null || skip "this machine cannot be suspended"
    # Its heartbeat is due many times while nobody can give it.
    worker beating <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "systemd-notify --ready; while :; do systemd-notify WATCHDOG=1; sleep 1; done"]
[worker.ready]
notify = true
[worker.probe.liveness]
notify = true
initial_delay = "5s"
period = "15s"
TOML
    # Its next start falls into the suspend.
    worker overdue <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "exit 4"]
[worker.restart]
backoff = { first = "60s", base = "60s", cap = "60s", reset_after = "10min" }
unsupervised_after = "10min"
TOML
    reload
    wait_for "it beats" has_ready beating 1
    wait_for "the other one has failed" has_run overdue/1
    local before slept
    before=$(fingerprint | grep beating)
    slept=$(boot_clock)
    rtcwake --mode mem --seconds 90 || skip "this machine cannot be suspended and woken: rtcwake failed"
    slept=$(($(boot_clock) - slept))
    ((slept >= 60)) || skip "the boot clock of this machine stands still while it sleeps ($slept s)"
    wait_for "the suspend was noticed" said "the machine was suspended"
    wait_for "the start that was due is made up for" eval '(( $(reevectl --json runs overdue/1 | jq length) >= 2 ))'
    holds_for 20 "a heartbeat nobody could give is not missed" equals "$before" eval 'fingerprint | grep beating'
    has_ready beating 1
}

# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# Nothing that happens to reeved, to the bus or to PID 1 touches a worker, and no end is lost.

ROUNDS=${REEVE_ROUNDS:-20}

restart_of_the_daemon() {
    case $(($1 % 5)) in
        0) kill -KILL "$(reeved_pid)" ;;
        1) systemctl restart reeved ;;
        2) systemctl daemon-reexec ;;
        3) systemctl restart dbus ;;
        4) systemctl daemon-reload ;;
    esac
}

test_no_worker_is_lost_over_many_rounds() {
    sleeper rock 5
    worker talkative <<'TOML'
[worker]
team = "test"
exec = ["/bin/sh", "-c", "systemd-notify --ready; while :; do systemd-notify WATCHDOG=1; sleep 1; done"]
[worker.ready]
notify = true
[worker.probe.liveness]
notify = true
initial_delay = "30s"
period = "20s"
TOML
    reload
    wait_running rock 5
    wait_for "talkative is ready" has_ready talkative 1
    local before i
    before=$(fingerprint)
    for ((i = 0; i < ROUNDS; i++)); do
        restart_of_the_daemon "$i"
        wait_for "reeved answers in round $i" reeved_up
        assert_eq "$before" "$(fingerprint)" "round $i"
    done
    wait_for "all ready as before" has_ready rock 5
    has_ready talkative 1 || fail "readiness was not kept"
    assert_eq 0 "$(reevectl --json list | jq '[.. | objects | .restarts? // empty] | add')" "restarts counted"
    echo "$ROUNDS rounds, 0 workers lost, 0 restarted"
}

test_no_exit_record_is_lost_when_worker_and_daemon_die_together() {
    sleeper brittle
    reload
    wait_running brittle
    local i pid run kills=${REEVE_KILLS:-8}
    for ((i = 1; i <= kills; i++)); do
        wait_running brittle
        pid=$(main_pid brittle)
        run=$(prop "$(unit brittle)" InvocationID)
        if ((i % 2)); then kill -KILL "$pid" "$(reeved_pid)"; else kill -KILL "$(reeved_pid)" "$pid"; fi
        wait_for "reeved is back" reeved_up
        wait_for "a new process" eval "is_running brittle && [[ \$(main_pid brittle) != $pid ]]"
        wait_for "the end of run $run is recorded" eval "reevectl --json runs brittle/1 | jq -e 'any(.run == \"$run\")'"
        assert_rc 0 reevectl reset brittle
    done
    OUT=$(reevectl --json runs brittle/1)
    assert_eq "$kills" "$(jq length <<<"$OUT")" "one record a run"
    assert_eq "$kills" "$(jq '[.[].run] | unique | length' <<<"$OUT")"
    assert_eq 0 "$(jq '[.[] | select(.signal != 9)] | length' <<<"$OUT")" "each with its status"
}

test_a_worker_heals_while_reeved_is_dead() {
    worker orphan <<'TOML'
[worker]
exec = ["/bin/sleep", "infinity"]
[worker.restart]
unsupervised_after = "3s"
TOML
    reload
    wait_running orphan
    local pid run
    pid=$(main_pid orphan)
    run=$(prop "$(unit orphan)" InvocationID)
    systemctl stop reeved
    is_running orphan || fail "stopping reeved stopped a worker"
    kill -SEGV "$pid"
    wait_for "systemd restarts it" eval "is_running orphan && [[ \$(main_pid orphan) != $pid ]]"
    pid=$(main_pid orphan)
    systemctl start reeved
    wait_for "reeved is back" reeved_up
    assert_eq "$pid" "$(main_pid orphan)" "the new run is adopted"
    wait_for "the unseen end is recorded" eval "reevectl --json runs orphan/1 | jq -e 'any(.run == \"$run\" and .supervised == false)'"
    assert_eq 11 "$(reevectl --json runs orphan/1 | jq -r '.[0].signal')"
}

# PID 1's own records: of the runs it has begun to start, or has started.
runs_by_pid1() {
    local -A message=([starting]=7d4958e842da4a758f6c1cdc7b36dcc5 [started]=39f53479d3a045ac8e11786248231fbf)
    journalctl --sync
    journalctl -q -o json --since "@$TEST_BEGAN" _PID=1 "UNIT=$2" "MESSAGE_ID=${message[$1]}" |
        jq -r .INVOCATION_ID | sort -u
}
# All but PRESENT have ended: one record for each that has started, and none for what never began.
one_record_a_run() { # REPLICA UNIT PRESENT
    local records
    records=$(reevectl --json runs "$1" | jq -r ".[].run" | sort)
    [[ -z $(uniq -d <<<"$records") ]] &&
        [[ -z $(comm -23 <(runs_by_pid1 started "$2" | grep -v "$3") <(echo "$records")) ]] &&
        [[ -z $(comm -13 <(runs_by_pid1 starting "$2") <(echo "$records")) ]]
}
test_sup_p7_reeved_and_the_dead_man_start_it_at_the_same_time() {
    worker raced <<'TOML'
[worker]
exec = ["/bin/sleep", "24681012"]
[worker.restart]
backoff = { first = "0s", base = "0s", cap = "0s" }
breaker = "off"
unsupervised_after = "3s"
TOML
    reload
    wait_running raced
    local i pid reeved present
    reeved=$(reeved_pid)
    for i in 0 1 2 3 4 5; do
        pid=$(main_pid raced)
        kill -STOP "$reeved"
        kill -KILL "$pid"
        # PID 1 waits for 3 s: reeved learns of the death before, at and after that.
        sleep "$(awk -v i="$i" 'BEGIN { print 2.6 + i * 0.15 }')"
        kill -CONT "$reeved"
        wait_for "it is back ($i)" eval "healed $pid raced && knows raced"
        assert_eq 1 "$(pgrep -fc '^/bin/sleep 24681012')" "live runs"
    done
    assert_eq "$reeved" "$(reeved_pid)"
    present=$(prop "$(unit raced)" InvocationID)
    wait_for "one record a run" one_record_a_run raced/1 reeve-raced-1.service "$present"
    assert_eq 0 "$(reevectl --json runs raced/1 | jq '[.[] | select(.signal != 9 and .signal != 15)] | length')" "each with its status"
}

test_kill_in_the_middle_of_start_drain_and_stop() {
    install -d -m 777 /srv/mid
    rm -f /srv/mid/*
    worker slow <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "trap 'touch /srv/mid/told' USR1; trap 'sleep 2; exit 0' TERM; sleep 1; systemd-notify --ready; while :; do sleep 0.2; done"]
replicas = 2
working_directory = "/srv/mid"
[worker.ready]
notify = true
timeout = "90s"
[worker.drain]
signal = "SIGUSR1"
until = { exec = ["/usr/bin/test", "-e", "/srv/mid/done"] }
timeout = "60s"
TOML
    reload
    kill -KILL "$(reeved_pid)"
    wait_for "ready although the daemon died in their start" has_ready slow 2
    reevectl drain --no-wait slow
    wait_for "told" test -e /srv/mid/told
    kill -KILL "$(reeved_pid)"
    wait_for "reeved is back" reeved_up
    touch /srv/mid/done
    wait_for "the drain ends although the daemon died in it" no_workers
    assert_rc 0 reevectl start slow
    wait_for "ready again" has_ready slow 2
    reevectl stop --no-wait slow
    kill -KILL "$(reeved_pid)"
    wait_for "reeved is back" reeved_up
    wait_for "the stop ends although the daemon died in it" no_workers
    holds_for 3 "what an operator stopped stays down" no_workers
}

test_units_wait_in_auto_restart_over_reload_and_reexec() {
    worker pausing <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "exit 4"]
[worker.restart]
backoff = { first = "5s", base = "5s", cap = "5s", reset_after = "10min" }
breaker = "off"
unsupervised_after = "10min"
TOML
    reload
    wait_for "it has failed" eval 'reevectl --json runs pausing/1 | jq -e "length >= 1"'
    systemctl daemon-reload
    systemctl daemon-reexec
    systemctl restart dbus
    wait_for "reeved answers" reeved_up
    local n
    n=$(reevectl --json runs pausing/1 | jq length)
    wait_for "it goes on being restarted" eval "(( \$(reevectl --json runs pausing/1 | jq length) > $n ))"
    OUT=$(reevectl --json runs pausing/1)
    assert_eq "$(jq length <<<"$OUT")" "$(jq '[.[].run] | unique | length' <<<"$OUT")" "one record a run"
    assert_eq 0 "$(jq '[.[] | select(.exit_code != 4)] | length' <<<"$OUT")"
}

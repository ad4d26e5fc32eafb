# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# What an operator does: drain, pause, isolate, scale, roll, set, reload.

replica() { { reevectl --json status "$1" || true; } | jq -r --argjson n "$2" ".. | objects | select(.index? == \$n) | .$3" | head -n 1; }
last() { reevectl --json runs "$1" | jq -r ".[0].$2"; }

test_ord_06_drain_finishes_work_and_saves_state() {
    install -d -m 777 /srv/drain
    rm -f /srv/drain/*
    worker busy <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "trap 'echo drained >/srv/drain/notice' USR1; trap 'echo term >/srv/drain/term; exit 0' TERM; : >/srv/drain/up; while :; do sleep 0.2; done"]
working_directory = "/srv/drain"
[worker.drain]
signal = "SIGUSR1"
until = { exec = ["/usr/bin/test", "-e", "/srv/drain/done"] }
timeout = "90s"
save_state = ["/bin/sh", "-c", "ls /srv/drain >/srv/drain/saved"]
TOML
    reload
    wait_running busy
    wait_for "it hears signals" test -e /srv/drain/up
    reevectl drain --no-wait busy
    wait_for "it was told" test -e /srv/drain/notice
    wait_for "it is draining" equals draining replica busy 1 state
    assert_no_file /srv/drain/term
    touch /srv/drain/done
    wait_for "it is down" is_down "$(unit busy)"
    assert_file /srv/drain/saved
    assert_file /srv/drain/term
    ! grep -q term /srv/drain/saved || fail "its state was saved after it was stopped"
    wait_for "its end was the operator's" equals operator last busy/1 cause
}

test_sup_12_pause_isolate_resume() {
    worker talker <<'TOML'
[worker]
exec = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
TOML
    reload
    wait_for "it runs" has_ready talker 1
    local pid
    pid=$(main_pid talker)
    assert_rc 0 reevectl pause talker
    is_frozen talker || fail "it is not frozen"
    assert_eq paused "$(replica talker 1 state)"
    assert_rc 0 reevectl resume talker
    ! is_frozen talker || fail "it is still frozen"
    assert_rc 0 reevectl isolate --yes talker
    is_frozen talker || fail "it is not frozen"
    assert_contains "0.0.0.0/0" "$(prop "$(unit talker)" IPAddressDeny)"
    # A restart of the daemon leaves the evidence as it is.
    systemctl restart reeved
    wait_for "reeved is back" reeved_up
    wait_for "it is still isolated" equals isolated replica talker 1 state
    is_frozen talker || fail "it is not frozen"
    assert_rc 0 reevectl resume talker
    assert_eq "$pid" "$(main_pid talker)" "the process through all of it"
    assert_eq "" "$(prop "$(unit talker)" IPAddressDeny)"
}

test_sup_12_pause_where_reeved_may_not_write_cgroups() {
    trap no_drop_ins EXIT
    printf '[Service]\nReadWritePaths=\n' | drop_in read-only
    sleeper remote
    reload
    wait_running remote
    local pid
    pid=$(main_pid remote)
    assert_rc 0 reevectl pause remote
    is_frozen remote || fail "it is not frozen"
    assert_eq frozen "$(prop "$(unit remote)" FreezerState)" "by PID 1"
    systemctl restart reeved
    wait_for "reeved is back" reeved_up
    wait_for "it is still paused" equals paused replica remote 1 state
    assert_rc 0 reevectl resume remote
    ! is_frozen remote || fail "it is still frozen"
    assert_eq running "$(prop "$(unit remote)" FreezerState)"
    assert_rc 0 reevectl pause remote
    # Now it may: what PID 1 has frozen PID 1 must thaw.
    no_drop_ins
    assert_rc 0 reevectl resume remote
    assert_eq running "$(prop "$(unit remote)" FreezerState)"
    assert_eq "$pid" "$(main_pid remote)" "the process through all of it"
    assert_rc 0 reevectl stop remote
}

test_scale_up_and_down() {
    sleeper many 2
    reload
    wait_running many 2
    local first
    first=$(main_pid many 1)
    assert_rc 0 reevectl scale many 4
    wait_running many 4
    assert_rc 0 reevectl scale many 1
    assert_eq 1 "$(running_units | grep -c '^reeve-many-')"
    assert_eq "$first" "$(main_pid many 1)"
    systemctl restart reeved
    wait_for "reeved is back" reeved_up
    assert_eq 1 "$(running_units | grep -c '^reeve-many-')" "scaling by hand outlives the daemon"
}

test_more_stopped_at_once_than_the_bus_takes_calls() {
    runs_of_crowd() { systemctl show -p Id -p InvocationID 'reeve-crowd-*.service' | paste -sd '  \n' - | sed 's/ *$//' | sort; }
    # At 512 PID 1 loses its connection to the bus: none may be held for as long as a worker lives.
    match_rules_of_pid1() {
        busctl --json=short call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.Debug.Stats \
            GetConnectionStats s org.freedesktop.systemd1 | jq '.data[0].MatchRules.data'
    }
    sleeper crowd 150
    reload
    wait_for "all run" has_ready crowd 150
    local before
    before=$(runs_of_crowd)
    systemctl restart reeved
    wait_for "all are found again" has_ready crowd 150
    assert_eq "" "$(diff <(echo "$before") <(runs_of_crowd))" "runs before the restart and after it"
    assert_le "$(match_rules_of_pid1)" 100 "PID 1 follows no client for a worker that runs"
    assert_rc 0 reevectl stop crowd
    assert_eq "" "$(running_units)"
    # None had to be killed because it was not told.
    assert_eq 150 "$(reevectl --json runs crowd | jq '[.[] | select(.cause == "operator")] | length')" "stopped as asked"
}

test_rec_09_rolling_restart_one_by_one() {
    worker rolling <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "sleep 1; systemd-notify --ready; exec sleep infinity"]
replicas = 3
[worker.ready]
notify = true
timeout = "90s"
TOML
    reload
    wait_for "all are ready" has_ready rolling 3
    local before least=3 n
    before=$(fingerprint)
    reevectl restart --no-wait --rolling rolling
    local end=$((SECONDS + DEADLINE))
    until [[ $(comm -12 <(echo "$before" | sort) <(fingerprint | sort) | wc -l) == 0 ]] && has_ready rolling 3 >/dev/null; do
        ((SECONDS < end)) || fail "it did not end"
        n=$(reevectl --json list | jq '.. | objects | select(.name? == "rolling") | .ready' | head -n 1)
        ((n >= least)) || least=$n
    done
    assert_le 2 "$least" "at most one was missing at a time"
}

test_set_limits_live() {
    worker tight <<'TOML'
[worker]
exec = ["/bin/sleep", "infinity"]
[worker.resources]
memory = { limit = "64Mi" }
TOML
    reload
    wait_running tight
    local pid
    pid=$(main_pid tight)
    assert_eq $((64 << 20)) "$(prop "$(unit tight)" MemoryMax)"
    assert_rc 0 reevectl set tight memory_max=128M cpu_quota=150%
    wait_for "the limit is in force" equals $((128 << 20)) prop "$(unit tight)" MemoryMax
    assert_eq $((128 << 20)) "$(cat "/sys/fs/cgroup$(prop "$(unit tight)" ControlGroup)/memory.max")"
    assert_eq "$pid" "$(main_pid tight)"
    systemctl daemon-reload
    assert_eq $((128 << 20)) "$(prop "$(unit tight)" MemoryMax)" "it survives daemon-reload"
    assert_rc 5 reevectl set tight memory_max=lots
    assert_contains memory_max "$OUT"
}

test_sup_14_reload_touches_only_what_changed_and_refuses_mistakes() {
    sleeper one
    sleeper two
    reload
    wait_running one
    wait_running two
    local one two
    one=$(main_pid one) two=$(main_pid two)
    worker two <<'TOML'
[worker]
team = "test"
exec = ["/bin/sleep", "123456"]
TOML
    reload
    wait_for "the changed one was replaced" healed "$two" two
    assert_eq "$one" "$(main_pid one)"
    wait_running two
    local before
    before=$(fingerprint)
    worker two <<'TOML'
[worker]
exce = ["/bin/sleep", "1"]
replicas = "many"
TOML
    assert_rc 5 reevectl reload --wait
    assert_contains "two.toml:2" "$OUT"
    assert_contains "exec" "$OUT"
    assert_contains "two.toml:3" "$OUT"
    assert_eq "$before" "$(fingerprint)"
    assert_rc 1 reevectl config check
    assert_rc 78 reeved --check
    # systemctl reload says it too, and by its exit status.
    ! systemctl reload reeved || fail "systemctl reload must fail"
    assert_eq "$before" "$(fingerprint)"
    rm /etc/reeve/workers.d/two.toml
    reload
    wait_for "the removed one is gone" is_down "$(unit two)"
    assert_eq "$one" "$(main_pid one)"
}

test_sup_06_unplaceable() {
    worker elsewhere <<'TOML'
[worker]
exec = ["/bin/sleep", "infinity"]
node_selector = { role = "gpu" }
TOML
    reload
    wait_for "it says why" eval '[[ $(reevectl --json status elsewhere | jq -r ".state") == unplaceable ]]'
    assert_eq "" "$(running_units)"
}

test_node_drain_and_undrain() {
    sleeper a 2
    reload
    wait_running a 2
    assert_rc 0 reevectl node drain --reason "kernel update"
    assert_eq "" "$(running_units)"
    systemctl restart reeved
    wait_for "reeved is back" reeved_up
    holds_for 4 "a drained node starts nothing" no_workers
    assert_rc 0 reevectl node undrain
    wait_running a 2
}

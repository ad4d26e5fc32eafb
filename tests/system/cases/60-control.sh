# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# The bus: objects, levels, audit; reevectl's exit codes; systemd's view of us.

as_nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }

test_bus_objects_properties_and_introspection() {
    sleeper seen 2
    reload
    wait_running seen 2
    local bus=org.reeve.Node1 root=/org/reeve/Node1
    OUT=$(busctl tree --list "$bus")
    assert_contains "$root/worker/seen/1" "$OUT"
    OUT=$(busctl introspect "$bus" "$root")
    assert_contains "org.reeve.Node1.Manager" "$OUT"
    assert_contains "org.reeve.Node1.Workers" "$OUT"
    assert_contains ready "$(busctl get-property "$bus" "$root/worker/seen/1" org.reeve.Node1.Replica State)"
    OUT=$(busctl call "$bus" "$root" org.reeve.Node1.Workers ListWorkers 'a{sv}' 0)
    assert_contains seen "$OUT"
    assert_rc 1 busctl call "$bus" "$root" org.reeve.Node1.Workers Stop 'sa{sv}' nothere 0
    assert_contains "nothere" "$OUT"
    gdbus call --system --dest "$bus" --object-path "$root" --method org.freedesktop.DBus.ObjectManager.GetManagedObjects >/dev/null
}

test_sec_01_levels() {
    sleeper guarded
    reload
    wait_running guarded
    local pid
    pid=$(main_pid guarded)
    # Reading is free, operating and administering are not.
    as_nobody reevectl list >/dev/null || fail "nobody may not read"
    assert_rc 4 as_nobody reevectl --no-ask-password restart guarded
    assert_contains manage-workers "$OUT"
    assert_rc 4 as_nobody reevectl --no-ask-password reload
    assert_eq "$pid" "$(main_pid guarded)"
    # A member of reeve-operators may operate, not administer.
    id ops >/dev/null 2>&1 || useradd -G reeve-operators ops
    assert_rc 0 setpriv --reuid=ops --regid=ops --init-groups reevectl --no-ask-password restart guarded
    assert_rc 4 setpriv --reuid=ops --regid=ops --init-groups reevectl --no-ask-password reload
}

test_sec_03_every_mutating_call_is_audited() {
    sleeper audited
    reload
    wait_running audited
    assert_rc 0 reevectl restart --reason "because of the test" audited
    assert_rc 4 as_nobody reevectl --no-ask-password stop audited
    wait_for "both are in the security journal" eval \
        'journalctl --namespace=reeve-audit -o json REEVE_AUDIT=1 --since "@$TEST_BEGAN" | jq -e -s "any(.REEVE_REASON == \"because of the test\") and any(.REEVE_CALLER_UID == \"65534\")"'
    OUT=$(reevectl --json audit)
    assert_contains "because of the test" "$OUT"
    assert_rc 0 reevectl audit verify
    # A changed entry is named.
    systemctl stop reeved
    cp -a /var/lib/reeve/audit /tmp/audit.kept 2>/dev/null || cp -a /var/lib/reeve/audit.jsonl /tmp/audit.kept
    sed -i '1s/"uid":[0-9]*/"uid":4242/' "$(find /var/lib/reeve -name 'audit*.jsonl' | sort | head -n 1)"
    systemctl start reeved
    wait_for "reeved is back" reeved_up
    assert_rc 1 reevectl audit verify
    systemctl stop reeved
    rm -rf /var/lib/reeve/audit /var/lib/reeve/audit.jsonl
    systemctl start reeved
    wait_for "reeved is back" reeved_up
}

test_exit_codes_of_reevectl() {
    sleeper e
    reload
    wait_running e
    assert_rc 2 reevectl no-such-verb
    assert_rc 5 reevectl stop no-such-worker
    assert_contains no-such-worker "$OUT"
    assert_rc 0 reevectl status e
    # The bus would start a stopped daemon; a root of its own has none.
    assert_rc 3 reevectl --root /nonexistent list
}

test_the_unit_is_a_good_citizen() {
    assert_eq notify "$(prop reeved Type)"
    assert_ne "" "$(prop reeved StatusText)"
    assert_match "workers" "$(prop reeved StatusText)"
    assert_ne 0 "$(prop reeved WatchdogUSec)"
    # A stuck loop is noticed by PID 1: stopped, it no longer feeds the watchdog.
    sleeper w
    reload
    wait_running w
    local before pid
    before=$(fingerprint) pid=$(reeved_pid)
    kill -STOP "$pid"
    wait_for "the watchdog restarts it" eval "reeved_up && [[ \$(reeved_pid) != $pid ]]"
    assert_eq "$before" "$(fingerprint)"
    assert_contains "a worker was started" "$(journalctl -x --no-pager -u reeved --since "@$TEST_BEGAN")"
}

hold_count() { busctl get-property org.reeve.Node1 /org/reeve/Node1 org.reeve.Node1.Manager HoldCount; }
test_a_hold_outlives_the_daemon_and_ends_with_its_owner() {
    local out holder
    out=$(mktemp)
    # shellcheck disable=SC2154 # set by tests/system/run
    python3 "$here/hold.py" updater "a new kernel" >"$out" 2>&1 &
    holder=$!
    # shellcheck disable=SC2064 # this very process
    trap "kill $holder 2>/dev/null || true; rm -f $out" EXIT
    wait_for "it holds" grep -x held "$out"
    assert_eq "u 1" "$(hold_count)"
    sleeper wanted
    reload
    local how
    for how in "systemctl restart reeved" "systemctl kill --signal=KILL reeved"; do
        $how
        wait_for "reeved is back after $how" reeved_up
        wait_for "the hold is there again" equals "u 1" hold_count
        assert_contains "updater: a new kernel" "$(reevectl status)"
        ! grep -q over "$out" || fail "its owner was told that it is over"
        # What it holds back.
        holds_for 3 "nothing is started under it" eval '! is_running wanted'
    done
    kill "$holder"
    wait_for "it ends with its owner" equals "u 0" hold_count
    wait_running wanted
    assert_eq "" "$(ls /run/reeve/holds)"
}

test_idle_daemon_is_small() {
    sleeper idle 50
    reload
    wait_running idle 50
    local pid pss
    pid=$(reeved_pid)
    pss=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")
    echo "PSS of reeved with 50 workers: $pss KiB"
    assert_le "$pss" 20480
}

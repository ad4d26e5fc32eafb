# shellcheck shell=bash
# Reinstall, remove, purge. Last, because afterwards the package is gone.

test_reinstall_touches_no_worker() {
    sleeper steady 3
    reload
    wait_running steady 3
    local before daemon
    before=$(fingerprint)
    daemon=$(reeved_pid)
    install_deb
    wait_for "reeved is back" reeved_up
    assert_ne "$daemon" "$(reeved_pid)" "an upgrade restarts the daemon"
    assert_eq "$before" "$(fingerprint)" "workers across the upgrade"
    holds_for 5 "workers stay the same after the upgrade" equals "$before" fingerprint
}

test_remove_stops_everything_and_keeps_the_configuration() {
    [[ -n $(the_deb) ]] || skip "no package file at hand to install again"
    sleeper last 2
    reload
    wait_running last 2
    local pids
    pids=$(main_pid last 1; main_pid last 2)
    OUT=$(DEBIAN_FRONTEND=noninteractive dpkg -r reeve 2>&1) || fail "$OUT"
    assert_contains "STOPPING ALL WORKERS" "$OUT"
    local pid
    for pid in $pids; do wait_for "worker process $pid is gone" is_gone "$pid"; done
    assert_eq "" "$(running_units)"
    is_down reeved.service || fail "reeved still runs"
    is_down reeve.slice || fail "reeve.slice is still active"
    assert_file /etc/reeve/reeve.toml
    assert_file /etc/reeve/workers.d/last.toml
    install_deb
    wait_for "reeved is back after the new installation" reeved_up
}

# man keeps formatted pages it has shown for a while; that cache is its own.
left_in_files() {
    find / -xdev -not -path '/var/cache/man/*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/vmtest*' -not -path '/tmp/*' \
        \( -iname '*reeve*' -o -iname '*reevectl*' \) 2>/dev/null || true
}
left_in_systemd() { systemctl list-units --all --plain --no-legend | grep -i reeve || true; }
left_in_polkit() { pkaction | grep org.reeve || true; }
test_purge_leaves_nothing() {
    [[ -n $(the_deb) ]] || skip "would take the package under test away"
    sleeper last
    reload
    wait_running last
    OUT=$(DEBIAN_FRONTEND=noninteractive dpkg --purge reeve 2>&1) || fail "$OUT"
    local path
    for path in /etc/reeve /var/lib/reeve /run/reeve /run/systemd/journal.reeve-audit /usr/lib/reeve \
        /etc/systemd/system/multi-user.target.wants/reeved.service \
        /etc/systemd/system/dbus-org.reeve.Node1.service /sys/fs/cgroup/reeve.slice; do
        wait_for "$path is gone" eval "[[ ! -e $path && ! -L $path ]]"
    done
    # PID 1 and polkit forget in their own time.
    local place end
    for place in files systemd polkit; do
        end=$((SECONDS + DEADLINE))
        until [[ -z $("left_in_$place") ]] || ((SECONDS >= end)); do sleep 0.5; done
        assert_eq "" "$("left_in_$place")" "left in $place"
    done
    getent passwd reeve-worker >/dev/null || fail "users are kept, as files of theirs may be"
}

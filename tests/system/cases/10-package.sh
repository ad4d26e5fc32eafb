# shellcheck shell=bash
# What the package puts on a machine and how the daemon sits there.

test_install_leaves_the_daemon_running_and_enabled() {
    wait_for "reeved is active" is_active reeved.service
    assert_eq enabled "$(systemctl is-enabled reeved.service)"
    assert_eq notify "$(prop reeved.service Type)"
    local status
    status=$(systemctl status --no-pager reeved.service)
    assert_contains "active (running)" "$status"
    assert_contains 'Status: "' "$status" "no STATUS line"
    assert_rc 0 reevectl status
}

test_unit_is_valid_on_this_systemd() {
    OUT=$(systemd-analyze verify reeved.service reeve.slice 2>&1) || true
    # Other units of the machine may have complaints of their own.
    OUT=$(grep -E '(reeved\.service|reeve\.slice)' <<<"$OUT" || true)
    assert_eq "" "$OUT" "systemd complains"
}

test_exposure_is_low() {
    local score
    score=$(systemd-analyze security --no-pager reeved.service |
        sed -nE 's/.*exposure level for reeved.service: ([0-9.]+).*/\1/p')
    echo "reeved.service $score; its peers here:"
    systemd-analyze security --no-pager | grep -E 'reeve|journald|logind|networkd|polkit|mosquitto' || true
    assert_le "$score" 2.3 "exposure"
}

test_the_daemon_has_no_capabilities() {
    local pid
    pid=$(reeved_pid)
    assert_eq 0000000000000000 "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")"
    assert_eq 0000000000000000 "$(awk '/^CapBnd/ { print $2 }' "/proc/$pid/status")"
}

test_memory_and_descriptors_are_bounded() {
    assert_eq 1073741824 "$(prop reeved.service MemoryMax)"
    assert_eq 4096 "$(prop reeved.service FileDescriptorStoreMax)"
    assert_eq 30000000 "$(prop reeved.service WatchdogUSec | sed 's/^30s$/30000000/')"
}

test_folders_have_their_modes() {
    assert_eq "700 root" "$(stat -c '%a %U' /var/lib/reeve)"
    assert_eq "755 root" "$(stat -c '%a %U' /run/reeve)"
    assert_eq "750 root" "$(stat -c '%a %U' /etc/reeve)"
    assert_eq "700 root" "$(stat -c '%a %U' /etc/reeve/credentials)"
    OUT=$(journalctl --no-pager -b -u reeved.service | grep 'mode is different' || true)
    assert_eq "" "$OUT"
}

test_users_and_groups_exist() {
    getent passwd reeve-worker >/dev/null || fail "no user reeve-worker"
    assert_eq "" "$(getent group reeve-operators | cut -d: -f4)" "operators on a fresh machine"
    assert_eq "" "$(getent group reeve-admins | cut -d: -f4)" "administrators on a fresh machine"
}

test_polkit_knows_every_action() {
    local shipped known
    shipped=$(grep -o '<action id="[^"]*"' /usr/share/polkit-1/actions/org.reeve.node1.policy | cut -d'"' -f2 | sort)
    assert_eq 35 "$(wc -l <<<"$shipped")"
    known=$(pkaction | grep '^org\.reeve\.node1\.' | sort)
    assert_eq "$shipped" "$known"
}

# may USER ACTION: what polkit answers for a process of that user.
may() {
    local pid answer=0
    setpriv --reuid "$1" --regid "$1" --init-groups sleep 60 &
    pid=$!
    wait_for "the process of $1" grep -q sleep "/proc/$pid/comm"
    pkcheck --action-id "org.reeve.node1.$2" --process "$pid,$(awk '{ print $22 }' /proc/$pid/stat),$(id -u "$1")" \
        >/dev/null 2>&1 || answer=$?
    kill "$pid"
    return "$answer"
}
may_not() { ! may "$@"; }

test_groups_grant_levels() {
    local u
    for u in reader operator admin; do id "t-$u" >/dev/null 2>&1 || useradd -M "t-$u"; done
    usermod -aG reeve-operators t-operator
    usermod -aG reeve-admins t-admin

    may t-reader read-status || fail "anybody reads the status"
    may_not t-reader read-logs || fail "a reader must not read logs"
    may_not t-reader manage-workers || fail "a reader must not operate"
    may t-operator read-logs || fail "an operator reads logs"
    may t-operator manage-workers || fail "an operator operates"
    may t-operator cancel-own || fail "an operator cancels"
    may_not t-operator reload-config || fail "an operator must not administer"
    may t-admin read-config || fail "an administrator reads the configuration"
    may t-admin manage-workers || fail "an administrator operates"
    may t-admin reload-config || fail "an administrator reloads"
    may t-admin rollout-control || fail "an administrator controls rollouts"
}

test_only_root_owns_the_bus_name() {
    assert_eq 0 "$(busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
        GetConnectionUnixUser s org.reeve.Node1 | awk '{ print $2 }')"
    OUT=$(setpriv --reuid nobody --regid nogroup --clear-groups busctl call org.freedesktop.DBus \
        /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.reeve.Node1 0 2>&1 || true)
    assert_match 'denied|not allowed' "$OUT"
}

test_anyone_may_introspect_and_read() {
    OUT=$(setpriv --reuid nobody --regid nogroup --clear-groups \
        busctl introspect org.reeve.Node1 /org/reeve/Node1 2>&1) || fail "$OUT"
    assert_contains org.reeve.Node1.Manager "$OUT"
}

test_the_bus_starts_a_stopped_daemon() {
    systemctl stop reeved.service
    busctl call org.reeve.Node1 /org/reeve/Node1 org.freedesktop.DBus.Peer Ping
    wait_for "activation" is_active reeved.service
}

test_catalogue_is_installed() {
    local ids
    ids=$(grep -c '^-- [0-9a-f]\{32\}' /usr/lib/systemd/catalog/reeve.catalog)
    ((ids > 0)) || fail "the catalogue is empty"
    sed -nE 's/^-- ([0-9a-f]{32}).*/\1/p' /usr/lib/systemd/catalog/reeve.catalog | while read -r id; do
        journalctl --no-pager --dump-catalog "$id" | grep -q . || fail "catalogue lacks $id"
    done
}

test_man_pages_and_completions_are_installed() {
    local page
    for page in reevectl.1 reeved.8 reeve.toml.5; do
        man -w "${page##*.}" "${page%.*}" >/dev/null || fail "no man page $page"
    done
    assert_file /usr/share/bash-completion/completions/reevectl
    assert_file /usr/share/zsh/vendor-completions/_reevectl
    assert_file /usr/share/fish/vendor_completions.d/reevectl.fish
}

test_audit_namespace_takes_and_keeps_entries() {
    is_active systemd-journald@reeve-audit.socket || fail "the audit socket is not there"
    assert_file /run/systemd/journal.reeve-audit/socket
    sleeper audited
    reload
    wait_for "the reload is in the audit journal" \
        bash -c "journalctl --no-pager --namespace=reeve-audit -o json REEVE_AUDIT=1 | grep -q REEVE_ACTION"
    ls -d /var/log/journal/*.reeve-audit >/dev/null || fail "the audit journal is not kept on disk"
}

# check_root ROOT WHAT: the daemon's own check. A machine too small for the figures of
# an example is no mistake in the example.
check_root() {
    OUT=$(reeved --root "$1" --check 2>&1) && return
    OUT=$(grep -viE 'unplaceable|does not fit|more than this (node|host)' <<<"$OUT" | grep -iE 'error|\.toml' || true)
    [[ -z $OUT ]] || fail "$2: $OUT"
}

test_shipped_settings_are_valid_as_they_are_and_with_every_line_in_force() {
    local root
    root=$(mktemp -d)
    mkdir -p "$root/etc/reeve/workers.d"
    assert_rc 0 reeved --root "$root" --check
    cp /etc/reeve/reeve.toml "$root/etc/reeve/"
    assert_rc 0 reeved --root "$root" --check
    sed -E 's/^# (\[|[a-z_]+ = )/\1/' /etc/reeve/reeve.toml >"$root/etc/reeve/reeve.toml"
    check_root "$root" reeve.toml
    rm -rf "$root"
}

test_examples_are_valid() {
    local f root
    root=$(mktemp -d)
    mkdir -p "$root/etc/reeve/workers.d"
    for f in /usr/share/doc/reeve/examples/workers.d/*.example; do
        rm -f "$root"/etc/reeve/workers.d/*
        cp "$f" "$root/etc/reeve/workers.d/$(basename "$f" .example)"
        check_root "$root" "$(basename "$f")"
    done
    rm -rf "$root"
}

test_the_example_http_server_runs() {
    command -v python3 >/dev/null || skip "no python3"
    cp /usr/share/doc/reeve/examples/workers.d/http-server.toml.example "$REEVE_ETC/workers.d/http-server.toml"
    reload
    wait_running http-server 2
    wait_for "both replicas are ready" has_ready http-server 2
    assert_eq reeve-worker "$(ps -o user:32= -p "$(main_pid http-server 1)" | tr -d ' ')" "user of a worker that names none"
}

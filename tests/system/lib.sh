# shellcheck shell=bash
# What the cases lean on: waiting, asserting, workers made for a test.
#
# A booted test machine may be ten times slower than a real one. So: wait for a
# condition with a long deadline, never sleep for a result, and compare
# durations with each other rather than with the clock.

REEVE_ETC=/etc/reeve
DEADLINE=${DEADLINE:-240}

# --- saying what went wrong ---------------------------------------------------

fail() {
    echo "FAILED: $*"
    local i
    for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
        [[ ${FUNCNAME[i]} == run_one ]] && break
        echo "  in ${FUNCNAME[i]} (${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]})"
    done
    exit 1
}
skip() { echo "SKIPPED: $*"; exit 77; }

assert_eq() { [[ $1 == "$2" ]] || fail "${3:-values differ}: expected '$1', found '$2'"; }
assert_ne() { [[ $1 != "$2" ]] || fail "${3:-values are the same}: '$1'"; }
assert_match() { [[ $2 =~ $1 ]] || fail "${3:-text does not match}: /$1/ in: $2"; }
assert_contains() { [[ $2 == *"$1"* ]] || fail "${3:-text is missing}: '$1' in: $2"; }
assert_file() { [[ -e $1 ]] || fail "no such file: $1"; }
assert_no_file() { [[ ! -e $1 && ! -L $1 ]] || fail "still there: $1"; }
# assert_le A B: numbers, decimals welcome.
assert_le() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }' || fail "${3:-too large}: $1 > $2"; }
# assert_rc N COMMAND...: exit status; the output is kept in $OUT.
assert_rc() {
    local want=$1 rc=0
    shift
    OUT=$("$@" 2>&1) || rc=$?
    [[ $rc == "$want" ]] || fail "'$*' ended with $rc instead of $want: $OUT"
}

# --- waiting -----------------------------------------------------------------

# wait_for WHAT COMMAND...: until the command succeeds; $DEADLINE seconds at most.
wait_for() {
    local what=$1 end=$((SECONDS + DEADLINE))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "waited $DEADLINE s for: $what ('$*')"
        sleep 0.2
    done
}
# holds_for SECONDS WHAT COMMAND...: the command keeps succeeding.
holds_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    while ((SECONDS < end)); do
        "$@" >/dev/null 2>&1 || fail "did not stay so: $what ('$*')"
        sleep 0.3
    done
}
is_gone() { ! kill -0 "$1" 2>/dev/null; }
equals() { [[ $("${@:2}" 2>/dev/null) == "$1" ]]; }

# --- units -------------------------------------------------------------------

prop() { systemctl show --value -p "$2" "$1"; }
# Replicas count from 1.
unit() { echo "reeve-$1-${2:-1}.service"; }
main_pid() { prop "$(unit "$@")" MainPID; }
is_active() { systemctl --quiet is-active "$1"; }
# is_down UNIT: it has ended for good. A unit that is still stopping is not active either.
is_down() { [[ $(systemctl show -P ActiveState "$1") =~ ^(inactive|failed)$ ]]; }
# healed PID WORKER [REPLICA]: it runs, and not as that process any more.
healed() { is_running "${@:2}" && [[ $(main_pid "${@:2}") != "$1" ]]; }
is_running() { [[ $(main_pid "$@") != 0 ]] && [[ $(prop "$(unit "$@")" SubState) == running ]]; }
# is_frozen WORKER [REPLICA]: by the kernel's word. PID 1's FreezerState knows only of what PID 1 froze.
is_frozen() { grep -q '^frozen 1$' "/sys/fs/cgroup$(prop "$(unit "$@")" ControlGroup)/cgroup.events"; }
running_units() {
    systemctl list-units --plain --no-legend --state=running 'reeve-*.service' | awk '{ print $1 }' | sort
}
# One line a worker: unit, main pid, run. Equal before and after = untouched.
fingerprint() {
    local u
    for u in $(running_units); do
        echo "$u $(systemctl show --value -p MainPID "$u") $(systemctl show --value -p InvocationID "$u")"
    done
}
no_workers() { [[ -z $(running_units) ]]; }
reeved_up() { is_active reeved.service && reevectl -q list; }
reeved_pid() { prop reeved.service MainPID; }
# The daemon's own journal, since the current test began.
journal() {
    journalctl --sync
    journalctl --no-pager -o cat --since "@$TEST_BEGAN" -u reeved.service
}
# said TEXT: the daemon's journal has it. (No pipe into `grep -q`: it ends the writer, and pipefail takes that for a no.)
said() { [[ $(journal) == *"$1"* ]]; }

# drop_in NAME: an extra part of reeved's unit, from stdin, in force at once. no_drop_ins takes all back.
DROP_INS=/run/systemd/system/reeved.service.d
drop_in() {
    install -d "$DROP_INS"
    cat >"$DROP_INS/$1.conf"
    apply_unit
}
no_drop_ins() {
    rm -rf "$DROP_INS"
    apply_unit
}
apply_unit() {
    systemctl daemon-reload
    systemctl restart reeved
    wait_for "reeved is back" reeved_up
}

# --- workers -----------------------------------------------------------------

# worker NAME: writes its definition from stdin. Reload afterwards.
worker() {
    install -d "$REEVE_ETC/workers.d"
    cat >"$REEVE_ETC/workers.d/$1.toml"
}
# sleeper NAME [REPLICAS]: the plainest worker there is.
sleeper() {
    worker "$1" <<TOML
[worker]
team = "test"
exec = ["/bin/sleep", "infinity"]
replicas = ${2:-1}
TOML
}
reload() { assert_rc 0 reevectl reload --wait; }
wait_running() { # NAME [REPLICAS]
    local n
    for ((n = 1; n <= ${2:-1}; n++)); do
        wait_for "$1/$n runs" is_running "$1" "$n"
    done
    # PID 1 says so before reeved has heard of it.
    wait_for "reeved knows that $1 runs" has_ready "$1" "${2:-1}"
}
# knows WORKER [REPLICA]: the run that PID 1 has is the one that reeved holds for ready.
knows() {
    local run
    run=$(prop "$(unit "$@")" InvocationID)
    [[ -n $run ]] && reevectl --json list | jq -e --arg name "$1" --argjson n "${2:-1}" --arg run "$run" \
        'any(.. | objects | select(.name? == $name) | .replicas[]?; .index == $n and .run == $run and .ready)'
}
# has_ready NAME N: as many replicas are ready, by reevectl.
has_ready() {
    reevectl --json list |
        jq -e --arg name "$1" --argjson n "$2" 'any(.. | objects; .name? == $name and .ready? == $n)'
}

# --- between tests -----------------------------------------------------------

# Back to an installed daemon, running, without workers, drop-ins or holds.
reset_node() {
    command -v reevectl >/dev/null || return 0
    rm -f "$REEVE_ETC"/workers.d/*.toml "$REEVE_ETC"/reeve.toml.d/*.toml
    rm -rf "$REEVE_ETC"/workers.d/*.toml.d
    systemctl reset-failed reeved.service 2>/dev/null
    is_active reeved.service || systemctl start reeved.service
    reevectl node undrain >/dev/null 2>&1
    reevectl reload --wait >/dev/null 2>&1
    local end=$((SECONDS + DEADLINE))
    until no_workers || ((SECONDS >= end)); do sleep 0.2; done
    if ! no_workers; then
        echo "reset: workers left over, stopped by force: $(running_units | tr '\n' ' ')"
        running_units | xargs -r systemctl stop
    fi
    systemctl reset-failed 'reeve-*.service' 2>/dev/null
    return 0
}

the_deb() { find "${VMTEST_DEBS:-/nonexistent}" -name 'reeve_*.deb' 2>/dev/null | head -n 1; }
install_deb() {
    local deb
    deb=$(the_deb)
    [[ -n $deb ]] || skip "no package file at hand to install again"
    DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i "$deb"
}

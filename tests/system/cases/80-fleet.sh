# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# The fleet: the packaged daemon and two more nodes elect over a mosquitto with the printed configuration, TLS and
# certificates from systemd's credentials.

AT=/var/tmp/reeve-fleet
HERE=$(hostname)

signed() { # NAME [SAN]: a key and a certificate of the fleet's authority
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$AT/$1.key" -subj "/CN=$1" 2>/dev/null |
        openssl x509 -req -days 2 -CA "$AT/ca.crt" -CAkey "$AT/ca.key" -CAcreateserial -out "$AT/$1.crt" \
            -extfile <(echo "subjectAltName=DNS:${2:-$1}") 2>/dev/null
}
settings() { # NODE: its reeve.toml
    printf '[node]\nname = "%s"\n[fleet]\nname = "lab"\nvoters = ["%s", "b", "c"]\n' "$1" "$HERE"
    printf 'brokers = ["mqtts://localhost:8883"]\ncredentials = "mqtt"\n'
}
broker() { # start, or stop
    if [[ $1 == stop ]]; then
        systemctl stop fleet-broker.service
    else
        systemd-run --quiet --collect --unit=fleet-broker mosquitto -c "$AT/reeve.conf"
    fi
}
extra() { # NODE: another node on this machine
    local root=$AT/$1
    mkdir -p "$root/etc/reeve/credentials"
    settings "$1" >"$root/etc/reeve/reeve.toml"
    cp "$AT/$1.crt" "$root/etc/reeve/credentials/mqtt.crt"
    cp "$AT/$1.key" "$root/etc/reeve/credentials/mqtt.key"
    cp "$AT/ca.crt" "$root/etc/reeve/credentials/mqtt.ca"
    systemd-run --quiet --collect --unit="fleet-$1" reeved --root "$root" --launcher direct
}
of() { reevectl --root "$AT/$1" "${@:2}"; }
field() { reevectl --json fleet status | jq -r ".$1"; }
led_by() { [[ $(field leader) == "$1" && $(field quorum) == true ]]; }
led() { [[ $(field quorum) == true ]]; }
fleet_gone() {
    systemctl stop fleet-b.service fleet-c.service fleet-broker.service 2>/dev/null
    rm -rf "$AT" "$REEVE_ETC/reeve.toml.d/fleet.toml"
    no_drop_ins
}

test_rec_02_sec_08_a_fleet_over_tls_with_the_printed_permissions() {
    command -v mosquitto openssl jq >/dev/null || skip "no mosquitto, openssl or jq here"
    trap fleet_gone EXIT
    sleeper steady 2
    reload
    wait_running steady 2
    local before
    before=$(fingerprint)

    mkdir -p "$AT" "$REEVE_ETC/reeve.toml.d"
    chmod 755 "$AT"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$AT/ca.key" -out "$AT/ca.crt" \
        -subj /CN=lab-ca -days 2 2>/dev/null
    signed broker localhost
    for node in "$HERE" b c; do signed "$node"; done
    settings "$HERE" >"$REEVE_ETC/reeve.toml.d/fleet.toml"
    drop_in fleet <<UNIT
[Service]
LoadCredential=mqtt.crt:$AT/$HERE.crt
LoadCredential=mqtt.key:$AT/$HERE.key
LoadCredential=mqtt.ca:$AT/ca.crt
UNIT
    wait_for "reeved is up" reeved_up
    assert_rc 1 reevectl fleet status
    assert_contains "no broker is connected" "$OUT"
    assert_contains "no broker is connected" "$(prop reeved.service StatusText)"

    # The printed files, with this test's own paths.
    reevectl fleet broker-config | sed -e "s#/etc/mosquitto/certs#$AT#; s#/etc/mosquitto/conf.d#$AT#; s#/etc/mosquitto#$AT#" \
        >"$AT/printed"
    awk '/^# file: /{ f = $3 } f { print > f }' "$AT/printed"
    chmod 644 "$AT"/*.key "$AT"/*.crt "$AT"/reeve.*
    broker start
    extra b
    extra c
    wait_for "somebody leads" led
    wait_for "all three are heard" eval '(( $(reevectl --json fleet nodes | jq "map(select(.state == \"alive\")) | length") == 3 ))'
    assert_match 'leader [a-z0-9-]+, term [0-9]+' "$(prop reeved.service StatusText)"
    assert_eq "$before" "$(fingerprint)" "workers were touched by joining a fleet"
    journalctl --sync
    assert_contains "Workers are not touched" "$(journalctl -x -u reeved.service -o short --no-pager)" "catalogue text"

    # Slots: who may, who waits, who is in the way.
    assert_rc 4 setpriv --reuid=nobody --regid=nogroup --clear-groups reevectl --no-ask-password fleet ask reboot
    assert_rc 0 reevectl --json fleet ask reboot --reason "new kernel"
    local slot
    slot=$(reevectl --json fleet slots | jq -r '.[0].id')
    assert_match "^$HERE/[0-9]+\.1$" "$slot"
    assert_rc 0 of b fleet ask reboot --no-wait --reason "b too"
    wait_for "b waits and sees who is in the way" eval "of b fleet why | grep -qF '$slot is held'"
    assert_rc 0 reevectl fleet release "$slot"
    wait_for "b has it" eval 'of b --json fleet slots | jq -e "any(.[]; .holder == \"b\" and .state == \"granted\")"'

    # The leader dies; nobody's work does.
    # A leader cannot hand over to itself, and by chance this node leads already.
    led_by "$HERE" || assert_rc 0 reevectl fleet handover "$HERE" --reason test
    wait_for "this node leads" led_by "$HERE"
    local term pid
    term=$(field term) pid=$(reeved_pid)
    systemctl kill --kill-whom=main --signal=KILL reeved.service
    wait_for "another leads" eval "! [[ \$(of b --json fleet status | jq -r .leader) == $HERE ]] && [[ \$(of b --json fleet status | jq .quorum) == true ]]"
    wait_for "reeved is back" eval "reeved_up && [[ \$(reeved_pid) != $pid ]]"
    wait_for "it follows" led
    (($(field term) > term)) || fail "the term did not grow: $(field term) after $term"
    assert_eq "$before" "$(fingerprint)" "workers were touched by the leader's death"

    # The broker goes and comes back with nothing.
    broker stop
    wait_for "it says so" eval '[[ $(prop reeved.service StatusText) == *"no broker is connected"* ]]'
    broker start
    wait_for "and it is over" led
    assert_eq "$before" "$(fingerprint)" "workers were touched by the broker's loss"
    wait_for "metrics tell" eval "curl -sf http://127.0.0.1:9723/metrics | grep -q '^reeve_mqtt_connected{.*} 1'"
}

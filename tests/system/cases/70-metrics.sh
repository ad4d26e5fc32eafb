# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# Metrics: the endpoint, the figures against the kernel's own files, a Prometheus that scrapes and alerts.

ENDPOINT=http://127.0.0.1:9723
page() { curl -sf --max-time 30 "$ENDPOINT/metrics"; }
# value FAMILY LABEL…: the one series of a family with all these labels ('name="x"').
value() {
    local family=$1 label
    shift
    page | grep -E "^$family(\{| )" | {
        local lines
        lines=$(cat)
        for label in "$@"; do lines=$(grep -F "$label" <<<"$lines"); done
        awk '{ print $NF }' <<<"$lines" | head -n 1
    }
}
value_is() { [[ $(value "${@:2}") == "$1" ]]; }
has_value() { [[ -n $(value "$@") ]]; }
cgroup() { echo "/sys/fs/cgroup$(prop "$(unit "$@")" ControlGroup)"; }

has_cpu() { [[ $(page) == *$'\n'node_cpu_seconds_total* ]]; }
test_met_18_endpoint_on_loopback_in_both_formats() {
    wait_for "the endpoint answers" has_cpu
    assert_eq 127.0.0.1:9723 "$(ss -Hltn 'sport = :9723' | awk '{ print $4 }')" "only loopback is listened on"
    assert_contains "text/plain; version=0.0.4" "$(curl -si --max-time 30 "$ENDPOINT/metrics" | grep -i ^content-type)"
    local open
    open=$(curl -sf --max-time 30 -H 'Accept: application/openmetrics-text; version=1.0.0' "$ENDPOINT/metrics")
    assert_eq '# EOF' "$(tail -n 1 <<<"$open")"
    curl -sf --max-time 30 -H 'Accept-Encoding: gzip' "$ENDPOINT/metrics" | gzip -t || fail "not gzip"
    assert_eq 200 "$(curl -s -o /dev/null -w '%{http_code}' "$ENDPOINT/healthz")"
    assert_contains '"components"' "$(curl -s "$ENDPOINT/health")"
    assert_rc 0 reevectl --json metrics 'node_load*'
}

closed() { ! curl -s -o /dev/null --max-time 5 "$ENDPOINT/healthz"; }
test_met_18_systemd_opens_the_endpoint() {
    trap "systemctl stop reeved-metrics.socket; no_drop_ins" EXIT
    local first listeners
    systemctl stop reeved.service
    wait_for "nobody listens" closed
    systemctl start reeved-metrics.socket
    # The question itself starts the daemon, and is answered, not refused.
    assert_eq 200 "$(curl -s -o /dev/null -w '%{http_code}' --max-time 60 "$ENDPOINT/healthz")"
    wait_for "reeved is up" reeved_up
    listeners=$(ss -Hltnp 'sport = :9723')
    assert_eq 1 "$(wc -l <<<"$listeners")" "one socket, PID 1's"
    assert_contains '"systemd",pid=1,' "$listeners"
    first=$(reeved_pid)
    assert_contains "pid=$first," "$listeners"
    # It stays open over a restart: whoever asks meanwhile waits.
    systemctl --no-block restart reeved.service
    assert_eq 200 "$(curl -s -o /dev/null -w '%{http_code}' --max-time 60 "$ENDPOINT/healthz")"
    wait_for "it is another" eval "reeved_up && [[ \$(reeved_pid) != $first ]]"
}

certificate() { # NAME: a CA of its own if it ends in ca, else signed by the one called ca
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -subj "/CN=$1")
    if [[ $1 == *ca ]]; then
        openssl req -x509 "${key[@]}" -days 2 -out "$1.crt"
    else
        openssl req "${key[@]}" | openssl x509 -req -days 2 -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" \
            -extfile <(echo "subjectAltName=DNS:localhost")
    fi
}
test_sec_06_the_endpoint_with_certificates_from_credentials() {
    command -v openssl >/dev/null || skip "no openssl here"
    local at
    at=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder is known now
    trap "rm -rf $at $REEVE_ETC/reeve.toml.d/tls.toml; no_drop_ins" EXIT
    cd "$at" || return
    certificate ca
    certificate server
    certificate prometheus
    certificate other-ca
    install -d "$REEVE_ETC/reeve.toml.d"
    printf '[metrics.tls]\ncertificate = "metrics.crt"\nkey = "metrics.key"\nclient_ca = "metrics.ca"\n' \
        >"$REEVE_ETC/reeve.toml.d/tls.toml"
    drop_in tls <<UNIT
[Service]
LoadCredential=metrics.crt:$at/server.crt
LoadCredential=metrics.key:$at/server.key
LoadCredential=metrics.ca:$at/ca.crt
UNIT
    local ask=(curl -s -o /dev/null -w '%{http_code}' --max-time 30 --cacert ca.crt https://localhost:9723/healthz)
    wait_for "it answers whom it knows" equals 200 "${ask[@]}" --cert prometheus.crt --key prometheus.key
    assert_eq 000 "$("${ask[@]}" || true)" "no certificate"
    assert_eq 000 "$("${ask[@]}" --cert other-ca.crt --key other-ca.key || true)" "somebody else's"
    closed || fail "answers without TLS"
}

test_met_02_a_workers_figures_are_the_kernels() {
    worker meter <<'TOML'
[worker]
team = "test"
role = "executor"
exec = ["/bin/sh", "-c", "dd if=/dev/zero of=/dev/shm/meter bs=1M count=24 status=none; while :; do sleep 0.2; done"]
[worker.resources]
memory = { limit = "256Mi" }
cpu = { limit = 0.5 }
tasks_max = 20
TOML
    reload
    wait_running meter
    local at who='worker="meter"'
    at=$(cgroup meter)
    wait_for "its memory is measured" has_value reeve_worker_memory_limit_bytes "$who"
    assert_eq "$(cat "$at/memory.max")" "$(value reeve_worker_memory_limit_bytes "$who" | awk '{ printf "%d", $1 }')"
    assert_eq 0.5 "$(value reeve_worker_cpu_limit_cores "$who")"
    assert_eq 20 "$(value reeve_worker_pids_limit "$who")"
    assert_eq 1 "$(value reeve_worker_up "$who" 'role="executor"')"
    # Grows under our eyes; ours is at most a look old.
    local ours theirs
    ours=$(value reeve_worker_cpu_usage_seconds_total "$who")
    theirs=$(awk '/^usage_usec/ { print $2 / 1e6 }' "$at/cpu.stat")
    assert_le "$ours" "$theirs" "no more CPU than the kernel counts"
    has_value reeve_worker_pressure_memory_waiting_seconds_total "$who" || fail "no pressure"
    # Tmpfs pages stay charged to the worker.
    wait_for "the pages it wrote are seen" eval "(( \$(value reeve_worker_memory_usage_bytes '$who' | awk '{ printf \"%d\", \$1 }') > 24 * 1024 * 1024 ))"
    rm -f /dev/shm/meter
}

test_met_02_an_oom_kill_counts_once_and_outlives_its_cgroup() {
    worker glutton <<'TOML'
[worker]
exec = ["/usr/bin/python3", "-c", "import time; time.sleep(1); b = bytearray(200 << 20); time.sleep(600)"]
[worker.resources]
memory = { limit = "64Mi" }
[worker.restart]
policy = "never"
TOML
    reload
    wait_for "it was killed for memory" eval '[[ $(reevectl --json runs glutton | jq -r ".[0].cause") == oom ]]'
    wait_for "its cgroup is gone" is_down "$(unit glutton)"
    wait_for "the kill is counted" value_is 1 reeve_worker_oom_kills_total 'worker="glutton"'
    # A page that does not come is no answer.
    holds_for 12 "it counts once" eval '[[ $(value reeve_worker_oom_kills_total "worker=\"glutton\"") =~ ^1?$ ]]'
    # And it is not forgotten by another daemon.
    systemctl restart reeved.service
    wait_for "reeved is back" reeved_up
    wait_for "the kill is still counted" value_is 1 reeve_worker_oom_kills_total 'worker="glutton"'
}

unit_is() { value_is 1 node_systemd_unit_state "name=\"$1\"" "state=\"$2\""; }
test_met_01_units_of_others_are_followed() {
    trap "systemctl stop test-flaky.service 2>/dev/null || true" EXIT
    install -d "$REEVE_ETC/reeve.toml.d"
    echo -e '[metrics]\nunits = ["test-flaky.service", "dbus.socket"]' >"$REEVE_ETC/reeve.toml.d/units.toml"
    reload
    wait_for "a socket is told" unit_is dbus.socket active
    assert_eq 0 "$(value node_systemd_unit_state 'name="dbus.socket"' 'state="failed"')"
    # It is not there yet, and nobody but PID 1 says when it comes.
    unit_is test-flaky.service inactive || fail "a unit that is not there"
    systemd-run --quiet --unit=test-flaky --property=Restart=on-failure --property=RestartSec=200ms \
        --property=StartLimitBurst=3 --property=StartLimitIntervalSec=60 /bin/sh -c 'sleep 0.2; exit 1'
    wait_for "its failure is told" unit_is test-flaky.service failed
    assert_eq "$(prop test-flaky.service NRestarts)" "$(value node_systemd_service_restart_total 'name="test-flaky.service"')"
    assert_eq 1 "$(value node_systemd_unit_state 'name="test-flaky.service"' 'state="failed"' 'type="simple"')"
    # PID 1 replaces itself, and what it says is heard all the same.
    systemctl daemon-reexec
    systemctl reset-failed test-flaky.service
    wait_for "it is heard after daemon-reexec" unit_is test-flaky.service inactive
    rm "$REEVE_ETC/reeve.toml.d/units.toml"
    reload
    [[ -z $(value node_systemd_unit_state) ]] || fail "nobody wants them any more"
}

test_met_08_what_a_worker_says_of_itself_comes_through() {
    worker teller <<'TOML'
[worker]
exec = ["/usr/bin/python3", "-c", """
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["STATSD_SOCKET"])
while True:
    s.send(b"queue_depth:7|g")
    s.send(b"tasks.done:2|c")
    time.sleep(1)
"""]
TOML
    reload
    wait_running teller
    # As the user that it runs as, out of the sandbox that it has.
    assert_ne 0 "$(stat -c %u "/proc/$(main_pid teller)")" "it is not root"
    wait_for "its gauge is told" value_is 7 queue_depth 'worker="teller"' 'replica="1"'
    tasks_done() { value tasks_done_total 'worker="teller"' | awk '{ printf "%d", $1 }'; }
    wait_for "its counter grows" eval '(( $(tasks_done) >= 6 ))'
    # Another may not speak for it: the socket says who it is.
    local socket
    socket=$(tr '\0' '\n' <"/proc/$(main_pid teller)/environ" | sed -n 's/^STATSD_SOCKET=//p')
    setpriv --reuid=nobody --clear-groups python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"stranger:1|g", sys.argv[1])' "$socket"
    local before
    before=$(tasks_done)
    wait_for "what came later is heard" eval "(( \$(tasks_done) > $before + 2 ))"
    [[ -z $(value stranger) ]] || fail "a stranger was heard"
    assert_rc 0 reevectl stop teller
    wait_for "its gauge goes with it" eval '[[ -z $(value queue_depth "worker=\"teller\"") ]]'
}

test_int_05_prometheus_scrapes_and_a_shipped_alert_fires() {
    command -v prometheus >/dev/null || skip "prometheus is not installed"
    local at rules=/usr/share/reeve/prometheus/reeve.rules.yml
    at=$(mktemp -d)
    promtool check rules "$rules"
    # The drop-in that the journal names brings back what the unit as shipped may not read.
    # shellcheck disable=SC2064 # this very folder
    trap "rm -rf $at; systemctl stop test-prometheus.service || true; no_drop_ins" EXIT
    printf '[Service]\nProtectClock=no\nSystemCallFilter=adjtimex clock_adjtime\n' | drop_in clock
    wait_for "the page" page
    page >"$at/page"
    # node_* names are inherited from node_exporter, which does not pass either.
    grep -E '^(# (HELP|TYPE) )?(reeve_|agent_|process_)' "$at/page" | promtool check metrics
    sed -E 's/(scrape_interval|scrape_timeout): .*/\1: 5s/' /usr/share/reeve/prometheus/reeve.scrape.yml >"$at/prometheus.yml"
    printf 'global: { evaluation_interval: 5s }\nrule_files: ["%s"]\n' "$rules" >>"$at/prometheus.yml"
    promtool check config "$at/prometheus.yml"
    install -d "$REEVE_ETC/reeve.toml.d"
    echo -e '[metrics]\nunits = ["dbus.service"]' >"$REEVE_ETC/reeve.toml.d/units.toml"
    worker doomed <<'TOML'
[worker]
exec = ["/bin/false"]
[worker.restart]
backoff = { first = "0s", base = "100ms", cap = "1s", reset_after = "5m" }
breaker = { failures = 3, window = "10min", open = "10min" }
TOML
    reload
    systemd-run --quiet --unit=test-prometheus --property=DynamicUser=no prometheus --config.file="$at/prometheus.yml" \
        --storage.tsdb.path="$at/data" --web.listen-address=127.0.0.1:9099
    wait_for "Prometheus has scraped" eval 'curl -sf --get --data-urlencode "query=reeve_build_info" http://127.0.0.1:9099/api/v1/query | jq -e ".data.result | length == 1"'
    wait_for "the alert fires" eval 'curl -sf http://127.0.0.1:9099/api/v1/alerts | jq -e ".data.alerts[] | select(.labels.alertname == \"AgentFailure\" and .labels.worker == \"doomed\" and .state == \"firing\")"'
    # What public rules and dashboards for node_exporter ask of a node, with the labels by which they choose.
    local asked expression
    mapfile -t asked <<'PROMQL'
count without (cpu, mode) (node_cpu_seconds_total{mode="idle"})
1 - avg without (cpu) (sum without (mode) (rate(node_cpu_seconds_total{mode=~"idle|iowait|steal"}[30s])))
node_load1 / on (instance) group_left () count by (instance) (node_cpu_seconds_total{mode="idle"})
node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes
node_memory_Buffers_bytes + node_memory_Cached_bytes + node_memory_MemFree_bytes + node_memory_Slab_bytes
node_memory_SwapTotal_bytes - node_memory_SwapFree_bytes
rate(node_vmstat_pgmajfault[30s])
rate(node_vmstat_pgpgin[30s]) + rate(node_vmstat_pgpgout[30s])
increase(node_vmstat_oom_kill[30s])
rate(node_disk_io_time_seconds_total{device=~"(/dev/)?vd.+"}[30s])
rate(node_disk_io_time_weighted_seconds_total{device=~"(/dev/)?vd.+"}[30s])
rate(node_disk_read_bytes_total{device=~"(/dev/)?vd.+"}[30s]) + rate(node_disk_written_bytes_total[30s])
sum without (device) (rate(node_network_receive_bytes_total{device!="lo"}[30s]))
node_systemd_unit_state{name="dbus.service",state="failed"} == 0
increase(node_systemd_service_restart_total{name="dbus.service"}[30s])
sum without (device) (rate(node_network_transmit_bytes_total{device!="lo"}[30s]))
sum without (device) (rate(node_network_receive_drop_total{device!="lo"}[30s]))
sum without (device) (rate(node_network_transmit_drop_total{device!="lo"}[30s]))
rate(node_network_receive_errs_total[30s]) + rate(node_network_receive_packets_total[30s])
rate(node_network_transmit_errs_total[30s]) + rate(node_network_transmit_packets_total[30s])
node_network_up
node_filesystem_avail_bytes{fstype!="",mountpoint!=""} / node_filesystem_size_bytes{fstype!="",mountpoint!=""}
node_filesystem_files_free{fstype!="",mountpoint!=""} / node_filesystem_files{fstype!="",mountpoint!=""}
node_filesystem_readonly{fstype!="",mountpoint!=""} == 0
predict_linear(node_filesystem_avail_bytes{fstype!="",mountpoint!=""}[1m], 24*60*60)
deriv(node_timex_offset_seconds[30s])
min_over_time(node_timex_sync_status[30s]) and on (instance) node_timex_maxerror_seconds
node_filefd_allocated / node_filefd_maximum
rate(node_pressure_cpu_waiting_seconds_total[30s])
rate(node_pressure_memory_stalled_seconds_total[30s])
rate(node_context_switches_total[30s]) + rate(node_intr_total[30s]) + rate(node_forks_total[30s])
node_procs_running + node_procs_blocked
time() - node_boot_time_seconds
node_uname_info * on (instance) group_left () node_time_seconds
PROMQL
    for expression in "${asked[@]}"; do
        export expression
        # shellcheck disable=SC2016 # expanded when it is run
        wait_for "an answer to $expression" eval 'curl -sf --get --data-urlencode "query=$expression" http://127.0.0.1:9099/api/v1/query | jq -e ".data.result | length > 0"'
    done
}

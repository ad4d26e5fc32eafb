# shellcheck shell=bash
# shellcheck disable=SC2016 # conditions that are waited for are evaluated later
# Workers this project did not write: an HTTP server, a database, a broker, a shell loop.

foreign_workers() {
    install -d -m 755 /srv/www
    echo "hello from reeve" >/srv/www/index.html
    worker web <<'TOML'
[worker]
team = "foreign"
role = "frontend"
exec = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
replicas = 2
working_directory = "/srv/www"
[worker.probe.readiness]
http = "http://127.0.0.1:{port}/"
initial_delay = "0s"
period = "2s"
timeout = "2s"
[worker.probe.liveness]
http = "http://127.0.0.1:{port}/"
initial_delay = "5s"
period = "5s"
timeout = "5s"
TOML
    worker redis <<'TOML'
[worker]
team = "foreign"
exec = ["/usr/bin/redis-server", "--port", "{port}", "--save", "", "--daemonize", "no", "--dir", "{runtime_dir}"]
[worker.probe.readiness]
tcp = "127.0.0.1:{port}"
initial_delay = "0s"
period = "2s"
timeout = "2s"
TOML
    worker broker <<'TOML'
[worker]
team = "foreign"
exec = ["/usr/sbin/mosquitto", "-p", "{port}"]
[worker.probe.readiness]
tcp = "127.0.0.1:{port}"
initial_delay = "0s"
period = "2s"
timeout = "2s"
TOML
    worker loop <<'TOML'
[worker]
team = "foreign"
exec = ["/bin/sh", "-c", "while :; do echo still here; sleep 1; done"]
depends_on = ["redis"]
TOML
}

replica() { # WORKER N FIELD
    { reevectl --json status "$1" || true; } | jq -r --argjson n "$2" ".. | objects | select(.index? == \$n) | .$3" | head -n 1
}
restarts() { replica "$1" "${2:-1}" restarts; }
state() { replica "$1" "${2:-1}" state; }

test_foreign_workers_become_ready_and_answer() {
    foreign_workers
    reload
    wait_for "web is ready" has_ready web 2
    wait_for "redis is ready" has_ready redis 1
    wait_for "the broker is ready" has_ready broker 1
    wait_for "the loop runs" has_ready loop 1
    local port
    port=$(replica web 1 port)
    assert_contains "hello from reeve" "$(python3 -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:$port/').read().decode())")"
    assert_contains PONG "$(redis-cli -p "$(replica redis 1 port)" ping)"
    assert_eq reeve-foreign.slice "$(prop "$(unit web)" Slice)"
    assert_eq reeve-worker "$(ps -o user:20= -p "$(main_pid web)" | tr -d ' ')" "workers never run as root by omission"
    # Stable names: one place for every run.
    wait_for "its line is in the journal" eval '[[ $(journalctl --no-pager -u reeve-loop-1.service) == *"still here"* ]]'
}

test_sup_09_a_killed_worker_heals_with_a_record() {
    foreign_workers
    reload
    wait_for "web is ready" has_ready web 2
    local pid
    pid=$(main_pid web 2)
    kill -KILL "$pid"
    wait_for "a new process" healed "$pid" web 2
    wait_for "its end is counted" equals 1 restarts web 2
    wait_for "web is ready again" has_ready web 2
    assert_eq 1 "$(restarts web 2)"
    OUT=$(reevectl --json runs web/2)
    assert_eq signal "$(jq -r '.[0].cause' <<<"$OUT")"
    assert_eq 9 "$(jq -r '.[0].signal' <<<"$OUT")"
    assert_eq true "$(jq -r '.[0].supervised' <<<"$OUT")"
    assert_eq 0 "$(restarts web 1)" "the other replica was not touched"
    assert_contains "web/2" "$(journal)"
}

test_sup_10_a_crash_loop_is_a_dozen_lines_and_shows_why() {
    worker bad <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "echo cannot find my model; exit 3"]
[worker.restart]
policy = "always"
backoff = { first = "0s", base = "100ms", cap = "1s", reset_after = "5m" }
breaker = { failures = 4, window = "2min", open = "10min" }
TOML
    reload
    wait_for "the crash loop is seen" equals crash-loop state bad
    local lines
    lines=$(journal | grep -c 'bad/1' || true)
    assert_le "$lines" 15 "lines in the journal"
    assert_le 4 "$lines"
    OUT=$(reevectl --json runs bad/1)
    assert_eq 3 "$(jq -r '.[0].exit_code' <<<"$OUT")"
    wait_for "the last words are kept" eval 'reevectl --json runs bad/1 | jq -e ".[0].log_tail | any(contains(\"cannot find my model\"))"'
    assert_contains "cannot find my model" "$(reevectl --no-pager logs --previous bad/1)"
    # A reset tries again at once.
    local before
    before=$(restarts bad)
    assert_rc 0 reevectl reset bad/1
    wait_for "it was tried again" eval "(( \$(restarts bad) > $before ))"
}

test_ord_04_start_order_and_dependencies() {
    worker late <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "date +%s%N >{runtime_dir}/at; exec sleep infinity"]
order = 20
TOML
    worker early <<'TOML'
[worker]
exec = ["/bin/sh", "-c", "sleep 3; systemd-notify --ready --status=warm; exec sleep infinity"]
order = 10
[worker.ready]
notify = true
timeout = "90s"
TOML
    reload
    wait_for "late waits for early" eval '[[ $(reevectl --json status late | jq -r .reason) == *early* ]] || has_ready late 1'
    wait_for "both are ready" has_ready late 1
    local ready started
    journalctl --sync
    # When it was said: the journal takes it later.
    ready=$(journalctl -o json --since "@$TEST_BEGAN" -u reeved REEVE_WORKER=early MESSAGE_ID=5d54ea5d0c10489599ca28157ca2fea7 |
        jq -r '._SOURCE_REALTIME_TIMESTAMP // .__REALTIME_TIMESTAMP' | tail -n 1)
    started=$(($(cat /run/reeve/workers/late-1/at) / 1000))
    [[ -n $ready ]] || fail "the journal does not say that early was ready"
    assert_le "$ready" "$started" "late started before early was ready"
    # Down again in reverse.
    assert_rc 0 reevectl stop --all --yes
    assert_eq "" "$(running_units)"
}

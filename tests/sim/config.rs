//! Random configurations that the loader would accept.

use reeve_core::config::*;
use reeve_core::rng::Rng;
use reeve_core::{TeamName, WorkerName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const TEAMS: [&str; 2] = ["default", "ranks"];

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn chance(rng: &mut Rng, percent: u64) -> bool {
    rng.below(100) < percent
}

pub fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[usize::try_from(rng.below(from.len() as u64)).unwrap()].clone()
}

pub fn random(rng: &mut Rng) -> Config {
    let damping = pick(rng, &[None, Some((2, 5)), Some((3, 5)), Some((5, 60))]);
    let rate = pick(rng, &[None, None, Some((1, 1)), Some((20, 1)), Some((3, 10))]);
    let mut config = Config {
        node: Node { name: "sim".into(), labels: BTreeMap::new() },
        launcher: LauncherKind::Auto,
        supervision: Supervision {
            damping: damping.map(|(crashes, window)| Damping { crashes, window: s(window) }),
            restart_rate: rate.map(|(count, per)| Rate { count, per: s(per) }),
            remediation: pick(rng, &[Remediation::On, Remediation::On, Remediation::DryRun, Remediation::Off]),
        },
        metrics: Metrics::off(),
        gpu: Gpu::default(),
        fleet: None,
        teams: BTreeMap::new(),
        workers: BTreeMap::new(),
    };
    if chance(rng, 40) {
        let team = Team { fail_together: chance(rng, 70), ..Team::default() };
        config.teams.insert(TeamName::new("ranks").unwrap(), team);
    }
    for name in NAMES.iter().take(1 + rng.below(4) as usize) {
        add(rng, &mut config, name);
    }
    config
}

fn add(rng: &mut Rng, config: &mut Config, name: &str) {
    let name = WorkerName::new(name).unwrap();
    let order = if chance(rng, 50) { 50 } else { 10 * rng.below(4) as i32 };
    let before: Vec<_> =
        config.workers.values().filter(|w| w.order <= order && w.name != name).map(|w| w.name.clone()).collect();
    let depends_on = if !before.is_empty() && chance(rng, 35) { vec![pick(rng, &before)] } else { Vec::new() };
    // Nobody who depends on it may come before it, and it may not depend on them.
    let users = config.workers.values().filter(|w| w.depends_on.contains(&name));
    let order = users.map(|w| w.order).min().map_or(order, |least| order.min(least));
    let depends_on = if config.workers.contains_key(&name) { Vec::new() } else { depends_on };
    let worker = worker(rng, name.clone(), order, depends_on);
    config.workers.insert(name, Arc::new(worker));
}

fn worker(rng: &mut Rng, name: WorkerName, order: i32, depends_on: Vec<WorkerName>) -> Worker {
    let policy =
        pick(rng, &[RestartPolicy::Always, RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never]);
    let notify = chance(rng, 30);
    Worker {
        team: TeamName::new(pick(rng, &TEAMS)).unwrap(),
        role: None,
        exec: vec!["/bin/x".into(), rng.below(3).to_string()],
        replicas: rng.below(5) as u32,
        user: None,
        group: None,
        environment: BTreeMap::new(),
        environment_file: None,
        credentials: Vec::new(),
        working_directory: None,
        order,
        depends_on,
        node_selector: if chance(rng, 4) { BTreeMap::from([("no".into(), "such".into())]) } else { BTreeMap::new() },
        resources: Resources { memory_limit: pick(rng, &[None, Some(1 << 30)]), ..Resources::default() },
        gpu_profile: None,
        restart: Restart {
            policy,
            backoff: Backoff {
                first: pick(rng, &[ms(0), ms(0), s(1), s(20)]),
                base: pick(rng, &[ms(100), s(1), s(5)]),
                cap: s(60),
                reset_after: pick(rng, &[s(10), s(300)]),
            },
            breaker: pick(rng, &[None, Some(5), Some(2)]).map(|failures| Breaker {
                failures,
                window: s(30),
                open: pick(rng, &[s(5), s(30)]),
            }),
            unsupervised_after: pick(rng, &[Some(s(30)), Some(s(30)), Some(s(2)), None]),
            remediation: pick(rng, &[None, Some(Rate { count: 3, per: s(3600) })]),
        },
        ready: Ready { notify, timeout: pick(rng, &[s(10), s(60)]) },
        liveness: liveness(rng),
        readiness: chance(rng, 30).then(|| probe(rng, Check::Tcp("127.0.0.1:1".into()))),
        drain: chance(rng, 50).then(|| Drain {
            notice: pick(
                rng,
                &[Notice::Signal(10), Notice::Http("POST".into(), "http://127.0.0.1/d".into()), Notice::None],
            ),
            until: pick(rng, &[Until::Exit, Until::Nothing, Until::Exec(vec!["/bin/done".into()])]),
            timeout: pick(rng, &[s(5), s(120)]),
            save_state: chance(rng, 40).then(|| vec!["/bin/save".into()]),
        }),
        stop: Stop { signal: 15, timeout: pick(rng, &[s(1), s(30)]) },
        max_unavailable: pick(rng, &[1, 1, 2]),
        metrics: Default::default(),
        sandbox: Arc::default(),
        wants_port: chance(rng, 25),
        name,
    }
}

fn probe(rng: &mut Rng, check: Check) -> Probe {
    Probe {
        check,
        initial_delay: pick(rng, &[ms(0), s(5)]),
        period: pick(rng, &[s(10), s(40)]),
        timeout: s(5),
        failure_threshold: pick(rng, &[1, 3]),
        success_threshold: pick(rng, &[1, 1, 2]),
    }
}

fn liveness(rng: &mut Rng) -> Option<Probe> {
    let check = pick(
        rng,
        &[None, None, None, Some(Check::Http("http://127.0.0.1/".into())), Some(Check::Notify), Some(Check::Progress)],
    )?;
    Some(probe(rng, check))
}

/// Another configuration, near to this one.
pub fn changed(rng: &mut Rng, old: &Config) -> Config {
    let mut config = old.clone();
    for _ in 0..1 + rng.below(3) {
        match rng.below(6) {
            0 => {
                let name = pick(rng, &NAMES);
                add(rng, &mut config, name);
            }
            1 => {
                let name = WorkerName::new(pick(rng, &NAMES)).unwrap();
                let needed = config.workers.values().any(|w| w.depends_on.contains(&name));
                if !needed {
                    config.workers.remove(&name);
                }
            }
            2 => {
                let other = random(rng);
                config.supervision = other.supervision;
            }
            3 => {
                let together = chance(rng, 50);
                if let Some(team) = config.teams.values_mut().next() {
                    team.fail_together = together;
                }
            }
            _ => tweak(rng, &mut config),
        }
    }
    config
}

fn tweak(rng: &mut Rng, config: &mut Config) {
    let names: Vec<_> = config.workers.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = pick(rng, &names);
    let Some(old) = config.workers.get(&name).cloned() else { return };
    let mut new = (*old).clone();
    let fresh = worker(rng, name.clone(), old.order, old.depends_on.clone());
    match rng.below(9) {
        0 => new.exec = fresh.exec,
        1 => new.replicas = fresh.replicas,
        2 => new.resources = fresh.resources,
        3 => new.liveness = fresh.liveness,
        4 => new.readiness = fresh.readiness,
        5 => new.ready = fresh.ready,
        6 => new.drain = fresh.drain,
        7 => new.restart = fresh.restart,
        _ => new = fresh,
    }
    config.workers.insert(name, Arc::new(new));
}

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
use super::*;
use crate::config::{Breaker, Damping as DampingConfig, Rate};
use crate::ids::ReplicaId;

fn policy(policy: RestartPolicy) -> Restart {
    let s = Duration::from_secs;
    Restart {
        policy,
        backoff: Backoff { first: s(0), base: s(1), cap: s(60), reset_after: s(300) },
        breaker: Some(Breaker { failures: 5, window: s(30), open: s(30) }),
        unsupervised_after: Some(s(30)),
        remediation: None,
    }
}

fn at(secs: u64) -> Now {
    Now { mono: Mono(Duration::from_secs(secs)), wall: Wall(1_000_000_000_000_000 + secs * 1_000_000) }
}

fn go(record: &mut RestartRecord, p: &Restart, cause: &Cause, up: u64, now: u64) -> Verdict {
    decide(record, p, cause, Duration::from_secs(up), Duration::ZERO, None, at(now), &mut Rng::new(7))
}

#[test]
fn sup_09_first_failure_restarts_at_once_then_doubles_with_jitter() {
    let p = policy(RestartPolicy::Always);
    let mut r = RestartRecord::default();
    assert!(matches!(go(&mut r, &p, &Cause::ExitCode(1), 1, 0), Verdict::Restart { at: t, .. } if t == at(0).mono));
    let mut last = Duration::ZERO;
    for (i, base) in [1u64, 2, 4].into_iter().enumerate() {
        // A cause of its own each time, so that no breaker opens.
        let cause = [Cause::Signal(11), Cause::Oom, Cause::Probe][i].clone();
        let Verdict::Restart { at: t, .. } = go(&mut r, &p, &cause, 1, 0) else { panic!() };
        let wait = t.0;
        assert!(wait >= Duration::from_millis(base * 800) && wait <= Duration::from_millis(base * 1200), "{wait:?}");
        assert!(wait > last);
        last = wait;
    }
}

#[test]
fn sup_09_a_long_life_clears_the_count() {
    let p = policy(RestartPolicy::Always);
    let mut r = RestartRecord { failures: 9, ..Default::default() };
    go(&mut r, &p, &Cause::ExitCode(1), 301, 0);
    assert_eq!(r.failures, 1);
}

#[test]
fn cbr_02_breaker_opens_on_one_cause_and_doubles_on_a_failed_trial() {
    let p = policy(RestartPolicy::Always);
    let mut r = RestartRecord::default();
    for i in 0..4 {
        assert!(matches!(go(&mut r, &p, &Cause::ExitCode(1), 0, i), Verdict::Restart { .. }));
    }
    let Verdict::CrashLoop { at: t, .. } = go(&mut r, &p, &Cause::ExitCode(1), 0, 4) else { panic!() };
    let first = t.since(at(4).mono);
    assert!(first >= Duration::from_secs(24) && first <= Duration::from_secs(36));
    breaker::try_once(r.breakers.get_mut("exit-code").unwrap());
    let Verdict::CrashLoop { at: t, .. } = go(&mut r, &p, &Cause::ExitCode(1), 0, 60) else { panic!() };
    let second = t.since(at(60).mono);
    assert!(second >= Duration::from_secs(48) && second <= Duration::from_secs(72));
}

#[test]
fn cbr_02_other_causes_do_not_add_up() {
    let p = policy(RestartPolicy::Always);
    let mut r = RestartRecord::default();
    for i in 0..20 {
        let cause = if i % 2 == 0 { Cause::ExitCode(1) } else { Cause::Signal(11) };
        // 10 s apart: at most 2 of one cause within the window of 30 s.
        assert!(matches!(go(&mut r, &p, &cause, 0, i * 10), Verdict::Restart { .. }));
    }
}

#[test]
fn sup_10_exit_codes_of_sysexits() {
    let p = policy(RestartPolicy::Always);
    for code in [77, 78] {
        let mut r = RestartRecord::default();
        assert!(matches!(go(&mut r, &p, &Cause::ExitCode(code), 0, 0), Verdict::Park(_)));
        assert!(r.parked.is_some());
    }
    let mut r = RestartRecord::default();
    let Verdict::Restart { at: t, .. } = go(&mut r, &p, &Cause::ExitCode(75), 0, 0) else { panic!() };
    assert!(t.0 >= Duration::from_millis(800), "75 is never retried at once");
    for i in 0..10 {
        assert!(matches!(go(&mut r, &p, &Cause::ExitCode(75), 0, i), Verdict::Restart { .. }));
    }
}

#[test]
fn policies() {
    let mut r = RestartRecord::default();
    assert!(matches!(go(&mut r, &policy(RestartPolicy::Never), &Cause::ExitCode(1), 0, 0), Verdict::Park(_)));
    let mut r = RestartRecord::default();
    assert!(matches!(go(&mut r, &policy(RestartPolicy::OnFailure), &Cause::Clean, 0, 0), Verdict::Done(_)));
    let mut r = RestartRecord::default();
    assert!(matches!(go(&mut r, &policy(RestartPolicy::OnFailure), &Cause::Oom, 0, 0), Verdict::Restart { .. }));
    let mut r = RestartRecord::default();
    let always = policy(RestartPolicy::Always);
    for i in 0..10 {
        let v = go(&mut r, &always, &Cause::Clean, 0, i);
        assert!(matches!(v, Verdict::Restart { .. }), "clean ends open no breaker");
    }
    let Verdict::Restart { at: t, .. } = go(&mut r, &always, &Cause::Clean, 0, 10) else { panic!() };
    assert!(t.since(at(10).mono) > Duration::from_secs(40), "but they do not spin either");
}

#[test]
fn an_end_that_nobody_saw_is_not_held_against_it() {
    let mut r = RestartRecord::default();
    for i in 0..9 {
        let v = go(&mut r, &policy(RestartPolicy::Always), &Cause::Unknown, 0, i);
        assert!(matches!(v, Verdict::Restart { at: t, .. } if t == at(i).mono));
    }
    assert_eq!(r.failures, 0);
}

#[test]
fn classify_table() {
    let info = |status, oom| ExitInfo { status, oom_kill: oom, peak_memory: None, at: Wall(0) };
    use ExitStatus::{Code, Signal, Unknown};
    let cases = [
        (info(Code(0), false), Doom::None, Cause::Clean),
        (info(Code(3), false), Doom::None, Cause::ExitCode(3)),
        (info(Signal(11), false), Doom::None, Cause::Signal(11)),
        (info(Signal(9), true), Doom::None, Cause::Oom),
        (info(Signal(9), true), Doom::Requested, Cause::Oom),
        (info(Signal(15), false), Doom::Requested, Cause::Operator),
        (info(Code(143), false), Doom::Requested, Cause::Operator),
        (info(Signal(9), false), Doom::Requested, Cause::StopTimeout),
        (info(Signal(15), false), Doom::Condemned(Cause::Probe), Cause::Probe),
        (info(Unknown, false), Doom::None, Cause::Unknown),
    ];
    for (info, doom, want) in cases {
        assert_eq!(classify(&info, &doom, 15), want, "{info:?} {doom:?}");
    }
}

#[test]
fn rec_12_bucket_never_gives_more_than_its_rate() {
    let mut b = bucket::Bucket::new(Some(Rate { count: 20, per: Duration::from_secs(1) }));
    let given = |b: &mut bucket::Bucket, ms: u64| {
        let now = Mono(Duration::from_millis(100_000 + ms));
        (0..100).filter(|_| b.take(now)).count()
    };
    assert_eq!(given(&mut b, 0), 20);
    assert_eq!(given(&mut b, 0), 0);
    assert_eq!(given(&mut b, 50), 1);
    assert_eq!(given(&mut b, 1050), 20);
    let now = Mono(Duration::from_millis(101_050));
    let next = b.ready_at(now);
    assert!(next > now && next.since(now) <= Duration::from_millis(50));
}

#[test]
fn damping_tries_one_first() {
    let cfg = DampingConfig { crashes: 3, window: Duration::from_secs(5) };
    let mut d = damping::Damping::new(Some(cfg));
    let id = |n: u32| -> ReplicaId { format!("w/{n}").parse().unwrap() };
    let t = |s| Mono(Duration::from_secs(s));
    assert!(d.failed(&id(1), "oom", t(1)).is_none());
    assert!(d.failed(&id(1), "oom", t(1)).is_none(), "one replica counts once");
    assert!(d.failed(&id(2), "signal", t(1)).is_none());
    assert!(d.failed(&id(2), "oom", t(2)).is_none());
    assert!(d.failed(&id(3), "oom", t(3)).is_some());
    assert!(d.failed(&id(4), "oom", t(3)).is_none());
    assert_eq!(d.gate(&id(1), t(3)), damping::Gate::Free);
    assert_eq!(d.gate(&id(3), t(3)), damping::Gate::Trial("oom"));
    d.begin_trial(&id(3), "oom");
    assert!(matches!(d.gate(&id(4), t(3)), damping::Gate::Held(None, _)));
    d.failed(&id(3), "oom", t(4));
    assert!(matches!(d.gate(&id(4), t(4)), damping::Gate::Held(Some(_), _)));
    assert_eq!(d.gate(&id(4), t(6)), damping::Gate::Trial("oom"));
    d.begin_trial(&id(4), "oom");
    assert_eq!(d.trial_passed(&id(4)).unwrap().0, [id(3)]);
    assert_eq!(d.gate(&id(3), t(6)), damping::Gate::Free);
}

#[test]
fn spans_read_like_systemd() {
    for (ms, text) in
        [(0, "0s"), (5, "5ms"), (1500, "1s 500ms"), (12_300, "12s"), (90_000, "1min 30s"), (3_600_000, "1h")]
    {
        assert_eq!(span(Duration::from_millis(ms)), text);
    }
}

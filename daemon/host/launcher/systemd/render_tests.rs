//! What units look like.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use reeve_core::effect::MULTIPROCESS_FOLDER;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn spec() -> RunSpec {
    RunSpec {
        replica: "task-executor/2".parse().unwrap(),
        team: "agent-system".parse().unwrap(),
        team_parents: vec!["lab".parse().unwrap()],
        exec: vec!["/bin/server".into(), "$HOME".into()],
        user: None,
        group: None,
        environment: BTreeMap::from([("A".into(), "b c".into())]),
        environment_file: Some("-/etc/agents/env".into()),
        credentials: vec![],
        working_directory: Some("/srv/agents".into()),
        limits: Resources { cpu_limit: Some(150), memory_limit: Some(1000), ..Resources::default() },
        policy: RestartPolicy::Always,
        unsupervised_after: Some(Duration::from_secs(30)),
        notify: true,
        stop_signal: 15,
        stop_timeout: Duration::from_secs(10),
        watchdog: None,
        sandbox: Arc::default(),
        gpus: Vec::new(),
        devices: Vec::new(),
        digest: "d".into(),
    }
}

fn rendered(spec: &RunSpec) -> Rendered {
    let socket = Path::new("/run/reeve/notify/task-executor-2");
    render(spec, Some(socket), &Paths::new(Path::new("/"))).unwrap()
}

fn value(of: &Rendered, name: &str) -> Option<Value> {
    let mut found = of.properties.iter().filter(|p| p.name == name);
    let value = found.next().map(|p| p.value.clone());
    assert!(found.next().is_none(), "{name} stands twice");
    value
}

#[test]
fn slices_nest_by_parents_and_names_keep_their_dashes() {
    let spec = spec();
    let name = slice(&spec.team, &spec.team_parents);
    assert_eq!(name, "reeve-lab-agent\\x2dsystem.slice");
    assert_eq!(
        control_group(&name, &spec.replica.unit()),
        "/reeve.slice/reeve-lab.slice/reeve-lab-agent\\x2dsystem.slice/reeve-task-executor-2.service"
    );
}

#[test]
fn a_clean_end_is_kept_unless_it_is_restarted() {
    for (policy, after, restart, remain) in [
        (RestartPolicy::Always, Some(30), "always", false),
        (RestartPolicy::OnFailure, Some(30), "on-failure", true),
        (RestartPolicy::Never, Some(30), "no", true),
        (RestartPolicy::Always, None, "no", true),
    ] {
        let spec = RunSpec { policy, unsupervised_after: after.map(Duration::from_secs), ..spec() };
        let unit = rendered(&spec);
        assert_eq!(value(&unit, "Restart"), Some(restart.into()));
        assert_eq!(value(&unit, "RemainAfterExit"), remain.then(|| true.into()));
    }
}

#[test]
fn limits_are_in_systemds_units() {
    let unit = rendered(&spec());
    assert_eq!(value(&unit, "CPUQuotaPerSecUSec"), Some(1_500_000u64.into()));
    assert_eq!(value(&unit, "MemoryMax"), Some(1000u64.into()));
    assert_eq!(value(&unit, "MemoryHigh"), None, "too small a limit to be slowed below it");
    let roomy = RunSpec { limits: Resources { memory_limit: Some(1 << 30), ..spec().limits }, ..spec() };
    assert_eq!(value(&rendered(&roomy), "MemoryHigh"), Some(966_367_638u64.into()));
    assert_eq!(value(&unit, "TasksMax"), None);
}

#[test]
fn the_fingerprint_follows_the_unit_but_not_its_limits() {
    let unit = rendered(&spec());
    let limited = RunSpec { limits: Resources::default(), ..spec() };
    assert_eq!(rendered(&limited).fingerprint, unit.fingerprint);
    let other = RunSpec { stop_timeout: Duration::from_secs(11), ..spec() };
    assert_ne!(rendered(&other).fingerprint, unit.fingerprint);
    let Some(Value::Texts(environment)) = value(&unit, "Environment") else {
        panic!("no environment");
    };
    assert!(environment.contains(&format!("{FINGERPRINT}{}", unit.fingerprint)));
    assert!(environment.contains(&"NOTIFY_SOCKET=/run/reeve/notify/task-executor-2".to_owned()));
    assert!(environment.contains(&"A=b c".to_owned()));
}

#[test]
fn sec_03_nobody_is_root_by_omission() {
    assert_eq!(value(&rendered(&spec()), "User"), Some("reeve-worker".into()));
    let dynamic = RunSpec { sandbox: Arc::new(BTreeMap::from([("DynamicUser".into(), vec!["yes".into()])])), ..spec() };
    assert_eq!(value(&rendered(&dynamic), "User"), None);
}

#[test]
fn a_private_tmp_never_hides_what_the_worker_needs() {
    let spec = RunSpec { working_directory: Some("/tmp/work".into()), ..spec() };
    assert_eq!(value(&rendered(&spec), "PrivateTmp"), None);
    assert_eq!(value(&rendered(&spec), "ReadWritePaths"), Some(vec!["-/tmp/work".to_owned()].into()));
}

/// A unit whose sandbox closes nothing is not given a mount namespace by what would be opened in it.
#[test]
fn what_is_not_closed_is_not_opened() {
    let open = [("ProtectSystem", "no"), ("ProtectHome", "no")];
    let sandbox = Arc::new(open.map(|(key, value)| (key.to_owned(), vec![value.to_owned()])).into());
    let spec = RunSpec { working_directory: Some("/srv/work".into()), sandbox, ..spec() };
    assert_eq!(value(&rendered(&spec), "ReadWritePaths"), None);
    let mut closed = spec;
    Arc::make_mut(&mut closed.sandbox).insert("ReadOnlyPaths".to_owned(), vec!["/srv".to_owned()]);
    assert_eq!(value(&rendered(&closed), "ReadWritePaths"), Some(vec!["-/srv/work".to_owned()].into()));
}

/// SUP-05: a worker reaches its own cards and no others; where their files are not known, all of them.
#[test]
fn sup_05_a_worker_reaches_its_own_cards() {
    let limits = Resources { gpus_request: 1, gpus_limit: 1, ..Resources::default() };
    let allowed = |spec: &RunSpec| match value(&rendered(spec), "DeviceAllow") {
        Some(Value::Pairs(pairs)) => pairs.into_iter().map(|(path, _)| path).collect(),
        _ => Vec::new(),
    };
    let devices = vec!["/dev/nvidia3".to_owned()];
    let given = RunSpec { limits, gpus: vec!["GPU-3".into()], devices, ..spec() };
    let own = ["/dev/nvidiactl", "char-nvidia-uvm", "/dev/nvidia-modeset", "/dev/nvidia3"];
    assert_eq!(allowed(&given), own);
    assert_eq!(value(&rendered(&given), "DevicePolicy"), Some("closed".into()));
    assert_eq!(allowed(&RunSpec { devices: vec![], ..given }), ["char-nvidia*"]);
    let none = RunSpec { limits: Resources { gpus_limit: 1, ..Resources::default() }, ..spec() };
    assert!(allowed(&none).is_empty());
}

#[test]
fn a_network_given_back_is_the_one_of_the_definition() {
    let spec =
        RunSpec { sandbox: Arc::new(BTreeMap::from([("IPAddressDeny".into(), vec!["10.0.0.0/8".into()])])), ..spec() };
    let network = rendered(&spec).network;
    assert_eq!(network.len(), 3);
    assert_eq!(network[2].value, Value::Addresses(vec![(libc::AF_INET, vec![10, 0, 0, 0], 8)]));
}

/// MET-08: a folder for Python's multiprocess metrics, which PID 1 makes and removes; none where PID 1 cannot make it.
#[test]
fn met_08_multiprocess_metrics_have_a_folder() {
    let told = |root: &str| {
        let paths = Paths::new(Path::new(root));
        let folder = paths.runtime_dir(&spec().replica).join(MULTIPROCESS_FOLDER).display().to_string();
        let environment = BTreeMap::from([(MULTIPROCESS_DIR.to_owned(), folder.clone())]);
        let unit = render(&RunSpec { environment, ..spec() }, None, &paths).unwrap();
        let Some(Value::Texts(list)) = value(&unit, "Environment") else { panic!("no environment") };
        (list.contains(&format!("{MULTIPROCESS_DIR}={folder}")), value(&unit, "RuntimeDirectory"))
    };
    let folders = ["reeve/workers/task-executor-2", "reeve/workers/task-executor-2/prometheus"].map(str::to_owned);
    assert_eq!(told("/"), (true, Some(Value::Texts(folders.to_vec()))));
    assert_eq!(told("/tmp/x"), (false, None));
    let plain = rendered(&spec());
    assert_eq!(value(&plain, "RuntimeDirectory"), Some(Value::Texts(folders[..1].to_vec())));
}

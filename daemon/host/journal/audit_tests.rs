//! Tampering with the trail, rotation, and the security log.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

fn entry(n: u64) -> AuditEntry {
    AuditEntry {
        at: Wall(n),
        uid: 1000,
        caller: "uid 1000 (alice)".to_owned(),
        action: "stop".to_owned(),
        target: format!("web/{n}"),
        result: "allowed".to_owned(),
        more: [("pid".to_owned(), "7".to_owned())].into(),
    }
}

fn trail(dir: &Path, entries: u64) -> Audit {
    let (mut audit, problems) = Audit::open(dir, None).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    audit.size_max = 2000;
    for n in 1..=entries {
        audit.append(&entry(n)).unwrap();
    }
    audit
}

fn edit(path: &Path, change: impl FnOnce(Vec<String>) -> Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = change(text.lines().map(str::to_owned).collect());
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_chain_goes_on_over_restarts_and_rotations() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(dir.path(), 7));
    let audit = trail(dir.path(), 20);
    let verified = audit.verify().unwrap();
    assert_eq!((verified.entries, audit.entries()), (27, 27));
    assert_eq!((verified.first, verified.last), (Wall(1), Wall(20)));
    let first = dir.path().join("audit.jsonl.1");
    let mode = std::fs::metadata(first).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn ten_older_files_are_kept_and_still_verify() {
    let dir = tempfile::tempdir().unwrap();
    let audit = trail(dir.path(), 200);
    assert_eq!(files(dir.path()).len(), 11);
    let verified = audit.verify().unwrap();
    assert!(verified.entries < 100 && verified.last == Wall(200));
    assert_eq!(verified.first.0, 201 - verified.entries);
    // An interrupted rotation leaves a gap in the numbers, not in the chain.
    std::fs::rename(dir.path().join("audit.jsonl.10"), dir.path().join("x")).unwrap();
    std::fs::rename(dir.path().join("audit.jsonl.9"), dir.path().join("audit.jsonl.10")).unwrap();
    assert!(audit.verify().is_ok());
    drop(audit);
    assert!(trail(dir.path(), 10).verify().is_ok());
}

#[test]
fn verify_names_the_first_broken_entry() {
    type Change = fn(Vec<String>) -> Vec<String>;
    let cases: [(&str, Change, u64, &str); 5] = [
        (
            "altered",
            |mut l| {
                l[2] = l[2].replace("alice", "mallo");
                l
            },
            3,
            "was altered",
        ),
        (
            "dropped",
            |mut l| {
                l.remove(1);
                l
            },
            2,
            "is missing: entry 3 stands in its place",
        ),
        (
            "swapped",
            |mut l| {
                l.swap(0, 1);
                l
            },
            1,
            "is missing: entry 2",
        ),
        (
            "cut at the rotation",
            |mut l| {
                l.pop();
                l
            },
            7,
            "is missing: entry 8",
        ),
        (
            "torn",
            |mut l| {
                l[3].truncate(50);
                l
            },
            4,
            "is torn",
        ),
    ];
    for (what, change, index, why) in cases {
        let dir = tempfile::tempdir().unwrap();
        let audit = trail(dir.path(), 8);
        let oldest = files(dir.path())[0].1.clone();
        assert!(oldest.ends_with("audit.jsonl.1"), "{oldest:?}");
        edit(&oldest, change);
        let broken = audit.verify().unwrap_err();
        assert_eq!(broken.index, index, "{what}: {broken}");
        assert!(broken.why.starts_with(why), "{what}: {broken}");
        let next = dir.path().join("audit.jsonl");
        let file = if index == 7 { next } else { oldest };
        assert_eq!(broken.file, file, "{what}");
    }
}

#[test]
fn a_missing_beginning_or_end_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let audit = trail(dir.path(), 12);
    edit(&dir.path().join("audit.jsonl"), |mut l| {
        l.pop();
        l
    });
    let broken = audit.verify().unwrap_err();
    assert_eq!((broken.index, broken.why.as_str()), (12, "is gone: the last written was 12"));
    std::fs::remove_file(&files(dir.path())[0].1).unwrap();
    assert!(audit.verify().unwrap_err().why.starts_with("is missing"));
}

#[test]
fn a_torn_last_line_is_set_aside_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    drop(trail(dir.path(), 3));
    let path = dir.path().join("audit.jsonl");
    append_to(&path).unwrap().write_all(b"{\"seq\":4,\"pr").unwrap();
    let (mut audit, problems) = Audit::open(dir.path(), None).unwrap();
    assert_eq!(problems.len(), 1);
    audit.append(&entry(4)).unwrap();
    assert_eq!(audit.verify().unwrap().entries, 4);
    let aside = std::fs::read(dir.path().join("audit.jsonl.damaged")).unwrap();
    assert_eq!(aside, b"{\"seq\":4,\"pr");
}

#[test]
fn queries_give_the_newest_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let audit = trail(dir.path(), 20);
    let targets = |since, max| {
        let found = audit.query(Wall(since), max).unwrap();
        found.iter().map(|e| e.at.0).collect::<Vec<_>>()
    };
    assert_eq!(targets(0, 3), [18, 19, 20]);
    assert_eq!(targets(0, 12), (9..=20).collect::<Vec<_>>());
    assert_eq!(targets(15, 100), (15..=20).collect::<Vec<_>>());
    assert_eq!(targets(99, 100), [] as [u64; 0]);
    assert_eq!(audit.query(Wall(20), 1).unwrap(), [entry(20)]);
}

#[test]
fn the_security_log_gets_the_same_and_a_failed_send_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let journald = UnixDatagram::bind(&socket).unwrap();
    let (mut audit, _) = Audit::open(dir.path(), Some(&socket)).unwrap();
    audit.append(&entry(1)).unwrap();
    let mut buffer = [0; 4096];
    let n = journald.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..n]);
    for field in [
        "MESSAGE=uid 1000 (alice): stop web/1: allowed\n",
        "REEVE_AUDIT=1\n",
        "REEVE_CALLER_UID=1000\n",
        "REEVE_CALLER_PID=7\n",
        "REEVE_RESULT=allowed\n",
    ] {
        assert!(text.contains(field), "{field} in {text}");
    }
    std::fs::remove_file(&socket).unwrap();
    let error = audit.append(&entry(2)).unwrap_err();
    assert!(matches!(error, AuditError::Journal(_)), "{error}");
    assert_eq!(audit.verify().unwrap().entries, 2);
}

#[test]
fn secrets_are_redacted_by_the_name_of_their_key() {
    let arguments = [("api_token", "abc"), ("replicas", "3"), ("DB_PASSWORD", "x")];
    let arguments = arguments.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let shown = redact(&arguments);
    assert_eq!(shown["api_token"], "[redacted]");
    assert_eq!(shown["DB_PASSWORD"], "[redacted]");
    assert_eq!(shown["replicas"], "3");
}

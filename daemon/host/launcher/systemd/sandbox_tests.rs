//! Keys, their types and their mistakes.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn one(key: &str, value: &str) -> Value {
    properties_of(key, &[value.to_owned()]).unwrap().remove(0).value
}

#[test]
fn keys_are_sorted_and_the_defaults_are_among_them() {
    assert!(KEYS.windows(2).all(|w| w[0].0 < w[1].0));
    assert!(!properties(&BTreeMap::new(), &[]).unwrap().is_empty());
}

#[test]
fn each_key_has_the_type_systemd_wants() {
    assert_eq!(one("PrivateTmp", "no"), Value::Bool(false));
    assert_eq!(
        one("SystemCallFilter", "~@privileged @resources"),
        Value::Filter(false, vec!["@privileged".into(), "@resources".into()])
    );
    assert_eq!(one("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE CAP_KILL"), Value::U64((1 << 10) | (1 << 5)));
    assert_eq!(one("CapabilityBoundingSet", ""), Value::U64(0));
    assert_eq!(one("RestrictNamespaces", "~user"), Value::U64(0x6e02_0000));
    assert_eq!(one("UMask", "0077"), Value::U32(0o77));
    assert_eq!(one("MemorySwapMax", "1G"), Value::U64(1 << 30));
    assert_eq!(one("DeviceAllow", "/dev/nvidia0"), Value::Pairs(vec![("/dev/nvidia0".into(), "rw".into())]));
    assert_eq!(one("IPAddressAllow", "10.0.0.0/8"), Value::Addresses(vec![(libc::AF_INET, vec![10, 0, 0, 0], 8)]));
    assert_eq!(one("BindReadOnlyPaths", "-/a:/b"), Value::Binds(vec![("/a".into(), "/b".into(), true, 16384)]));
    assert_eq!(
        properties_of("LimitNOFILE", &["1024:infinity".to_owned()]).unwrap(),
        [Property::new("LimitNOFILE", u64::MAX), Property::new("LimitNOFILESoft", 1024u64)]
    );
}

#[test]
fn sup_14_unknown_key_or_value_is_named() {
    let error = check("ProtectSytem", &["strict".into()]).unwrap_err();
    assert!(error.contains("worker.sandbox.ProtectSytem"), "{error}");
    let error = check("PrivateTmp", &["maybe".into()]).unwrap_err();
    assert!(error.contains("yes or no"), "{error}");
    let error = check("CapabilityBoundingSet", &["CAP_FLY".into()]).unwrap_err();
    assert!(error.contains("CAP_FLY"), "{error}");
    assert!(check("IPAddressDeny", &["10.0.0.0/33".into()]).is_err());
    assert!(check("UMask", &["0088".into()]).is_err());
}

#[test]
fn what_a_worker_says_replaces_the_default() {
    let said = BTreeMap::from([
        ("ProtectSystem".to_owned(), vec!["full".to_owned()]),
        ("SystemCallFilter".to_owned(), vec![]),
    ]);
    let all = properties(&said, &["PrivateTmp"]).unwrap();
    let of = |name: &str| all.iter().filter(|p| p.name == name).collect::<Vec<_>>();
    assert_eq!(of("ProtectSystem"), [&Property::new("ProtectSystem", "full")]);
    assert!(of("SystemCallFilter").is_empty() && of("PrivateTmp").is_empty());
}

//! The table holds together.

use super::*;
use std::collections::BTreeSet;

#[test]
fn the_table_is_well_formed() {
    for interface in INTERFACES {
        let names: BTreeSet<_> = interface
            .methods
            .iter()
            .map(|m| m.name)
            .chain(interface.properties.iter().map(|p| p.name))
            .chain(interface.signals.iter().map(|s| s.name))
            .collect();
        let all = interface.methods.len() + interface.properties.len() + interface.signals.len();
        assert_eq!(names.len(), all, "{}: names are unique", interface.name);
        for method in interface.methods {
            let last = method.input.last().map(|a| (a.name, a.signature));
            if method.name != "Ping" {
                assert_eq!(last, Some(("opt", "a{sv}")), "{}", method.name);
            }
            assert!(!method.doc.is_empty(), "{}", method.name);
            for signature in method
                .input
                .iter()
                .chain(method.output)
                .map(|a| a.signature)
                .chain(method.options.iter().map(|o| o.signature))
            {
                assert!(zbus::Signature::try_from(signature).is_ok(), "{signature}");
            }
            for error in method.errors {
                assert!(super::super::error::NAMES.contains(error), "{}: {error}", method.name);
            }
        }
    }
}

#[test]
fn no_method_takes_a_path_or_a_program() {
    for method in INTERFACES.iter().flat_map(|i| i.methods) {
        for argument in method.input {
            assert!(
                !["path", "file", "exec", "command"].contains(&argument.name),
                "{}: {}",
                method.name,
                argument.name
            );
        }
    }
}

#[test]
fn a_synopsis_reads_like_the_man_page() {
    let start = interface("Workers").and_then(|i| i.method("Start"));
    assert_eq!(start.map(Method::synopsis).as_deref(), Some("Start(s target, a{sv} opt) -> (o task_run)"));
}

//! Probes and drain: exactly one way of asking each.

use super::doc::{Doc, Report};
use crate::config::schema::ALTERNATIVES;
use crate::config::types::{Check, Drain, Notice, Probe, Until};
use crate::config::{address, signal};

/// `[worker.probe.KIND]`; `None` when it is absent or off.
pub(super) fn build(doc: &Doc<'_>, section: &str, report: &mut Report) -> Option<Probe> {
    if !doc.present(section) {
        return None;
    }
    let key = |key: &str| format!("{section}.{key}");
    let check = match one_of(doc, section, true, report)? {
        "http" => Check::Http(doc.text(&key("http"))?),
        "tcp" => Check::Tcp(doc.text(&key("tcp"))?),
        "exec" => Check::Exec(doc.list(&key("exec"))),
        "notify" => Check::Notify,
        _ => Check::Progress,
    };
    let period = doc.duration(&key("period"));
    let mut timeout = doc.duration(&key("timeout"));
    if !doc.is_set(&key("timeout")) {
        timeout = timeout.min(period);
    }
    Some(Probe {
        check,
        initial_delay: doc.duration(&key("initial_delay")),
        period,
        timeout,
        failure_threshold: doc.count(&key("failure_threshold")),
        success_threshold: doc.count(&key("success_threshold")),
    })
}

/// `[worker.drain]`; `None` when it is absent or off.
pub(super) fn drain(doc: &Doc<'_>, report: &mut Report) -> Option<Drain> {
    const SECTION: &str = "worker.drain";
    if !doc.present(SECTION) {
        return None;
    }
    let notice = match one_of(doc, SECTION, false, report) {
        Some("signal") => doc
            .text("worker.drain.signal")
            .and_then(|name| signal::parse_signal(&name))
            .map_or(Notice::None, Notice::Signal),
        Some("http") => doc
            .text("worker.drain.http")
            .and_then(|text| address::request(&text).ok())
            .map_or(Notice::None, |(method, url, _)| Notice::Http(method, url)),
        Some("exec") => Notice::Exec(doc.list("worker.drain.exec")),
        _ => Notice::None,
    };
    let until = match one_of(doc, "worker.drain.until", false, report) {
        Some("metric") => Until::Metric {
            name: doc.text("worker.drain.until.metric").unwrap_or_default(),
            equals: doc.number("worker.drain.until.equals"),
        },
        Some("exit") => Until::Exit,
        Some("exec") => Until::Exec(doc.list("worker.drain.until.exec")),
        _ => Until::Nothing,
    };
    let save_state = doc.list("worker.drain.save_state");
    Some(Drain {
        notice,
        until,
        timeout: doc.duration("worker.drain.timeout"),
        save_state: (!save_state.is_empty()).then_some(save_state),
    })
}

/// The alternative that is set; more than one is an error, none is one when it is `required`.
fn one_of(doc: &Doc<'_>, section: &str, required: bool, report: &mut Report) -> Option<&'static str> {
    let (_, names) = ALTERNATIVES.iter().find(|(name, _)| *name == section)?;
    let set: Vec<&'static str> =
        names.iter().copied().filter(|name| doc.present(&format!("{section}.{name}"))).collect();
    match set.as_slice() {
        [one] => Some(one),
        [] => {
            if required {
                let text = format!("says not how to ask; expected one of {}", names.join(", "));
                report.error(doc, section, &[], text);
            }
            None
        }
        [_, second, ..] => {
            let sides: Vec<_> = set.iter().map(|name| doc.side(&format!("{section}.{name}"))).collect();
            let text = format!("only one of these may be set: {}", sides.join(", "));
            report.error(doc, &format!("{section}.{second}"), &[], text);
            None
        }
    }
}

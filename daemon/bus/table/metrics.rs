//! `org.reeve.Node1.Metrics`.

use super::{Access, Interface, OPT, Verb, arg, method};
use crate::bus::action::Action;

pub(super) const METRICS: Interface = Interface {
    name: "Metrics",
    doc: "What the node measures, as the scrape endpoint tells it.",
    methods: &[method(
        "GetMetrics",
        Verb::GetMetrics,
        Access::Action(Action::ReadMetrics),
        &[arg("filter", "as"), OPT],
        &[arg("series", "a(sa{ss}d)")],
        "Series by name: name, labels, value. The filter names sources (`cpu`, `gpu`) or families (`reeve_worker_*`);\n\
        empty is everything. What is not known is absent.",
    )],
    properties: &[],
    signals: &[],
};

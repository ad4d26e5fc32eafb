//! Stage three: the merged definitions become a [`Config`], or every reason why they cannot.
//!
//! Types and ranges were checked fragment by fragment; here stand the relations between keys, workers, teams and host.

mod doc;
mod fleet;
mod graph;
mod node;
mod placement;
mod probe;
mod relations;
mod worker;

use super::{Config, Diagnostic, HostFacts, Merged, SourceKind, Worker};
use crate::ids::WorkerName;
use doc::{Doc, Report};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A worker together with the document it was made from.
struct Built<'a> {
    doc: Doc<'a>,
    worker: Worker,
}

/// Checks all relations; `None` when there is any error, those already in `out` included.
pub(super) fn validate(merged: &Merged, host: &HostFacts, out: &mut Vec<Diagnostic>) -> Option<Config> {
    let mut report = Report::default();
    let node_doc = Doc::new(&merged.node, &SourceKind::Node);
    let mut config = node::build(&node_doc, host, &mut report);

    let mut built: BTreeMap<WorkerName, Built<'_>> = BTreeMap::new();
    for (name, document) in &merged.workers {
        let doc = Doc::new(document, &SourceKind::Worker(name.clone()));
        if let Some(worker) = worker::build(name, &doc, &mut report) {
            relations::check(&doc, &worker, &mut report);
            built.insert(worker.name.clone(), Built { doc, worker });
        }
    }
    graph::dependencies(merged, &built, &mut report);
    let placed = placement::placed(&config, &built, &mut report);
    graph::teams(&node_doc, &config, &built, &placed, &mut report);
    placement::check(&node_doc, &config, host, &placed, &mut report);

    out.extend(report.diagnostics);
    config.workers = built.into_iter().map(|(name, built)| (name, Arc::new(built.worker))).collect();
    out.iter().all(|d| !d.error).then_some(config)
}

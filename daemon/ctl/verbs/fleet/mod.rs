//! `fleet`: one file a verb, or a small group of them.

mod ask;
mod broker_config;
mod change;
mod nodes;
mod slots;
mod status;
mod why;

use crate::ctl::args::FleetVerb;
use crate::ctl::context::Ctl;
use crate::ctl::failure::Failure;

/// Carries out one of them.
pub async fn run(ctl: &Ctl, verb: &FleetVerb) -> Result<u8, Failure> {
    match verb {
        FleetVerb::Status => status::run(ctl).await,
        FleetVerb::Nodes { full, file_sd: false, .. } => nodes::list(ctl, *full).await,
        FleetVerb::Nodes { file_sd: true, port, .. } => nodes::file_sd(ctl, *port).await,
        FleetVerb::Slots { full } => slots::run(ctl, *full).await,
        FleetVerb::Why { subject, full } => why::run(ctl, subject.as_deref().unwrap_or_default(), *full).await,
        FleetVerb::Ask(args) => ask::run(ctl, args).await,
        FleetVerb::BrokerConfig { operators } => broker_config::run(ctl, operators).await,
        verb => change::run(ctl, verb).await,
    }
}

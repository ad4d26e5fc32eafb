//! Asking about the fleet, and of it.

mod records;

pub use records::{Broker, FleetGpu, FleetNode, FleetState, FleetWorker, Past, Slot, Voter};

use super::client::{Client, Options, reason_apart};
use super::convert::Fields;
use super::error::CallError;
use super::traits::{FleetProxy, Opt};
use zbus::Variant;
use zbus::proxy::CacheProperties;

const READ: &str = "read-fleet";

/// What can be asked of the fleet. Each ends in a task run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the methods of Fleet")]
pub enum FleetChange<'a> {
    Ask { kind: &'a str },
    Release { slot: &'a str, failed: bool },
    Break { slot: &'a str },
    Freeze,
    Unfreeze,
    Handover { node: &'a str },
    Promote { force: bool },
    Demote { node: &'a str },
    Rejoin,
    Recover { i_know: bool },
}

impl FleetChange<'_> {
    /// The polkit action it needs.
    fn action(self) -> &'static str {
        match self {
            FleetChange::Ask { .. } | FleetChange::Release { .. } => "slot",
            FleetChange::Break { .. } | FleetChange::Freeze | FleetChange::Unfreeze => "break-slot",
            FleetChange::Handover { .. } | FleetChange::Promote { .. } | FleetChange::Demote { .. } => "lead",
            FleetChange::Rejoin | FleetChange::Recover { .. } => "recover-fleet",
        }
    }
}

impl Client {
    async fn fleet(&self, action: &'static str) -> Result<FleetProxy<'_>, CallError> {
        let proxy = FleetProxy::builder(&self.connection).cache_properties(CacheProperties::No).build().await;
        proxy.map_err(|e| self.error(e, action))
    }

    /// The fleet as this node sees it.
    pub async fn fleet_status(&self) -> Result<FleetState, CallError> {
        let more = self.fleet(READ).await?.get_status(&Opt::new()).await.map_err(|e| self.error(e, READ))?;
        Ok(FleetState::read(&Fields::from(more)))
    }

    /// The nodes, as a voter knows them.
    pub async fn fleet_nodes(&self) -> Result<Vec<FleetNode>, CallError> {
        let rows = self.fleet(READ).await?.list_nodes(&Opt::new()).await.map_err(|e| self.error(e, READ))?;
        Ok(rows.into_iter().map(FleetNode::read).collect())
    }

    /// Slots that are held or asked for.
    pub async fn fleet_slots(&self) -> Result<Vec<Slot>, CallError> {
        let rows = self.fleet(READ).await?.list_slots(&Opt::new()).await.map_err(|e| self.error(e, READ))?;
        Ok(rows.into_iter().map(Slot::read).collect())
    }

    /// What has happened to a node, a slot or `leader`; to all of them with an empty subject.
    pub async fn fleet_why(&self, subject: &str) -> Result<Vec<Past>, CallError> {
        let rows = self.fleet(READ).await?.why(subject, &Opt::new()).await.map_err(|e| self.error(e, READ))?;
        Ok(rows.into_iter().map(Past::read).collect())
    }

    /// A configuration of mosquitto for this fleet.
    pub async fn broker_config(&self, operators: &[String]) -> Result<String, CallError> {
        let mut opt = Opt::new();
        if !operators.is_empty() {
            let names: Vec<&str> = operators.iter().map(String::as_str).collect();
            opt.insert("operators", Variant::from(names));
        }
        self.fleet(READ).await?.broker_config(&opt).await.map_err(|e| self.error(e, READ))
    }

    /// Asks the fleet; the path of the task run.
    pub async fn change_fleet(&self, change: FleetChange<'_>, options: &Options) -> Result<String, CallError> {
        let action = change.action();
        let fleet = self.fleet(action).await?;
        let (reason, mut opt) = reason_apart(options);
        let mut say = |key, yes: bool| {
            if yes {
                opt.insert(key, Variant::from(true));
            }
        };
        match change {
            FleetChange::Release { failed, .. } => say("failed", failed),
            FleetChange::Promote { force } => say("force", force),
            FleetChange::Recover { i_know } => say("i-know", i_know),
            _ => {}
        }
        let path = match change {
            FleetChange::Ask { kind } => fleet.ask(kind, reason, &opt).await,
            FleetChange::Release { slot, .. } => fleet.release(slot, &with(opt, reason)).await,
            FleetChange::Break { slot } => fleet.r#break(slot, reason, &opt).await,
            FleetChange::Freeze => fleet.freeze(reason, &opt).await,
            FleetChange::Unfreeze => fleet.unfreeze(&with(opt, reason)).await,
            FleetChange::Handover { node } => fleet.handover(node, reason, &opt).await,
            FleetChange::Promote { .. } => fleet.promote(reason, &opt).await,
            FleetChange::Demote { node } => fleet.demote(node, reason, &opt).await,
            FleetChange::Rejoin => fleet.rejoin(reason, &opt).await,
            FleetChange::Recover { .. } => fleet.recover(reason, &opt).await,
        };
        self.path(path, action)
    }
}

/// Methods without an argument for the reason take it among the options.
fn with<'a>(mut opt: Opt<'a>, reason: &'a str) -> Opt<'a> {
    if !reason.is_empty() {
        opt.insert("reason", Variant::from(reason));
    }
    opt
}

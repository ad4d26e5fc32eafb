//! `fleet release|break|freeze|unfreeze|handover|promote|demote|rejoin|recover`: one call, then waiting for its end.

use crate::bus::proxy::Options;
use crate::bus::proxy::fleet::FleetChange;
use crate::ctl::args::{FirmArgs, FleetVerb, WaitArgs};
use crate::ctl::context::Ctl;
use crate::ctl::failure::Failure;
use crate::ctl::wait::{Asked, Of, finish};

/// One change as it is asked for, and how to speak of it.
struct Change<'a> {
    ask: FleetChange<'a>,
    /// Word and target: completes "cannot …".
    words: (&'static str, &'a str),
    reason: Option<&'a str>,
    wait: &'a WaitArgs,
    /// Asked of a person first.
    question: Option<(String, bool)>,
}

/// Asks for it and waits.
pub async fn run(ctl: &Ctl, verb: &FleetVerb) -> Result<u8, Failure> {
    let Some(change) = Change::read(verb) else {
        return Err(Failure::Usage("this verb changes nothing".to_owned()));
    };
    if let Some((question, yes)) = &change.question {
        ctl.confirm(question, *yes)?;
    }
    let (client, _agent) = ctl.asking_client().await?;
    let options = Options { reason: change.reason.map(str::to_owned), ..Options::default() };
    let answer = client.change_fleet(change.ask, &options).await;
    let (word, target) = change.words;
    let asked = vec![Asked { target: target.to_owned(), answer, of: Of::Fleet }];
    finish(ctl, &client, word, asked, change.wait, false).await
}

impl<'a> Change<'a> {
    /// `None`: the verb only looks, or has a file of its own.
    fn read(verb: &'a FleetVerb) -> Option<Self> {
        Some(match verb {
            FleetVerb::Release { slot, failed, reason, wait } => {
                let ask = FleetChange::Release { slot, failed: *failed };
                Self::easy(ask, ("release", slot), reason.as_deref(), wait)
            }
            FleetVerb::Freeze { reason, wait } => {
                Self::easy(FleetChange::Freeze, ("freeze", "slots"), Some(reason), wait)
            }
            FleetVerb::Unfreeze { reason, wait } => {
                Self::easy(FleetChange::Unfreeze, ("unfreeze", "slots"), reason.as_deref(), wait)
            }
            FleetVerb::Handover { node, reason, wait } => {
                let ask = FleetChange::Handover { node: node.as_deref().unwrap_or_default() };
                let to = node.as_deref().unwrap_or("another voter");
                Self::easy(ask, ("hand over to", to), Some(reason), wait)
            }
            FleetVerb::Recover { i_know, reason, wait } => {
                let ask = FleetChange::Recover { i_know: *i_know };
                Self::easy(ask, ("recover", "the fleet"), Some(reason), wait)
            }
            FleetVerb::Break { slot, change } => {
                let question = format!("Take {slot} away from its holder, who may still be at work?");
                Self::firm(FleetChange::Break { slot }, ("break", slot), change, Some(question))
            }
            FleetVerb::Promote { force, change } => {
                let question = "Make this node the only voter? What the others decided last is lost.".to_owned();
                let ask = FleetChange::Promote { force: *force };
                Self::firm(ask, ("promote", "this node"), change, force.then_some(question))
            }
            FleetVerb::Demote { node, change } => {
                let question = format!("Make {node} an observer, which elects no more?");
                Self::firm(FleetChange::Demote { node }, ("demote", node), change, Some(question))
            }
            FleetVerb::Rejoin { change } => {
                let question = "Make this node a new voter of its name, which forgets what it promised?".to_owned();
                Self::firm(FleetChange::Rejoin, ("rejoin", "the fleet"), change, Some(question))
            }
            FleetVerb::Status
            | FleetVerb::Nodes { .. }
            | FleetVerb::Slots { .. }
            | FleetVerb::Why { .. }
            | FleetVerb::Ask(_)
            | FleetVerb::BrokerConfig { .. } => return None,
        })
    }

    fn easy(ask: FleetChange<'a>, words: (&'static str, &'a str), reason: Option<&'a str>, wait: &'a WaitArgs) -> Self {
        Self { ask, words, reason, wait, question: None }
    }

    fn firm(
        ask: FleetChange<'a>,
        words: (&'static str, &'a str),
        change: &'a FirmArgs,
        question: Option<String>,
    ) -> Self {
        let question = question.map(|text| (text, change.yes));
        Self { question, ..Self::easy(ask, words, Some(&change.reason), &change.wait) }
    }
}

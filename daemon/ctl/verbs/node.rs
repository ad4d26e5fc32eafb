//! `node status|drain|undrain`.

use crate::bus::proxy::Options;
use crate::ctl::args::{NodeVerb, WaitArgs};
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, NO, YES};
use crate::ctl::json;
use crate::ctl::render::node;
use crate::ctl::wait::{Asked, Of, finish};

/// Carries out one of them.
pub async fn run(ctl: &Ctl, verb: &NodeVerb) -> Result<u8, Failure> {
    match verb {
        NodeVerb::Status => status(ctl).await,
        NodeVerb::Drain { reason, yes, dry_run, wait } => {
            if !dry_run {
                ctl.confirm("Drain and stop every worker of this node?", *yes)?;
            }
            change(ctl, true, Some(reason.clone()), *dry_run, wait).await
        }
        NodeVerb::Undrain { reason, dry_run, wait } => change(ctl, false, reason.clone(), *dry_run, wait).await,
    }
}

async fn status(ctl: &Ctl) -> Result<u8, Failure> {
    let state = ctl.client().await?.status().await.doing("show the node")?;
    if ctl.global.json {
        ctl.document(&json::Node::new(&state, None))?;
    } else {
        ctl.show(&node::head(&state, &ctl.style))?;
    }
    Ok(if state.state == "running" { YES } else { NO })
}

async fn change(ctl: &Ctl, drain: bool, reason: Option<String>, dry_run: bool, wait: &WaitArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let options = Options { reason, dry_run, ..Options::default() };
    let (word, answer) = if drain {
        ("drain", client.node_drain(&options).await)
    } else {
        ("undrain", client.node_undrain(&options).await)
    };
    let asked = vec![Asked { target: "node".to_owned(), answer, of: Of::Node }];
    finish(ctl, &client, word, asked, wait, dry_run).await
}

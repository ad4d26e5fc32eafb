//! `start stop restart pause resume isolate drain reset`: one call a target, then waiting for the task runs.

use crate::bus::proxy::client::Verb;
use crate::bus::proxy::{CallError, Options};
use crate::ctl::args::{ActArgs, ChangeArgs, IsolateArgs, ResetArgs, RestartArgs, StopArgs, WaitArgs};
use crate::ctl::context::{Ctl, target};
use crate::ctl::failure::{Doing, Failure};
use crate::ctl::wait::{Asked, Of, Outcome, conclude, finish};

/// `start`.
pub async fn start(ctl: &Ctl, a: &ActArgs) -> Result<u8, Failure> {
    act(ctl, Verb::Start, "start", &a.targets, &a.change, &a.wait).await
}

/// `stop`, also of everything.
pub async fn stop(ctl: &Ctl, a: &StopArgs) -> Result<u8, Failure> {
    if !a.all {
        return act(ctl, Verb::Stop, "stop", &a.targets, &a.change, &a.wait).await;
    }
    if !a.change.dry_run {
        ctl.confirm("Stop all workers of this node?", a.yes)?;
    }
    let (client, _agent) = ctl.asking_client().await?;
    let answer = client.stop_all(&options(&a.change)).await;
    let asked = vec![Asked { target: "*".to_owned(), answer, of: Of::Node }];
    finish(ctl, &client, "stop", asked, &a.wait, a.change.dry_run).await
}

/// `restart`.
pub async fn restart(ctl: &Ctl, a: &RestartArgs) -> Result<u8, Failure> {
    let verb = Verb::Restart { rolling: a.rolling };
    act(ctl, verb, "restart", &a.targets, &a.change, &a.wait).await
}

/// `pause`.
pub async fn pause(ctl: &Ctl, a: &ActArgs) -> Result<u8, Failure> {
    act(ctl, Verb::Pause, "pause", &a.targets, &a.change, &a.wait).await
}

/// `resume`.
pub async fn resume(ctl: &Ctl, a: &ActArgs) -> Result<u8, Failure> {
    act(ctl, Verb::Resume, "resume", &a.targets, &a.change, &a.wait).await
}

/// `isolate`: the work of the worker may be lost to its peers, so it is asked for twice.
pub async fn isolate(ctl: &Ctl, a: &IsolateArgs) -> Result<u8, Failure> {
    if !a.change.dry_run {
        let question = format!("Freeze {} and cut off the network?", a.targets.join(", "));
        ctl.confirm(&question, a.yes)?;
    }
    act(ctl, Verb::Isolate, "isolate", &a.targets, &a.change, &a.wait).await
}

/// `drain`.
pub async fn drain(ctl: &Ctl, a: &ActArgs) -> Result<u8, Failure> {
    act(ctl, Verb::Drain, "drain", &a.targets, &a.change, &a.wait).await
}

/// `reset`: done when the call returns.
pub async fn reset(ctl: &Ctl, a: &ResetArgs) -> Result<u8, Failure> {
    let targets = check(&a.targets)?;
    let (client, _agent) = ctl.asking_client().await?;
    let mut outcomes = Vec::new();
    for target in targets {
        client.reset(&target, &options(&a.change)).await.doing(format!("reset {target}"))?;
        if !ctl.global.json {
            ctl.print(&format!("{target}: reset\n"))?;
        }
        outcomes.push(Outcome::at_once(&target, None));
    }
    conclude(ctl, &outcomes)
}

/// The options as the API has them.
pub fn options(change: &ChangeArgs) -> Options {
    Options {
        reason: change.reason.clone(),
        request_id: change.request_id.clone(),
        timeout: None,
        dry_run: change.dry_run,
    }
}

/// All are asked for before the first is waited for, so that the daemon works on them side by side.
async fn act(
    ctl: &Ctl,
    verb: Verb,
    word: &str,
    targets: &[String],
    change: &ChangeArgs,
    wait: &WaitArgs,
) -> Result<u8, Failure> {
    let targets = check(targets)?;
    let (client, _agent) = ctl.asking_client().await?;
    let options = options(change);
    let mut asked = Vec::new();
    for target in targets {
        let answer = client.act(verb, &target, &options).await;
        // Who cannot be reached for one cannot be reached for the others.
        if let Err(error @ CallError::Unreachable { .. }) = answer {
            return Err(error).doing(format!("{word} {target}"));
        }
        asked.push(Asked { target, answer, of: Of::Worker });
    }
    finish(ctl, &client, word, asked, wait, change.dry_run).await
}

/// All names are checked before anything is done to the first.
fn check(targets: &[String]) -> Result<Vec<String>, Failure> {
    targets.iter().map(|t| target(t).map(|t| t.to_string())).collect()
}

//! `set WORKER key=value…`: limits of living workers.

use super::lifecycle::options;
use crate::ctl::args::SetArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure};
use crate::ctl::wait::{Outcome, conclude};
use reeve_core::WorkerName;

/// Done when the call returns; says when a restart is needed.
pub async fn run(ctl: &Ctl, a: &SetArgs) -> Result<u8, Failure> {
    let worker = WorkerName::new(&a.worker).map_err(|e| Failure::Usage(e.to_string()))?;
    let (client, _agent) = ctl.asking_client().await?;
    let answer =
        client.set(worker.as_str(), &a.values, &options(&a.change)).await.doing(format!("set limits of {worker}"))?;
    let message = match answer.as_str() {
        "applied" => "applied to the living replicas".to_owned(),
        "needs-restart" => {
            format!("takes effect at the next start; `reevectl restart --rolling {worker}` does it")
        }
        other => other.to_owned(),
    };
    if !ctl.global.json {
        ctl.print(&format!("{worker}: {message}\n"))?;
    }
    // Programs get the daemon's own word.
    conclude(ctl, &[Outcome::at_once(worker.as_str(), Some(answer))])
}

//! `scale WORKER N`.

use super::lifecycle::options;
use crate::ctl::args::ScaleArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::Failure;
use crate::ctl::wait::{Asked, Of, finish};
use reeve_core::WorkerName;

/// Asks for another number of replicas and waits until they are there.
pub async fn run(ctl: &Ctl, a: &ScaleArgs) -> Result<u8, Failure> {
    let worker = WorkerName::new(&a.worker).map_err(|e| Failure::Usage(e.to_string()))?;
    let (client, _agent) = ctl.asking_client().await?;
    let answer = client.scale(worker.as_str(), a.replicas, &options(&a.change)).await;
    let asked = vec![Asked { target: worker.to_string(), answer, of: Of::Worker }];
    finish(ctl, &client, "scale", asked, &a.wait, a.change.dry_run).await
}

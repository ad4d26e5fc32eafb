//! `gpu list|release|acquire`.

use crate::bus::proxy::Options;
use crate::ctl::args::GpuVerb;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::gpu;

/// Carries out one of them.
pub async fn run(ctl: &Ctl, verb: &GpuVerb) -> Result<u8, Failure> {
    match verb {
        GpuVerb::List { full } => list(ctl, *full).await,
        GpuVerb::Release { reason } => {
            let (client, _agent) = ctl.asking_client().await?;
            let options = Options { reason: Some(reason.clone()), ..Options::default() };
            client.gpu_release(&options).await.doing("let go of the GPUs")?;
            said(ctl, "NVML is released; cards can be reset and the driver replaced.\n")
        }
        GpuVerb::Acquire { reason } => {
            let (client, _agent) = ctl.asking_client().await?;
            let options = Options { reason: reason.clone(), ..Options::default() };
            client.gpu_acquire(&options).await.doing("take the GPUs back")?;
            said(ctl, "NVML is held again.\n")
        }
    }
}

async fn list(ctl: &Ctl, full: bool) -> Result<u8, Failure> {
    let gpus = ctl.client().await?.gpus().await.doing("list the GPUs")?;
    if ctl.global.json {
        ctl.document(&json::Gpus::new(&gpus))?;
    } else {
        ctl.show(&gpu::list(&gpus, &ctl.style(full)))?;
    }
    Ok(YES)
}

fn said(ctl: &Ctl, text: &str) -> Result<u8, Failure> {
    if !ctl.global.quiet && !ctl.global.json {
        ctl.print(text)?;
    }
    Ok(YES)
}

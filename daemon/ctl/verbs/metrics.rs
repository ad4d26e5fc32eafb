//! `metrics [FILTER]`: what is measured.

use crate::ctl::args::MetricsArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::listings;

/// Series by name; none is the answer no.
pub async fn run(ctl: &Ctl, a: &MetricsArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let series = client.metrics(&a.filter).await.doing("read the metrics")?;
    if ctl.global.json {
        let document: Vec<_> = series.iter().map(json::Series::new).collect();
        ctl.document(&document)?;
    }
    if series.is_empty() {
        let what = if a.filter.is_empty() { "is known".to_owned() } else { format!("fits {}", a.filter.join(" ")) };
        return Err(Failure::No(format!("no series {what}; all families are in reeve-metrics(7)")));
    }
    if !ctl.global.json {
        ctl.show(&listings::series(&series, &ctl.style(a.full)))?;
    }
    Ok(YES)
}

//! `fleet nodes`: for people, for programs, and for Prometheus.

use crate::bus::proxy::fleet::FleetNode;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;
use crate::ctl::render::fleet;

/// The table, or the document.
pub async fn list(ctl: &Ctl, full: bool) -> Result<u8, Failure> {
    let nodes = ask(ctl).await?;
    if ctl.global.json {
        let document: Vec<_> = nodes.iter().map(json::fleet::Node::new).collect();
        ctl.document(&document)?;
    } else {
        ctl.show(&fleet::nodes(&nodes, &ctl.style(full)))?;
    }
    Ok(YES)
}

/// The list of targets.
pub async fn file_sd(ctl: &Ctl, port: Option<u16>) -> Result<u8, Failure> {
    let nodes = ask(ctl).await?;
    let targets: Vec<_> = nodes.iter().filter_map(|n| json::fleet::Target::new(n, port)).collect();
    ctl.document(&targets)?;
    Ok(YES)
}

async fn ask(ctl: &Ctl) -> Result<Vec<FleetNode>, Failure> {
    ctl.client().await?.fleet_nodes().await.doing("list the nodes of the fleet")
}

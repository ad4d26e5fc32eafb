//! `fleet broker-config`: what a broker needs to know of this fleet.

use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::json;

/// Prints it as it is, for a file.
pub async fn run(ctl: &Ctl, operators: &[String]) -> Result<u8, Failure> {
    let config = ctl.client().await?.broker_config(operators).await.doing("print a configuration for the broker")?;
    if ctl.global.json {
        ctl.document(&json::fleet::BrokerConfig { config: &config })?;
    } else {
        ctl.show(&config)?;
    }
    Ok(YES)
}

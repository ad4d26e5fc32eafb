//! `reload`: returns when the new configuration is in force, or lists every mistake.

use crate::bus::proxy::{Client, Options};
use crate::ctl::args::ReloadArgs;
use crate::ctl::context::Ctl;
use crate::ctl::failure::{Doing, Failure, YES};
use crate::ctl::render::listings;

/// The call itself waits, whether `--wait` was typed or not.
pub async fn run(ctl: &Ctl, a: &ReloadArgs) -> Result<u8, Failure> {
    let (client, _agent) = ctl.asking_client().await?;
    let options = Options {
        reason: a.reason.clone(),
        ..Options::default()
    };
    let generation = match client.reload(&options).await {
        Err(error) => {
            if error.is("ConfigInvalid") {
                list_mistakes(ctl, &client).await;
            }
            return Err(error).doing("reload the configuration");
        }
        Ok(generation) => generation,
    };
    if ctl.global.json {
        ctl.document(&serde_json::json!({ "generation": generation }))?;
    } else {
        ctl.print(&format!(
            "The configuration on disk is in force, generation {generation}.\n"
        ))?;
    }
    Ok(YES)
}

/// Every mistake with file, line and key on standard error. Who may not read them still gets the refusal itself.
pub async fn list_mistakes(ctl: &Ctl, client: &Client) {
    let marks = client.check_config().await.unwrap_or_default();
    for mark in marks.iter().filter(|m| m.is_error()) {
        ctl.output.err(&listings::mark(mark, &ctl.style));
    }
}

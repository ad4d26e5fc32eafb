//! Manager: the configuration.

use crate::app::handle::Request;
use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::wire::{Dict, Val};
use zbus::Message;

pub(super) async fn check(call: &Call<'_>) -> Result<Message, Error> {
    let remarks = call.handle().ask(Request::CheckConfig).await?;
    let rows: Vec<_> = remarks
        .iter()
        .map(|d| {
            let severity = if d.error { "error" } else { "warning" };
            (severity, d.file.as_str(), d.line, d.column, d.key.as_str(), d.text.as_str())
        })
        .collect();
    call.reply(&(rows,))
}

pub(super) async fn show(call: &Call<'_>) -> Result<Message, Error> {
    let toml = call.handle().ask(Request::ShowConfig).await?;
    call.reply(&(toml,))
}

pub(super) async fn diff(call: &Call<'_>) -> Result<Message, Error> {
    let rows = call.handle().ask(Request::DiffConfig).await??;
    call.reply(&(rows,))
}

pub(super) async fn explain(call: &mut Call<'_>) -> Result<Message, Error> {
    let key = call.args.text()?;
    let asked = key.clone();
    let found = call
        .handle()
        .ask(|back| Request::ExplainConfig(asked, back))
        .await?
        .ok_or_else(|| Error::new("NoSuchKey", format!("there is no key {key:?}")))?;
    let dict: Dict<'_> = found.into_iter().map(|(k, v)| (k.into(), Val::text(v))).collect();
    call.reply(&(dict,))
}

pub(super) async fn reload(call: &Call<'_>) -> Result<Message, Error> {
    let caller = call.caller();
    let generation = call.handle().ask(|back| Request::Reload(caller, back)).await??;
    call.reply(&(generation,))
}

//! Manager, but for the configuration.

use super::properties::totals;
use crate::app::handle::Request;
use crate::bus::action::Action;
use crate::bus::auth::Verdict;
use crate::bus::call::Call;
use crate::bus::error::Error;
use crate::bus::names::API_MINOR;
use crate::bus::peer::sender_key;
use crate::bus::wire::{Dict, Val};
use crate::bus::{hold as holds, subscribe as subscriptions};
use reeve_core::Wall;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zbus::{Fd, Message};

/// How many events are listed when the caller does not say.
const EVENTS: u32 = 100;

pub(super) fn ping(call: &Call<'_>) -> Result<Message, Error> {
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
    call.reply(&(now,))
}

pub(super) async fn can(call: &mut Call<'_>) -> Result<Message, Error> {
    let name = call.args.text()?;
    let action = Action::parse(&name).ok_or_else(|| Error::argument(format!("action: there is no action {name:?}")))?;
    let answer = match call.ask(action, false).await {
        Verdict::Granted(_) => "yes",
        Verdict::Challenge => "challenge",
        Verdict::Refused(_) | Verdict::Busy => "no",
    };
    call.reply(&(answer,))
}

pub(super) fn get_status(call: &Call<'_>) -> Result<Message, Error> {
    let snapshot = call.handle().snapshot();
    let node = &snapshot.node;
    let facts = &call.peer.context.facts;
    let totals = totals(&snapshot);
    let holds: Vec<String> = node.holds.iter().map(|(who, why)| format!("{who}: {why}")).collect();
    let status = Dict::new()
        .with("node", Val::text(node.name.as_str()))
        .with("labels", Val::Map(&node.labels))
        .with("state", Val::text(node.state))
        .with("reason", Val::text(node.reason.as_str()))
        .with("since", Val::Long(node.since.0))
        .with("version", Val::text(facts.version))
        .with("api_minor", Val::Count(API_MINOR))
        .with("boot_id", Val::text(facts.boot_id.as_str()))
        .with("uptime_usec", Val::Long(facts.uptime()))
        .with("launcher", Val::text(node.launcher.as_str()))
        .with("config_generation", Val::Long(node.config_generation))
        .with("config_errors", Val::Count(node.config_errors))
        .with("components", Val::Map(&node.components))
        .maybe("cordoned", node.cordoned.as_deref().map(Val::text))
        .maybe("drain_reason", node.drain_reason.as_deref().map(Val::text))
        .with("holds", Val::texts(&holds))
        .with("status", Val::text(node.status_line.as_str()))
        .with("workers_total", Val::Count(totals.workers))
        .with("workers_ready", Val::Count(totals.ready))
        .with("workers_failed", Val::Count(totals.failed))
        .with("workers_isolated", Val::Count(totals.isolated))
        .with("replicas_wanted", Val::Count(totals.replicas_wanted))
        .with("replicas_ready", Val::Count(totals.replicas_ready));
    call.reply(&(status,))
}

pub(super) async fn get_plan(call: &Call<'_>) -> Result<Message, Error> {
    let candidate = call.args.options.flag("candidate");
    let plan = call.handle().ask(|back| Request::Plan(candidate, back)).await??;
    let rows: Vec<_> = plan.iter().map(|a| (a.action.as_str(), a.target.as_str(), a.reason.as_str())).collect();
    call.reply(&(rows,))
}

pub(super) async fn list_events(call: &mut Call<'_>) -> Result<Message, Error> {
    let since = Wall(call.args.time()?);
    let max = match call.args.count()? {
        0 => EVENTS,
        max => max,
    };
    let events = call.handle().ask(|back| Request::Events(since, max, back)).await?;
    let rows: Vec<_> = events.iter().map(|e| subscriptions::row(e)).collect();
    call.reply(&(rows,))
}

pub(super) fn subscribe(call: &Call<'_>) -> Result<Message, Error> {
    let sender = sender_key(call.header);
    let peer = Arc::clone(call.peer);
    // From now on: what happens between this and the task's first turn is in the channel already.
    let events = call.handle().subscribe();
    call.peer.subscribe(&sender, || tokio::spawn(subscriptions::forward(peer, sender.clone(), events)).abort_handle());
    call.reply(&())
}

pub(super) fn unsubscribe(call: &Call<'_>) -> Result<Message, Error> {
    call.peer.unsubscribe(&sender_key(call.header));
    call.reply(&())
}

pub(super) async fn hold(call: &mut Call<'_>) -> Result<Message, Error> {
    let (who, why) = (call.args.text()?, call.args.text()?);
    if who.is_empty() || why.is_empty() {
        return Err(Error::argument("who, why: expected a text that says it"));
    }
    if call.args.options.dry_run {
        return Err(Error::argument("dry-run: a hold is real or it is not"));
    }
    let descriptor = holds::take(call, who, why).await?;
    call.reply(&(Fd::from(descriptor),))
}

pub(super) async fn set_log_level(call: &mut Call<'_>) -> Result<Message, Error> {
    const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
    let level = call.args.text()?;
    if !LEVELS.contains(&level.as_str()) {
        return Err(Error::argument(format!("level: expected one of {}, not {level:?}", LEVELS.join(", "))));
    }
    if !call.args.options.dry_run {
        let asked = level.clone();
        call.handle().ask(|back| Request::SetLogLevel(asked, back)).await?.map_err(Error::argument)?;
        call.peer.context.log_level.send_replace(level);
    }
    call.reply(&())
}

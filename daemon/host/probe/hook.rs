//! One drain step: telling the worker, asking whether it is done, saving its state.

use super::exec::{self, Context, Way};
use super::{BODY_MAX, metric, within};
use crate::host::http;
use reeve_core::HookAction;
use reeve_core::config::{Notice, Until};
use std::time::Duration;

/// The most a metrics page may take.
const PAGE_MAX: usize = 4 * 1024 * 1024;

/// Does the step. `Ok(false)`: the worker is not done yet.
pub(super) async fn run(action: &HookAction, way: Way, context: &Context, limit: Duration) -> Result<bool, String> {
    match action {
        HookAction::Notice(notice) => tell(notice, way, context, limit).await,
        HookAction::Until { until, scrape } => done(until, scrape.as_deref(), way, context, limit).await,
        HookAction::Exec(argv) => to_the_end(argv, way, context, limit).await,
    }
}

async fn tell(notice: &Notice, way: Way, context: &Context, limit: Duration) -> Result<bool, String> {
    match notice {
        Notice::Http(method, url) => {
            let answer = within(limit, http::ask(method, url, BODY_MAX)).await?;
            if answer.is_success() { Ok(true) } else { Err(format!("{method} {url}: answered {}", answer.status)) }
        }
        Notice::Exec(argv) => to_the_end(argv, way, context, limit).await,
        Notice::None => Ok(true),
        Notice::Signal(signal) => Err(format!("signal {signal} is to be sent by the launcher, not by a hook")),
    }
}

async fn done(
    until: &Until,
    scrape: Option<&str>,
    way: Way,
    context: &Context,
    limit: Duration,
) -> Result<bool, String> {
    match until {
        Until::Metric { name, equals } => {
            let url =
                scrape.ok_or_else(|| format!("metric {name} is asked for, but [worker.metrics] scrape is not set"))?;
            let answer = within(limit, http::ask("GET", url, PAGE_MAX)).await?;
            if answer.status != 200 || !answer.whole {
                return Err(format!(
                    "{url}: answered {}{}",
                    answer.status,
                    if answer.whole { "" } else { ", body cut off" }
                ));
            }
            let page = String::from_utf8_lossy(&answer.body);
            let value = metric::sum(&page, name).ok_or_else(|| format!("{url}: there is no metric {name}"))?;
            Ok((value - equals).abs() < 1e-9)
        }
        Until::Exec(argv) => Ok(exec::run(way, argv, context, limit).await? == 0),
        Until::Nothing => Ok(true),
        // The launcher reports it.
        Until::Exit => Ok(false),
    }
}

async fn to_the_end(argv: &[String], way: Way, context: &Context, limit: Duration) -> Result<bool, String> {
    match exec::run(way, argv, context, limit).await? {
        0 => Ok(true),
        code => Err(super::exit_text(argv, code)),
    }
}

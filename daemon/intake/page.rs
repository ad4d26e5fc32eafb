//! Reading a worker's own page.

use crate::host::http;
use reeve_core::metrics::intake::PAGE_MAX;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// 0.0.4 is what every client library writes best; the other is read as well.
const ACCEPT: &str = "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";

/// A page, or why there is none; and how long that took.
pub(super) type Page = (Result<String, String>, Duration);

/// A reading under way.
pub(super) type Reading = Pin<Box<dyn Future<Output = Page> + Send>>;

/// Begins to read it. It ends within `timeout`.
pub(super) fn read(url: String, timeout: Duration) -> Reading {
    Box::pin(async move {
        let begun = Instant::now();
        let page = match tokio::time::timeout(timeout, get(&url)).await {
            Ok(page) => page,
            Err(_elapsed) => Err(format!("{url}: no answer within {timeout:?}")),
        };
        (page, begun.elapsed())
    })
}

async fn get(url: &str) -> Result<String, String> {
    let answer = http::ask_for("GET", url, ACCEPT, PAGE_MAX).await?;
    if answer.status != 200 {
        return Err(format!("{url}: answered {}", answer.status));
    }
    if !answer.whole {
        return Err(format!("{url}: the answer is longer than {PAGE_MAX} bytes, or was cut short"));
    }
    String::from_utf8(answer.body).map_err(|_| format!("{url}: the answer is not UTF-8"))
}

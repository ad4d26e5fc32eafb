//! Waiting for something to become so, and looking that it stays so.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// For whatever has to happen, on a machine that does other things as well.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until the answer is good. `what` completes "it never happened that …"; a bad answer is how it stands instead.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(stands) => assert!(Instant::now() < end, "it never happened that {what}; so it stands: {stands}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// `thing`, if it is as it should be.
pub fn if_so<T: Debug>(thing: T, so: impl FnOnce(&T) -> bool) -> Result<T, String> {
    if so(&thing) { Ok(thing) } else { Err(format!("{thing:?}")) }
}

/// Looks again and again for this long; `look` panics when something is not as it should be.
pub async fn stays(span: Duration, mut look: impl AsyncFnMut()) {
    let end = Instant::now() + span;
    until("the span is over", async || {
        look().await;
        if_so(end, |end| Instant::now() >= *end)
    })
    .await;
}

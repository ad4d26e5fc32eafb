//! Waiting until a cgroup has frozen or thawed: a process that is in the middle of something must come out of it first.

use super::Group;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// It must have happened after this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until all of the cgroup is frozen, or none of it. An `Err` of `going_on` is the reason to give up early.
///
/// What was asked for with [`Group::freeze`] stays asked for, however this ends.
pub async fn settle(
    group: &Group,
    frozen: bool,
    mut going_on: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let mut wait = Duration::from_millis(1);
    loop {
        match group.frozen() {
            Some(is) if is == frozen => return Ok(()),
            Some(_) => {}
            None => return Err("it has ended".to_owned()),
        }
        if Instant::now() > deadline {
            let what = if frozen { "it is not frozen" } else { "it is still frozen, perhaps with its slice," };
            return Err(format!("{what} after {} s", PATIENCE.as_secs()));
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(100));
        going_on()?;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn it_settles_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group::at(folder.path().to_owned());
        let events = folder.path().join("cgroup.events");
        let never = || Err("asked to give up".to_owned());
        assert_eq!(settle(&group, true, never).await.unwrap_err(), "it has ended");
        fs::write(&events, "populated 1\nfrozen 0\n").unwrap();
        assert_eq!(settle(&group, true, never).await.unwrap_err(), "asked to give up");
        assert_eq!(settle(&group, false, never).await, Ok(()));
        let freezes = || {
            fs::write(&events, "populated 1\nfrozen 1\n").unwrap();
            Ok(())
        };
        assert_eq!(settle(&group, true, freezes).await, Ok(()));
    }
}

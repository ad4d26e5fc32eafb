//! Holds: a descriptor like logind's inhibitors. The hold ends when its last owner closes it or dies.

use super::call::Call;
use super::error::Error;
use crate::app::handle::Request;
use reeve_core::Command;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use tokio::io::AsyncReadExt;

/// Takes a hold for the caller: the end to give him.
pub(super) async fn take(call: &mut Call<'_>, who: String, why: String) -> Result<OwnedFd, Error> {
    let failed = |e: std::io::Error| Error::unavailable(format!("no descriptor for the hold: {e}"));
    // First, so that nothing can fail once the hold is on.
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let mut ours = tokio::net::UnixStream::from_std(ours).map_err(failed)?;

    let id = call.peer.context.holds.fetch_add(1, Ordering::Relaxed);
    super::objects::command(call, Command::Hold { id, who, why }).await?;

    let handle = call.handle().clone();
    let caller = call.caller();
    tokio::spawn(async move {
        let mut written = [0; 16];
        // What he writes means nothing; only the end does.
        while matches!(ours.read(&mut written).await, Ok(n) if n > 0) {}
        let release = Command::ReleaseHold(id);
        let _ = handle.ask(|back| Request::Command(release, caller, back)).await;
    });
    Ok(theirs.into())
}

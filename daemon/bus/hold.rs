//! Holds: a descriptor like logind's inhibitors. The hold ends when its last owner closes it or dies. It outlives the
//! daemon: the service manager keeps our end meanwhile, see [`crate::host::holds`].

use super::call::Call;
use super::error::Error;
use super::peer::Context;
use crate::app::handle::{Caller, Request};
use crate::host::holds::Kept;
use reeve_core::Command;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::AsyncReadExt;

type Ours = tokio::net::UnixStream;

/// Takes a hold for the caller: the end to give him.
pub(super) async fn take(call: &mut Call<'_>, who: String, why: String) -> Result<OwnedFd, Error> {
    let failed = |e: std::io::Error| Error::unavailable(format!("no descriptor for the hold: {e}"));
    // First, so that nothing can fail once the hold is on.
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let ours = ours_of(ours).map_err(failed)?;

    let context = Arc::clone(&call.peer.context);
    let id = context.next_hold.fetch_add(1, Ordering::Relaxed);
    super::objects::command(call, Command::Hold { id, who: who.clone(), why: why.clone() }).await?;

    if let Err(error) = context.holds.keep(id, &who, &why, ours.as_fd()) {
        tracing::warn!(who, %error, "a hold would not outlive a restart of reeved");
    }
    tokio::spawn(follow(context, id, ours, call.caller()));
    Ok(theirs.into())
}

/// Goes on with one that an earlier daemon gave. Asked for before the loop turns for the first time.
pub(super) fn resume(context: &Arc<Context>, kept: Kept) {
    let Kept { id, who, why, descriptor } = kept;
    let caller =
        Caller { by: format!("{who}, before reeved was restarted"), via: "fdstore".into(), ..Caller::default() };
    match ours_of(descriptor.into()) {
        Ok(ours) => {
            let hold = Command::Hold { id, who, why };
            context.handle.tell(|back| Request::Command(hold, caller.clone(), back));
            tokio::spawn(follow(Arc::clone(context), id, ours, caller));
        }
        Err(error) => tracing::warn!(who, %error, "a hold has ended: its descriptor is of no use"),
    }
}

fn ours_of(ours: UnixStream) -> std::io::Result<Ours> {
    ours.set_nonblocking(true)?;
    Ours::from_std(ours)
}

/// Waits for its end.
async fn follow(context: Arc<Context>, id: u64, mut ours: Ours, caller: Caller) {
    let mut written = [0; 16];
    // What he writes means nothing; only the end does.
    while matches!(ours.read(&mut written).await, Ok(n) if n > 0) {}
    context.holds.let_go(id);
    let release = Command::ReleaseHold(id);
    let _ = context.handle.ask(|back| Request::Command(release, caller, back)).await;
}

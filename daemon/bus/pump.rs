//! Taking messages from a connection as they come.
//!
//! zbus reads nothing more from a connection while one of its streams is full (64 messages): no signal, and no reply
//! either. Who waits for a reply while he holds a stream that he does not read may wait for ever when many signals come
//! at once, so every stream of signals is read by a task of its own.

use futures_util::{Stream, StreamExt};
use std::pin::pin;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What the stream gives, taken from it at once and kept until it is wanted. Lets go of the stream when the receiver is
/// dropped.
pub(super) fn pump<S>(stream: S) -> UnboundedReceiver<S::Item>
where
    S: Stream + Send + 'static,
    S::Item: Send,
{
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        let mut stream = pin!(stream);
        loop {
            // Holding the stream holds the connection. An item is never half taken.
            let item = tokio::select! {
                item = stream.next() => item,
                () = sender.closed() => return,
            };
            let Some(item) = item else { return };
            if sender.send(item).is_err() {
                return;
            }
        }
    });
    receiver
}

//! One message in, one reply out: finds the object, the interface and the method, or says which of them is missing.

use super::call;
use super::calls::UNKNOWN;
use super::error::Error;
use super::names::{BUS_NAME, Object};
use super::peer::{Admitted, Peer};
use super::standard;
use super::table::{self, Interface};
use std::sync::Arc;
use zbus::Message;
use zbus::message::Flags;

/// Answers a method call.
pub(super) async fn answer(peer: Arc<Peer>, message: Message, admitted: Option<Admitted>) {
    let header = message.header();
    let mut method = UNKNOWN;
    let reply = match &admitted {
        Some(_) => route(&peer, &message, &mut method).await,
        None => Err(Error::new("Busy", "too many calls of this caller are in work")),
    };
    peer.context.handle.calls().answered(method, reply.as_ref().map_or_else(Error::kind, |_| "ok"));
    if header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) {
        return;
    }
    let sent = match reply.or_else(|e| e.reply(&header)) {
        Ok(reply) => peer.connection.send(&reply).await,
        Err(e) => Err(e),
    };
    if let Err(error) = sent {
        // The caller has left, or does not take descriptors: nobody is there to be told.
        tracing::debug!(%error, "a reply could not be sent");
    }
}

/// Sets `called` to the method's name as soon as that is known to be one.
async fn route(peer: &Arc<Peer>, message: &Message, called: &mut &'static str) -> Result<Message, Error> {
    let header = message.header();
    let (Some(path), Some(member)) = (header.path(), header.member()) else {
        return Err(Error::unknown_method("the call names no object or method"));
    };
    let (path, member) = (path.as_str(), member.as_str());
    let interface = header.interface().map(|i| i.as_str());
    if interface.is_none_or(standard::is_standard) {
        *called = standard::method(member).unwrap_or(UNKNOWN);
        if let Some(reply) = standard::call(peer, message, path, interface, member)? {
            return Ok(reply);
        }
    }
    let object = Object::parse(path)
        .filter(|o| o.exists(&peer.context.handle.snapshot()))
        .ok_or_else(|| Error::unknown_object(path))?;
    let unknown = || Error::unknown_method(format!("{path} has no method {member}"));
    let (interface, method) = match interface {
        Some(name) => {
            let interface = own_interface(&object, name).ok_or_else(|| Error::unknown_interface(name, path))?;
            (interface, interface.method(member).ok_or_else(unknown)?)
        }
        // A call may leave the interface out: the first that has the method is meant.
        None => object
            .interfaces()
            .iter()
            .filter_map(|name| table::interface(name))
            .find_map(|i| i.method(member).map(|m| (i, m)))
            .ok_or_else(unknown)?,
    };
    *called = method.name;
    call::run(peer, message, &object, interface, method).await
}

/// The interface of this full name, when the object has it.
pub(super) fn own_interface(object: &Object, name: &str) -> Option<&'static Interface> {
    let short = name.strip_prefix(BUS_NAME)?.strip_prefix('.')?;
    object.interfaces().contains(&short).then(|| table::interface(short))?
}

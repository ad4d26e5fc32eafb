//! Who may call: the trait, and the rule where there is no polkit. `polkit` holds the other.

use super::action::Action;
use super::caller::Client;
use futures_util::future::BoxFuture;
use std::fmt;
use zbus::message::{Flags, Header};

/// Decides whether a caller may do something.
pub trait Authority: Send + Sync + fmt::Debug {
    /// Decides. It may take as long as a person needs to type a password, but only when `interactive`.
    fn check<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Verdict>;
}

/// What is asked of an [`Authority`].
#[derive(Debug)]
pub struct Question<'a> {
    /// Who.
    pub client: &'a Client,
    /// The call's header, by which polkit asks the bus who it was.
    pub header: &'a Header<'a>,
    /// What for.
    pub action: Action,
    /// Method, target and reason, for rules and prompts.
    pub details: Vec<(&'static str, String)>,
    /// A password may be asked for.
    pub interactive: bool,
}

/// What an [`Authority`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and on what ground: `polkit`, `root`, `own uid`.
    Granted(&'static str),
    /// No, and why beyond not being allowed; empty when there is no more to say.
    Refused(String),
    /// A password would help, but none may be asked for.
    Challenge,
    /// Too many of this caller's questions are open.
    Busy,
}

/// Interaction only when the caller says so in the message.
pub fn interactive(header: &Header<'_>) -> bool {
    header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH)
}

/// Without polkit, on the private and the session bus: root and the daemon's own uid may do everything, others nothing.
#[derive(Debug, Clone, Copy)]
pub struct OwnUid(pub u32);

impl OwnUid {
    /// On what ground this caller may do everything, if he may.
    pub fn grants(self, client: &Client) -> Option<&'static str> {
        if client.uid == 0 {
            Some("root")
        } else if client.uid == self.0 {
            Some("own uid")
        } else {
            None
        }
    }
}

impl Authority for OwnUid {
    fn check<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Verdict> {
        let verdict = match self.grants(question.client) {
            Some(ground) => Verdict::Granted(ground),
            None => Verdict::Refused(format!("this bus has no polkit: only root and uid {} may call", self.0)),
        };
        Box::pin(std::future::ready(verdict))
    }
}

/// Authority by polkit, asked over this connection; `own` is the daemon's uid.
pub fn polkit(connection: zbus::Connection, own: u32) -> std::sync::Arc<dyn Authority> {
    std::sync::Arc::new(super::polkit::Polkit::new(connection, OwnUid(own)))
}

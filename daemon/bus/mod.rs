//! D-Bus: the only door to zbus. Serves `org.reeve.Node1`, asks `org.freedesktop.systemd1` and polkit.
//!
//! ```text
//! bytes ─► server (one Peer per connection) ─► dispatch ─► standard   Introspect, Get, GetAll, GetManagedObjects
//!                      │                          └──────► call       syntax → authority → audit → objects::* → audit
//!                      └─ watcher: successive snapshots ─► PropertiesChanged, StateChanged, InterfacesAdded, Completed
//! ```
//!
//! [`table`] says once what the API is: interfaces, methods, signatures, actions, options, errors, properties, signals.
//! Introspection, the shipped XML, the man page, argument checks, authorisation and the tests all read it; the code
//! adds only what each method does. Objects are not registered anywhere: a path is parsed and looked up in the
//! snapshot when a message names it. A thousand replicas thus cost no memory here, on any number of connections, and
//! there is no second idea of what exists.

pub mod action;
mod args;
pub mod audit;
pub mod auth;
mod call;
pub mod caller;
pub mod calls;
mod dispatch;
pub mod error;
mod hold;
pub mod introspect;
pub mod names;
mod objects;
mod peer;
mod polkit;
pub mod proxy;
mod pump;
pub mod server;
mod signals;
mod standard;
mod subscribe;
pub mod systemd1;
pub mod table;
pub mod units;
mod watcher;
mod wire;

pub use server::{Address, Facts, Options, Server};

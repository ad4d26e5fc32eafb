//! `reevectl top`: what the node is doing, live.
//!
//! - [`model`]: from measured series to what is shown; rates from the instants of the samples, not of our looks.
//! - [`view`]: drawing it, in any size from 80×24 on, with and without colour.
//! - [`state`]: what the keys have chosen.
//! - [`screen`]: the terminal: raw mode, keys, and giving it back as it was.
//! - [`document`]: the same for programs.

pub mod document;
pub mod model;
pub mod screen;
pub mod state;
pub mod view;

#[cfg(test)]
mod tests;

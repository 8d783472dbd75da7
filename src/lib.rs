//! Porteiro, a doorman for webhooks.
//!
//! The modules stand in the order in which they may be read: **a module imports only modules above it.**

pub mod clock;
pub mod secret;
pub mod drain;
pub mod metrics;

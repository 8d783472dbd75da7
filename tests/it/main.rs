//! The house as a whole: its rules, its words, and the real binary on real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by ending; what it measured is printed"
)]

mod support;

mod answers;
mod batches;
mod begin;
mod bound;
mod budget;
mod ceiling;
mod check;
mod crash;
mod destinations;
mod drain;
mod faces;
mod fresh;
mod isolation;
mod observe;
mod providers;
mod reload;
mod restart;
mod retry;
mod routes;
mod slow;
mod story;
mod tenants;
mod tidy;

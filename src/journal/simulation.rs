//! Does the journal keep its promises on a machine that keeps as few as it may?
//!
//! Promises: programs run against a storage that loses, tears, reorders and refuses, crash at every call or at chosen
//! ones, recover, crash again while recovering, and are held against a model that outlives all of it. Everything follows
//! from a seed.
//!
//! `PORTEIRO_SIM_SEEDS` sets how many long lives are lived (and how deep the short programs are searched: from 1,000 on
//! every recovery is stopped at every call); `PORTEIRO_SIM_SEED` lives one alone.
//!
//! Not covered: the threads of [`Writer::run`](super::Writer::run) and its helper; everything here is driven by hand.
//!
//! Must not know: how the journal keeps anything. Damage and planted faults are the exception: they know which files
//! there are.

mod again;
mod chance;
mod configure;
mod damage;
mod exhaustive;
mod filler;
mod house;
mod lying;
mod lying_tests;
mod model;
mod planted;
mod platter;
mod platter_tests;
mod program;
mod seeded;
mod short;
mod wait;
mod world;

use std::sync::LazyLock;
use std::time::Duration;

use super::Options;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
struct Amounts {
    /// Long lives.
    seeds: u64,
    /// The one life to live, alone.
    only: Option<u64>,
    /// Of the eight ways a machine comes back from each crash, how many are stopped again at every call.
    depth: u64,
}

/// How much is tried, asked once.
fn amounts() -> Amounts {
    static AMOUNTS: LazyLock<Amounts> = LazyLock::new(asked);
    *AMOUNTS
}

#[expect(clippy::disallowed_methods, reason = "how much is tried is no part of the configuration")]
fn asked() -> Amounts {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = number("PORTEIRO_SIM_SEEDS").unwrap_or(300);
    Amounts { seeds, only: number("PORTEIRO_SIM_SEED"), depth: if seeds >= 1000 { 8 } else { 1 } }
}

/// A journal small enough to reach every bound.
fn small() -> Options {
    Options {
        segment_size: 64 << 10,
        size: 20 * (64 << 10),
        keep_delivered: Duration::ZERO,
        keep_dead_size: 384 << 10,
        queue_bytes: 256 << 10,
        queue_records: 64,
        ring_bytes: 16 << 10,
        retry_slots: 8,
        retry_slots_per_tenant: 4,
        read_bytes: 8 << 10,
        dedup_entries: 64,
        ..Options::default()
    }
}

//! What the tests of the whole house share: the real binary, real sockets, sinks that misbehave on demand.

pub(crate) mod client;
pub(crate) mod house;
pub(crate) mod secure;
pub(crate) mod sink;

use std::time::{Duration, Instant};

/// The longest that anything in these tests may take before it counts as failed. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is yes; fails the test when patience ends. Yields the core between two questions.
#[track_caller]
pub(crate) fn eventually(what: &str, mut question: impl FnMut() -> bool) {
    let started = Instant::now();
    while !question() {
        assert!(started.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The longest that something may go on that moves.
const MARCH: Duration = Duration::from_secs(240);

/// As [`eventually`], of something that takes as long as the machine lets it: what is asked tells how far it is, too, and
/// the test fails when that has not changed for as long as patience lasts. `said` tells what stands still.
#[track_caller]
pub(crate) fn while_it_moves<T: PartialEq + std::fmt::Debug>(what: &str, mut question: impl FnMut() -> (bool, T)) {
    let (started, mut moved, mut last) = (Instant::now(), Instant::now(), None);
    loop {
        let (done, far) = question();
        if done {
            return;
        }
        if last.as_ref() != Some(&far) {
            (moved, last) = (Instant::now(), Some(far));
        }
        assert!(moved.elapsed() < PATIENCE, "{what}: nothing has moved for {PATIENCE:?} since {last:?}");
        assert!(started.elapsed() < MARCH, "{what}: it moves too slowly, and is at {last:?} after {MARCH:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// HMAC-SHA256 in lower-case hex, made without Porteiro's own code.
pub(crate) fn hmac_hex(secret: &[u8], body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    ring::hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A random number, for places where a run must not repeat the last one; printed by whoever uses it as a seed.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// A small generator for test choices (xorshift64*), so that a printed seed repeats a run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

//! What is right and wrong with configurations: the files under `tests/config`, the example, and a few words on each
//! rule.

mod cost;
mod files;
mod keys;
pub(super) mod stage;
mod together;

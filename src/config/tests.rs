//! What is right and wrong with configurations: the files under `tests/config`, the example, and a few words on each
//! rule.

mod cost;
mod elsewhere;
mod files;
mod keys;
pub(crate) mod stage;
mod together;

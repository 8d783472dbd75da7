//! Every provider file that is part of the binary against its vectors, and provider files that are wrong.

mod negatives;
mod problems;
mod reach;
mod rows;
mod sent;
mod vectors;

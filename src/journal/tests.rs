//! Small scenarios on the memory storage, the writer driven by hand.

mod codec;
mod configure;
mod disk;
mod graves;
mod lanes;
mod lost;
mod restart;
mod rig;
mod room;
mod unread;

//! Small scenarios on the memory storage, the writer driven by hand.

mod again;
mod codec;
mod configure;
mod disk;
mod find;
mod graves;
mod lanes;
mod letters;
mod lost;
mod restart;
mod rig;
mod room;
mod unread;

//! Porteiro, a doorman for webhooks: it proves who is at the gate, signs for the parcel, keeps it safe while you are out,
//! and carries it to every flat it is meant for.
//!
//! # The map
//!
//! A webhook enters through [`listen`], is walked through the rooms by [`ingress`], comes to rest in the [`journal`], and
//! leaves through [`deliver`]. Everything else serves that walk. The modules stand in the order in which they may be read:
//! **a module imports only modules above it.**
//!
//! Words, which every room may use:
//!
//! * [`clock`]: what time is it? The only reader of the wall clock.
//! * [`secret`]: how is key material carried without ever being shown?
//! * [`drain`]: who is still at work, and how do they learn that the house closes?
//! * [`metrics`]: what can be counted, and under which name?
//! * [`select`]: where does a value stand in a request?
//!
//! Rooms, in the order an event visits them:
//!
//! * [`admission`]: may this caller speak now?
//! * [`verify`]: did the provider say it?
//! * [`event`]: what did it say?
//! * [`dedup`]: have we heard it before?
//! * [`tenant`]: whose is it, and is it their turn?
//! * [`retry`]: how did an attempt go, and what follows from it?
//! * [`route`]: who must hear it?
//! * [`journal`]: how is it never forgotten? Its head holds the layout of the disk.
//! * [`callers`]: who waits for what a destination answers?
//! * [`snapshot`]: what is true right now?
//!
//! Corridors, which meet only in the journal and the snapshot:
//!
//! * [`ingress`]: the story of one event, from its head to its reply.
//! * [`listen`]: how does a socket become a request?
//! * [`deliver`]: how does an event reach a destination?
//! * [`admin`]: how does the house answer those who watch it?
//!
//! Assembly:
//!
//! * [`config`]: what did the operator write, and what does it mean?
//! * [`app`]: how do the rooms become a house that runs and ends?
//! * [`cli`]: what can be asked of the program?
//!
//! # What holds everywhere
//!
//! * A success reply is built from a proof: a [`journal::Receipt`], an answered challenge, a rule that discards, or a source
//!   that is told to observe only (see `config/nginx/README.md` for what that is good for).
//! * An event exists only of a request that was verified.
//! * A body is the bytes that came in; nothing writes it anew.
//! * The way in and the way out never import each other.
//! * Pure rooms (`select admission verify event dedup tenant retry route`) know no runtime, file, clock, log or metric:
//!   they take `now` and return values.
//! * Every queue, table, body and loop has a named limit and a named behaviour at it.
//! * One dependency, one room.
//!
//! # Words
//!
//! source, provider, event, kind, tenant, destination, route, target, record, segment, sequence, epoch, receipt, ack,
//! delivery, attempt, outcome, lane, claim, permit, snapshot, rejection, challenge, passage, part, backlog, dead letter,
//! replay. An *event* is what a provider said once it was proven; its *body* is the bytes it said it in. An *attempt* is
//! one try to deliver it to one *destination*, an *outcome* how that went. A *receipt* proves that it is stored.

pub mod clock;
pub mod secret;
pub mod drain;
pub mod metrics;
pub mod select;

pub mod admission;
pub mod verify;
pub mod event;
pub mod dedup;
pub mod tenant;
pub mod retry;
pub mod route;
pub mod journal;
pub mod callers;
pub mod snapshot;

pub mod ingress;
pub mod listen;
pub mod deliver;
pub mod admin;

pub mod config;
pub mod app;
pub mod cli;

#[cfg(test)]
mod seeds;

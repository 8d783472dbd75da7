//! What becomes of a request?
//!
//! The story of the house: `Ingress::accept` leads one request through the rooms, in order, to a [`Receipt`] or to the
//! first room that says no.
//!
//! Promises: cheap questions before dear ones: nothing is read before admission, nothing hashed before the body is
//! whole, nothing believed before it is proven, nothing stored twice. A success is only ever answered with proof in
//! hand: a receipt, an earlier event, a challenge, an explicit rule that nothing is to be stored, or a source that only
//! observes: its events go all the way to their route and no further, and nothing of the live ones is touched. Once a record is
//! with the journal it is stored whether or not the caller waits: permit and claim travel with it, so that whoever
//! hangs up loses the reply and nothing else, and the retry is recognised.
//!
//! Must not know: sockets, TLS, and how events are delivered.
//!
//! [`Receipt`]: crate::journal::Receipt

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;

use crate::admission::{Admission, Refusal};
use crate::callers::Callers;
use crate::clock::{Clock, Timestamp};
use crate::dedup::Window;
use crate::event::{Event, Head, SourceFacts};
use crate::journal::{Journal, Void};
use crate::metrics::{Metrics, SourceMetrics, Sparing, seconds};
use crate::select;
use crate::snapshot::{ListenerId, Shared, Snapshot, Source};
use crate::verify::{Verdict, Verified};

mod awaited;
mod body;
mod charges;
mod claims;
mod client;
mod closing;
mod few;
mod head;
mod ids;
mod parts;
mod record;
mod reply;
mod room;

pub use body::{Fault, KEEP};
pub use charges::TENANT_OUTCOMES;
pub use head::Malformed;
pub use reply::{Accepted, Discard, Held, OUTCOMES, Observed, REFUSALS, Rejection};
pub use room::PATIENCE;

/// The way in, shared by all connections.
#[derive(Debug)]
pub struct Ingress {
    snapshot: Shared,
    admission: Admission,
    window: Window,
    journal: Journal,
    callers: Callers,
    clock: Clock,
    ids: ids::Ids,
    nowhere: Arc<SourceMetrics>,
    lines: Sparing,
    closing: closing::Closing,
}

/// One request's visit: what is known of it beside itself.
struct Visit<'s> {
    snapshot: &'s Snapshot,
    listener: ListenerId,
    client: client::Client,
    now: Timestamp,
    began: Instant,
    source: Option<&'s Source>,
}

impl Ingress {
    /// Leads to these rooms.
    #[must_use]
    pub fn new(
        snapshot: Shared,
        admission: Admission,
        window: Window,
        journal: Journal,
        callers: Callers,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let nowhere = metrics.source("none", OUTCOMES);
        let lines = Sparing::new(OUTCOMES.len(), metrics.house().log_lines_left_out.clone());
        let (ids, closing) = (ids::Ids::default(), closing::Closing::default());
        Self { snapshot, admission, window, journal, callers, clock, ids, nowhere, lines, closing }
    }

    /// The house closes: a body that is not whole this long from now is not waited for any more and its caller hears
    /// 503. Without it a slow upload lasts until its own deadline. Who waits for a destination's answer hears that it is
    /// late, at once.
    pub fn close(&self, within: Duration) {
        self.closing.close(within);
        self.callers.close();
    }

    /// How many callers wait for a destination's answer, or have one that is not sent yet.
    #[must_use]
    pub fn waiting_callers(&self) -> u64 {
        self.callers.waiting()
    }

    /// Bytes of requests being received, or stored and not yet released.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.admission.in_flight()
    }

    /// How far back a repeat is recognised now.
    #[must_use]
    pub fn dedup_window(&self, now: Timestamp) -> Duration {
        self.window.effective_window(now)
    }

    /// How many unknown tenants have a bucket that is not full. Forgets the others.
    #[must_use]
    pub fn unknown_tenants(&self, now: Timestamp) -> usize {
        self.snapshot.load().tenants.tidy(now)
    }

    /// Answers one request that came in at this listener from this peer.
    pub async fn answer<B>(&self, listener: ListenerId, peer: IpAddr, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (began, now) = (Instant::now(), self.clock.now());
        let snapshot = self.snapshot.load();
        let hops = snapshot.listener(listener).and_then(|listener| listener.trusted_hops.as_ref());
        let client = client::of(peer, hops, request.headers());
        let mut visit = Visit { snapshot: &snapshot, listener, client, now, began, source: None };
        let outcome = self.accept(&mut visit, request).await.or_else(|rejection| visit.missed(rejection));
        self.account(&visit, &outcome);
        reply::of(outcome, visit.source)
    }

    /// The story of one request.
    async fn accept<B>(&self, visit: &mut Visit<'_>, request: Request<B>) -> Result<Accepted, Rejection>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (head, body) = request.into_parts();
        let asked = head::read(&head)?;
        let snapshot = visit.snapshot;

        let found = snapshot.find(visit.listener, asked.host, asked.path).ok_or(Rejection::Nowhere)?;
        let source = &**found.to;
        visit.source = Some(source);

        let declared = body.size_hint().exact();
        let admission = self.admission(Some(source));
        let mut permit = admission.admit(&source.rules, visit.client, &head.method, declared, visit.now)?;
        let left = || admission.charge_refusal(visit.client.address, self.clock.now());
        let body = body::read(body, &source.body, &mut permit, &self.closing, left).await?;
        source.metrics.body_bytes.inc_by(permit.bytes());

        let request = select::Request {
            method: &head.method,
            path: asked.path,
            query: asked.query,
            headers: &head.headers,
            body: &body,
            captures: &found.captures,
            public_url: snapshot.listener(visit.listener).and_then(|listener| listener.public_url.as_deref()),
        };
        let verified = match source.verifier.verify(&request, visit.client.known(), visit.now)? {
            Verdict::Proven(verified) => verified,
            Verdict::Challenge(challenge) => return Ok(Accepted::Challenged(challenge)),
        };
        permit.proven();
        visit.proven(source, &verified);

        let credential = source.verifier.credential();
        let facts = SourceFacts { name: &source.name, rest: found.rest, credential, dedup: source.dedup };
        let events = Event::parse(&facts, &verified, &source.selectors, &request, body.clone(), self.ids.next());

        // Whoever waits for long keeps no more of the request than its head.
        drop(body);
        let without = parts::without(source, &events);

        let beside = awaited::join(&self.callers, source, &events, visit.began);
        let fresh = match claims::claim(&self.window, source, events, visit.now).await? {
            claims::Heard::New(fresh) => fresh,
            claims::Heard::Before(earlier) => {
                drop(permit);
                return Ok(awaited::repeat(beside, earlier, source, visit.began).await);
            }
        };
        let (due, mut charges) = charges::charge(source, fresh, &self.clock)?;
        let owed = match record::route(source, due, visit.now) {
            record::Routed::To(owed) => owed,
            record::Routed::Discarded(discard) => return Ok(charges.keep_for(Accepted::Discarded(discard))),
            record::Routed::Observed(observed) => return Ok(charges.keep_for(Accepted::Observed(observed))),
        };

        let head = Head::encode(&head.method, found.rest, asked.query, &head.headers, without);
        let awaited = awaited::sit(&self.callers, source, &owed, &self.clock, visit.began);
        let (request_id, flags) = (self.ids.next(), awaited.mark());
        let frame = record::Frame { source, request_id, head, accepted: visit.now, flags };
        room::wait(&self.journal, record::bytes(&owed).max(permit.bytes())).await;
        let pending = charges.keep_for(record::append(&self.journal, &frame, owed, permit)?);
        let receipt = pending.await.inspect_err(|Void| charges.give_back())?;
        Ok(awaited.end(Held::Now(receipt), source, visit.began).await)
    }

    /// Where refusals are counted: those of a source that only observes speak against nobody elsewhere.
    fn admission<'s>(&'s self, source: Option<&'s Source>) -> &'s Admission {
        source.and_then(|source| source.aside.as_ref()).map_or(&self.admission, |aside| &aside.admission)
    }

    /// Counts what became of a request, charges a refusal to its address, and says so in the log, within limits.
    fn account(&self, visit: &Visit<'_>, outcome: &Result<Accepted, Rejection>) {
        let metrics = visit.source.map_or(&self.nowhere, |source| &source.metrics);
        let place = reply::place(outcome);
        metrics.outcomes.count(place);
        let Err(rejection) = outcome else {
            metrics.acknowledged.observe(seconds(visit.began.elapsed()));
            return;
        };
        if let Some(source) = visit.source {
            source.would.refuse(place);
        }
        if rejection.is_the_callers() {
            self.admission(visit.source).charge_refusal(visit.client.address, visit.now);
        }
        if let Some(left_out) = self.lines.speak(place, visit.now) {
            let source = visit.source.map_or("none", |source| &*source.name);
            tracing::warn!(source, client = %visit.client.address, reason = rejection.word(), left_out, "refused: {rejection}");
        }
    }
}

impl Visit<'_> {
    /// What is observed has little room, so that it takes none from what is live: that there is none says nothing of what
    /// would have become of it.
    fn missed(&self, rejection: Rejection) -> Result<Accepted, Rejection> {
        let observed = self.source.and_then(Observed::by).filter(|_| rejection == Rejection::Refused(Refusal::Busy));
        observed.map(Accepted::Missed).ok_or(rejection)
    }

    /// Counts a request that was proven, and by which secret.
    fn proven(&self, source: &Source, verified: &Verified) {
        source.metrics.verified.observe(seconds(self.began.elapsed()));
        source.metrics.freshness.secret_used(verified.proof(), verified.key(), self.now);
        source.metrics.last_event.set(i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;

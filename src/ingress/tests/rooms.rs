//! The real rooms, over a journal in memory whose writer a test drives by hand.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::admission::{self, Admission, Ranges, Rules};
use crate::callers::{Callers, Wish};
use crate::clock::{Clock, Hand, Timestamp};
use crate::dedup::Window;
use crate::event::{Dedup, Head, Parts, Repeat, Selectors, Splitting, Wanted};
use crate::ingress::{Ingress, OUTCOMES, TENANT_OUTCOMES};
use crate::journal::{
    Delivery, DestinationPlan, HandOver, Journal, Lane, Memory, Options, Step, Storage, Taken, Target, Writer,
};
use crate::metrics::{Metrics, Would};
use crate::route::{Rule, SourceId, Table, Then};
use crate::secret::Secret;
use crate::select::{Elements, Place, Pointer, Selector, Take};
use crate::snapshot::{
    Ack, Audience, BodyLimits, Entry, HopHeader, Hops, Listener, ListenerId, Passing, Pattern, Replies, Reply, Router,
    Shared, Snapshot, Source, Tenants,
};
use crate::tenant::{self, Beyond, Configured, Limits, Manner, Mode, Quota, Spec};
use crate::verify::{
    self, Algorithm, Characters, Condition, Form, Format, Guard, Hash, Is, Key, Plan, Proof, Template,
};

pub(super) const START: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(super) const PEER: [u8; 4] = [192, 0, 2, 1];
pub(super) const SECRET: &[u8] = b"correct horse battery staple";
/// How long the callers of the source `answering` wait.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(3600);
pub(super) const BODY_MAX: u64 = 40_000;

/// The way in with everything behind it.
pub(super) struct Rooms {
    pub(super) ingress: Ingress,
    pub(super) admission: Admission,
    pub(super) window: Window,
    pub(super) journal: Journal,
    pub(super) callers: Callers,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hand: Hand,
    pub(super) snapshot: Shared,
    writer: Mutex<Writer>,
    lane: Lane,
}

/// What stands in the journal of one event: method, rest, query, body.
pub(super) type Kept = (String, String, String, String);

impl Rooms {
    pub(super) fn new() -> Self {
        Self::with(Arc::new(Memory::new()), Options::default(), admission::Limits::default())
    }

    pub(super) fn with(storage: Arc<dyn Storage>, options: Options, limits: admission::Limits) -> Self {
        let (clock, hand) = Clock::manual(START);
        let options = Options {
            segment_size: 64 << 10,
            size: 2 << 20,
            keep_dead_size: 128 << 10,
            dedup_entries: 1000,
            ..options
        };
        let names: Vec<_> = SOURCES.iter().map(|(name, _)| *name).collect();
        let plan = DestinationPlan { essential: true, hand_over: HandOver::Stored, ..DestinationPlan::new("there") };
        let (journal, writer, _) = Journal::open(storage, options, clock.clone(), &names, &[plan]).unwrap();
        let there = journal.destination("there").unwrap();
        let lane = journal.lane(there).unwrap();
        let metrics = Arc::new(Metrics::new());
        let (admission, window) = (Admission::new(limits), Window::new(1000, Duration::from_secs(3600)));
        let snapshot = Shared::new(snapshot(&journal, &metrics, there));
        let callers = Callers::default();
        let ingress = Ingress::new(
            snapshot.clone(),
            admission.clone(),
            window.clone(),
            journal.clone(),
            callers.clone(),
            clock,
            &metrics,
        );
        let writer = Mutex::new(writer);
        Self { ingress, admission, window, journal, callers, metrics, hand, snapshot, writer, lane }
    }

    /// Lets the writer do what there is to do, and the journal tell of it.
    pub(super) fn work(&self) {
        let mut writer = self.writer.lock().unwrap();
        for _ in 0..1000 {
            let step = writer.step();
            self.journal.release();
            if !matches!(step, Step::Worked) {
                return;
            }
        }
        panic!("the writer finds no end");
    }

    /// Polls once, and lets the writer work in between, until there is an answer.
    pub(super) fn finish<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        for _ in 0..1000 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return output;
            }
            self.work();
        }
        panic!("there is no answer");
    }

    pub(super) fn answer(&self, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        self.answer_to(PEER, request)
    }

    pub(super) fn answer_to(&self, peer: [u8; 4], request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        self.finish(self.ingress.answer(ListenerId(0), peer.into(), request))
    }

    /// The next event that the destination is owed, which it takes.
    pub(super) fn next(&self) -> Delivery {
        for _ in 0..1000 {
            self.work();
            match self.lane.next(self.ingress.clock.now()) {
                Taken::Read(job) => self.lane.accept(job.run()),
                Taken::Idle { .. } => break,
                Taken::Delivery(delivery) => return delivery,
            }
        }
        panic!("nothing is owed");
    }

    /// Everything the destination is owed, which it takes.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let mut kept = Vec::new();
        for _ in 0..1000 {
            self.work();
            match self.lane.next(self.ingress.clock.now()) {
                Taken::Read(job) => self.lane.accept(job.run()),
                Taken::Idle { .. } => return kept,
                Taken::Delivery(delivery) => {
                    let head = Head::decode(&delivery.head).unwrap();
                    let body = String::from_utf8(delivery.body.joined().into()).unwrap();
                    kept.push((head.method.into(), head.rest.into(), head.query.into(), body));
                    self.lane.settle(delivery, crate::journal::Settlement::Delivered);
                }
            }
        }
        panic!("the lane finds no end");
    }

    /// Every outcome that was counted, with its source.
    pub(super) fn outcomes(&self) -> Vec<(&'static str, &'static str)> {
        let sources = SOURCES.iter().map(|(name, _)| *name).chain(["none"]);
        let all = sources.flat_map(|source| OUTCOMES.iter().map(move |word| (source, *word)));
        let mut seen: Vec<_> = all.filter(|(source, word)| self.counted(source, word) > 0).collect();
        // Two rooms say "method".
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    /// How many events of a tenant passed, were shaped, released unshaped, and refused.
    pub(super) fn charged(&self, tenant: &str) -> [u64; 4] {
        let metrics = self.metrics.tenant(tenant, TENANT_OUTCOMES);
        [0, 1, 2, 3].map(|place| metrics.outcomes.total(place))
    }

    /// How many requests of a source had this outcome.
    pub(super) fn counted(&self, source: &str, outcome: &str) -> u64 {
        let place = OUTCOMES.iter().position(|word| *word == outcome).unwrap();
        self.metrics.source(source, OUTCOMES).outcomes.total(place)
    }
}

/// Changes one thing of the source that all others are.
type Change = fn(&mut Source);

const SOURCES: &[(&str, Change)] = &[
    ("plain", |_| {}),
    ("buffered", |source| source.ack = Ack::Buffered),
    ("human", |source| source.selectors = selectors(Repeat::Deliver)),
    ("forgetful", |source| source.dedup = Dedup::Off),
    ("listed", |source| source.rules.addresses = Some(Ranges::build(&["198.51.100.0/24".parse().unwrap()]))),
    ("once", |source| source.rules.comes_again = false),
    ("vast", |source| source.rules.body_max = 1 << 20),
    ("token", |source| {
        let key = Key::for_token(&Secret::new(SECRET.to_vec())).unwrap();
        let at = verify::SignatureAt::Place(Place::parse("query:key").unwrap().into());
        let proof = Proof { at, algorithm: Algorithm::Equal, signs: Template::parse("", &|_| None).unwrap(), ..hmac() };
        let grammar = verify::Grammar::Whole { prefix: "".into(), any_case: false };
        let proof = Proof { keys: vec![key], grammar, ..proof };
        source.verifier = verifier(Plan { methods: vec![Method::POST], proofs: vec![proof], ..Plan::default() });
    }),
    ("spoken", |source| {
        source.replies = Replies {
            success: Reply {
                status: StatusCode::ACCEPTED,
                content_type: Some(HeaderValue::from_static("application/json")),
                body: Bytes::from_static(b"{\"ok\":true}"),
            },
            reject: Reply::empty(StatusCode::FORBIDDEN),
            late: Reply::empty(StatusCode::OK),
        };
    }),
    ("answering", |source| source.replies.late = Reply::empty(StatusCode::ACCEPTED)),
    ("discarding", |_| {}),
    ("nowhere", |_| {}),
    ("refusing", |_| {}),
    ("shaping", |_| {}),
    ("releasing", |_| {}),
    ("dropping", |_| {}),
    ("batched", split),
    ("batches-shaped", split),
];

/// Has a source split its batches by entry, each with an id, a kind and a tenant of its own.
fn split(source: &mut Source) {
    let at = |text: &str| Place::parse(text).unwrap();
    let elements = Elements::new(Pointer::parse("/entry/*").unwrap()).unwrap();
    let wanted = Wanted {
        id: vec![Selector::one(at("json:/entry/*/n"))],
        kind: Some(Selector::one(at("json:/entry/*/kind"))),
        tenant: Some(Selector::new(vec![at("json:/entry/*/id")], Take::Each)),
        parts: Some(Parts { elements, without: Vec::new() }),
        ..Wanted::default()
    };
    let splitting = Splitting { room: 100_000, without: source.verifier.of_the_whole() };
    source.selectors = Selectors::compile(wanted).unwrap().splitting(splitting).unwrap();
}

/// How the sources that know tenants treat them; the others know none.
fn manner(source: &str) -> Option<Manner> {
    match source {
        "refusing" | "dropping" | "batched" => Some(Manner { mode: Mode::Refuse, beyond: Beyond::Refuse }),
        "shaping" | "batches-shaped" => Some(Manner { mode: Mode::Shape, beyond: Beyond::Refuse }),
        "releasing" => Some(Manner { mode: Mode::Shape, beyond: Beyond::Release }),
        _ => None,
    }
}

/// Of `acme` two events may come at once, of `bolt` and everybody else one, and then one in ten seconds; two may wait.
fn tenants() -> Spec {
    let quota = Quota { events: 2, ..Quota::default() };
    let limits = |burst| Some(Limits { count: 1, per: Duration::from_secs(10), burst, quota });
    let known = SOURCES.iter().map(|(source, _)| *source).filter(|source| manner(source).is_some());
    let one = |name: &str, keys: &[&str], burst| Configured {
        name: name.into(),
        keys: known.clone().flat_map(|source| keys.iter().map(move |key| (source.into(), (*key).into()))).collect(),
        limits: limits(burst),
        over: None,
    };
    let tenants = vec![one("acme", &["1", "11"], 2), one("bolt", &["2"], 1)];
    Spec { tenants, unknown: limits(1), ..Spec::default() }
}

fn snapshot(journal: &Journal, metrics: &Metrics, there: u32) -> Snapshot {
    let targets: Arc<[Target]> = [Target { destination: there, not_before: Timestamp::ZERO }].into();
    let audience = Audience { targets, would: Arc::default() };
    let table = tenant::Table::build(&tenants(), None, START);
    let counted: Arc<[_]> = table.labels().map(|label| metrics.tenant(label, TENANT_OUTCOMES)).collect();
    let entries: Vec<_> = SOURCES
        .iter()
        .map(|(name, change)| {
            let id = SourceId(journal.source(name).unwrap());
            let then = match *name {
                "discarding" | "dropping" => Some(Then::Discard),
                "nowhere" => None,
                _ => Some(Then::To(audience.clone())),
            };
            let rules: Vec<_> = then.into_iter().map(|then| Rule::always(vec![id], then)).collect();
            let mut source = plain(id, name, Table::build(id, name, &rules).unwrap(), metrics);
            change(&mut source);
            if *name == "answering" {
                let wish = Wish { source: id.0, most: 2, destination: there, pass: [404].into() };
                let counted = metrics.awaited(name);
                source.ack = Ack::Delivered(Passing { wish, deadline: ANSWERED_WITHIN, counted });
            }
            if let Some(manner) = manner(name) {
                let door = table.door(&source.name, true, manner);
                source.tenants =
                    Tenants { door, refusal: StatusCode::TOO_MANY_REQUESTS, metrics: Arc::clone(&counted) };
            }
            let pattern = Pattern::parse(&format!("/{name}/*")).unwrap();
            Entry { host: None, pattern, to: Arc::new(source) }
        })
        .collect();
    let listener = Listener {
        name: "public".into(),
        public_url: Some("https://hooks.example".into()),
        trusted_hops: Some(Hops {
            addresses: Ranges::build(&["10.0.0.0/8".parse().unwrap()]),
            header: HopHeader::XForwardedFor,
        }),
        router: Router::build(&entries).unwrap(),
    };
    Snapshot { generation: 1, listeners: vec![listener], tenants: table, aside: None }
}

/// A source with an id in a header, a signature in another, and a handshake.
fn plain(id: SourceId, name: &str, table: Table<Audience>, metrics: &Metrics) -> Source {
    let at = |text: &str| Place::parse(text).unwrap().into();
    let challenge = verify::Rule {
        methods: vec![Method::GET],
        when: vec![Condition { at: at("query:mode"), is: Is::Text("subscribe".into()) }],
        must: vec![(at("query:token"), vec![Key::for_token(&Secret::new(SECRET.to_vec())).unwrap()])],
        proven: false,
        guard: Guard { characters: Characters::Token, min: 1, max: 64 },
        computed: None,
        status: 200,
        format: Format::Text,
        body: Template::parse("{query:challenge}", &|_| None).unwrap(),
        headers: Vec::new(),
    };
    Source {
        id,
        name: name.into(),
        rules: Rules {
            methods: vec![Method::GET, Method::POST],
            body_max: BODY_MAX,
            addresses: None,
            comes_again: true,
        },
        body: BodyLimits::default(),
        verifier: verifier(Plan {
            methods: vec![Method::POST],
            proofs: vec![hmac()],
            challenges: vec![challenge],
            ..Plan::default()
        }),
        selectors: selectors(Repeat::Answer),
        dedup: Dedup::On,
        routed: metrics.routed(name, &vec![("1", name == "discarding"); table.origins().count()]),
        tenants: Tenants::default(),
        would: Would::default(),
        aside: None,
        table,
        replies: Replies::default(),
        ack: Ack::Durable,
        metrics: metrics.source(name, OUTCOMES),
    }
}

fn verifier(plan: Plan) -> verify::Verifier {
    verify::Verifier::new(plan).unwrap()
}

fn hmac() -> Proof {
    let key = Key::new(Algorithm::Hmac(Hash::Sha256), Form::Utf8, &Secret::new(SECRET.to_vec())).unwrap();
    Proof::simple(HeaderName::from_static("x-signature"), "sha256=", vec![key])
}

fn selectors(repeat: Repeat) -> Selectors {
    let one = |text: &str| Selector::one(Place::parse(text).unwrap());
    let tenant = Selector::new(vec![Place::parse("json:/entry/*/id").unwrap()], Take::Each);
    let wanted = Wanted { id: vec![one("header:x-id")], kind: Some(one("json:/kind")), repeat, ..Wanted::default() };
    Selectors::compile(Wanted { tenant: Some(tenant), ..wanted }).unwrap()
}

/// The signature of these bytes, as the header has it.
pub(super) fn signed(body: &[u8]) -> String {
    let mac = verify::Signer::new(SECRET).sign(&[body]);
    mac.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A request with a host and these fields besides.
pub(super) fn bare(method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target).header("host", "hooks.example");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

/// A POST that is signed, with an id where there is one.
pub(super) fn event(target: &str, id: &str, body: &[u8]) -> Request<Full<Bytes>> {
    let signature = signed(body);
    let fields = [("x-signature", &*signature), ("x-id", id)];
    bare("POST", target, if id.is_empty() { &fields[..1] } else { &fields }, body)
}

pub(super) fn text(response: Response<Full<Bytes>>) -> String {
    let body = response.into_body().collect();
    let Poll::Ready(body) = pin!(body).poll(&mut Context::from_waker(Waker::noop())) else { panic!("it is all there") };
    String::from_utf8(body.unwrap().to_bytes().into()).unwrap()
}

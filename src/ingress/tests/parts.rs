//! The events of one batch are claimed, charged and stored together or not at all, and one reply answers for them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};
use std::time::Duration;

use http::HeaderValue;

use super::rooms::{PEER, Rooms, bare, event, signed};
use super::trouble;
use crate::event::{EventId, Head};
use crate::journal::{Delivery, Memory, Options, Tenants};
use crate::snapshot::ListenerId;

/// A batch of entries of these numbers and tenants' keys.
fn batch(entries: &[(u32, &str)]) -> String {
    let one = |(n, key): &(u32, &str)| format!(r#"{{"n":{n},"id":"{key}","kind":"k{n}"}}"#);
    format!(r#"{{"entry":[{}]}}"#, entries.iter().map(one).collect::<Vec<_>>().join(","))
}

fn alone(n: u32, key: &str) -> String {
    batch(&[(n, key)])
}

#[track_caller]
fn check(rooms: &Rooms, source: &str, entries: &[(u32, &str)], status: u16) {
    let response = rooms.answer(event(&format!("/{source}/a?x=1"), "d", batch(entries).as_bytes()));
    assert_eq!(response.status(), status, "{entries:?}: {:?}", rooms.outcomes());
    assert_eq!(rooms.admission.in_flight(), 0);
}

/// The bodies that the destination is owed, which it takes.
fn handed(rooms: &Rooms) -> Vec<String> {
    rooms.kept().into_iter().map(|(.., body)| body).collect()
}

/// As many deliveries, which stay with the test.
fn deliveries(rooms: &Rooms, count: usize) -> Vec<Delivery> {
    (0..count).map(|_| rooms.next()).collect()
}

#[test]
fn each_part_is_a_record_of_its_own_under_one_request() {
    let rooms = Rooms::new();
    check(&rooms, "batched", &[(1, "1"), (2, "2"), (3, "x")], 200);
    let parts = deliveries(&rooms, 3);
    let told: Vec<_> = parts.iter().map(|part| (part.part, &*part.kind)).collect();
    assert_eq!(told, [(0, "k1"), (1, "k2"), (2, "k3")]);
    let bodies: Vec<_> = parts.iter().map(|part| String::from_utf8(part.body.joined().to_vec()).unwrap()).collect();
    assert_eq!(bodies, [alone(1, "1"), alone(2, "2"), alone(3, "x")]);
    assert!(parts.iter().all(|part| part.request_id == parts[0].request_id && part.request_id != [0; 16]));
    let owners: Vec<u64> =
        parts.iter().map(|part| if let Tenants::One(one) = part.tenants { one } else { panic!("one each") }).collect();
    assert!(owners[0] != owners[1] && owners[1] != owners[2] && owners[0] != owners[2]);
    assert!(parts.windows(2).all(|pair| pair[0].event_id != pair[1].event_id && pair[0].seq + 1 == pair[1].seq));
    let metrics = rooms.metrics.source("batched", crate::ingress::OUTCOMES);
    assert_eq!((metrics.parts.get(), metrics.kept_whole.get(), rooms.counted("batched", "stored")), (3, 0, 1));
    assert_eq!((rooms.charged("acme"), rooms.charged("bolt")), ([1, 0, 0, 0], [1, 0, 0, 0]));
}

#[test]
fn the_signature_of_the_whole_does_not_go_with_a_part_and_everything_else_does() {
    let headers = |entries: &[(u32, &str)]| {
        let rooms = Rooms::new();
        let mut request = event("/batched/a?x=1", "d", batch(entries).as_bytes());
        request.headers_mut().append("x-extra", HeaderValue::from_static("stays"));
        assert_eq!(rooms.answer(request).status(), 200);
        let all = deliveries(&rooms, entries.len()).into_iter().map(|delivery| {
            let head = Head::decode(&delivery.head).unwrap();
            assert_eq!((head.method, head.rest, head.query), ("POST", "a", "x=1"));
            head.headers().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect::<Vec<_>>()
        });
        all.collect::<Vec<_>>()
    };
    assert_eq!(headers(&[(1, "1"), (2, "2")]), [["x-id", "x-extra"], ["x-id", "x-extra"]]);
    assert_eq!(headers(&[(1, "1")]), [["x-signature", "x-id", "x-extra"]], "what is whole can be checked again");
}

#[test]
fn what_is_forged_stores_nothing_of_any_part() {
    let rooms = Rooms::new();
    let body = batch(&[(1, "1"), (2, "2")]);
    let signature = signed(batch(&[(1, "1"), (3, "2")]).as_bytes());
    let forged = bare("POST", "/batched", &[("x-signature", &signature)], body.as_bytes());
    assert_eq!(rooms.answer(forged).status(), 401);
    assert!(rooms.kept().is_empty() && rooms.window.is_empty());
    assert_eq!((rooms.charged("acme"), rooms.charged("bolt")), ([0; 4], [0; 4]));
}

#[test]
fn of_what_comes_again_in_other_company_only_the_new_is_stored() {
    let rooms = Rooms::new();
    check(&rooms, "batched", &[(1, "x"), (2, "y")], 200);
    check(&rooms, "batched", &[(1, "x"), (2, "y")], 200);
    assert_eq!((handed(&rooms), rooms.counted("batched", "repeat")), (vec![alone(1, "x"), alone(2, "y")], 1));
    // The new one keeps its place in its request, and only its tenant is charged.
    check(&rooms, "batched", &[(2, "y"), (3, "1"), (1, "x")], 200);
    let new = deliveries(&rooms, 1);
    assert_eq!((new[0].part, &*new[0].body.joined()), (1, alone(3, "1").as_bytes()));
    assert_eq!((rooms.charged("acme"), rooms.charged("unknown")), ([1, 0, 0, 0], [2, 0, 0, 0]));
    // Alone, and twice in one batch.
    check(&rooms, "batched", &[(3, "1")], 200);
    check(&rooms, "batched", &[(4, "2"), (4, "2")], 200);
    assert_eq!(handed(&rooms), [alone(4, "2")]);
    assert_eq!((rooms.counted("batched", "stored"), rooms.counted("batched", "repeat")), (3, 2));
    assert_eq!(rooms.charged("bolt"), [1, 0, 0, 0]);
}

#[test]
fn a_retry_gives_every_part_the_id_that_it_had() {
    let ids = |rooms: &Rooms, entries: &[(u32, &str)]| {
        check(rooms, "batched", entries, 200);
        deliveries(rooms, entries.len()).iter().map(|part| EventId::from_bytes(part.event_id)).collect::<Vec<_>>()
    };
    let first = ids(&Rooms::new(), &[(1, "1"), (2, "2"), (3, "3")]);
    assert_eq!(ids(&Rooms::new(), &[(1, "1"), (2, "2"), (3, "3")]), first, "another box, or one that forgot");
    assert_eq!(ids(&Rooms::new(), &[(3, "3"), (1, "1")]), [first[2], first[0]], "whatever the company");
}

#[test]
fn if_one_tenant_is_refused_nothing_of_the_batch_is_stored_charged_or_remembered() {
    let rooms = Rooms::new();
    check(&rooms, "batched", &[(1, "2")], 200);
    for n in 2..5 {
        check(&rooms, "batched", &[(10, "1"), (n, "2"), (11, "x")], 429);
    }
    assert_eq!(handed(&rooms), [alone(1, "2")]);
    assert_eq!((rooms.charged("acme"), rooms.charged("unknown")), ([0; 4], [0; 4]));
    assert_eq!((rooms.charged("bolt"), rooms.window.len()), ([1, 0, 0, 3], 1));
    check(&rooms, "batched", &[(10, "1"), (12, "11"), (11, "x")], 200);
    assert_eq!((rooms.charged("acme"), rooms.charged("unknown")), ([2, 0, 0, 0], [1, 0, 0, 0]));
    // A tenant pays for each of its events: two take twice as long to be forgiven.
    check(&rooms, "batched", &[(20, "y"), (21, "y"), (22, "z")], 200);
    rooms.hand.advance(Duration::from_secs(10));
    check(&rooms, "batched", &[(23, "z")], 200);
    check(&rooms, "batched", &[(24, "y")], 429);
}

#[test]
fn who_is_over_the_rate_is_shaped_alone_and_one_reply_answers_for_all() {
    let rooms = Rooms::new();
    check(&rooms, "batches-shaped", &[(1, "2")], 200);
    check(&rooms, "batches-shaped", &[(2, "2"), (3, "1")], 200);
    assert_eq!(handed(&rooms), [alone(1, "2"), alone(3, "1")], "nobody waits for another tenant of the batch");
    rooms.hand.advance(Duration::from_secs(10));
    assert_eq!(handed(&rooms), [alone(2, "2")]);
}

#[test]
fn a_batch_that_could_not_be_synced_leaves_nothing_behind_and_its_retry_is_stored() {
    let (rooms, failures) = trouble::rooms(Options::default());
    failures.store(1, SeqCst);
    check(&rooms, "batched", &[(1, "2"), (2, "1")], 503);
    assert_eq!((rooms.window.is_empty(), rooms.charged("bolt")), (true, [1, 0, 0, 0]));
    check(&rooms, "batched", &[(1, "2"), (2, "1")], 200);
    assert_eq!(handed(&rooms), [alone(1, "2"), alone(2, "1")]);
}

#[test]
fn what_does_not_fit_the_queue_as_a_whole_is_not_stored_in_part() {
    let options = Options { queue_records: 2, ..Options::default() };
    let rooms = Rooms::with(Arc::new(Memory::new()), options, Default::default());
    let ask = |entries: &[(u32, &str)]| event("/batched", "d", batch(entries).as_bytes());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let three = ask(&[(1, "x"), (2, "y"), (3, "z")]);
    assert_eq!(runtime.block_on(rooms.ingress.answer(ListenerId(0), PEER.into(), three)).status(), 503);
    assert!(handed(&rooms).is_empty() && rooms.window.is_empty());
    assert_eq!((rooms.charged("unknown"), rooms.counted("batched", "journal_busy")), ([0; 4], 1));
    check(&rooms, "batched", &[(1, "x"), (2, "y")], 200);
    assert_eq!(handed(&rooms).len(), 2);
}

#[test]
fn who_hangs_up_once_the_journal_has_the_batch_has_sent_all_of_it() {
    let rooms = Rooms::new();
    {
        let body = batch(&[(1, "1"), (2, "2")]);
        let mut gone =
            pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/batched/a?x=1", "d", body.as_bytes())));
        assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    rooms.work();
    assert_eq!(rooms.admission.in_flight(), 0);
    check(&rooms, "batched", &[(2, "2"), (1, "1")], 200);
    assert_eq!((handed(&rooms).len(), rooms.counted("batched", "repeat")), (2, 1));
}

#[test]
fn a_batch_of_too_much_goes_whole_to_whom_all_of_it_may_go_and_is_counted() {
    let rooms = Rooms::new();
    let frame = "f".repeat(30_000);
    let body =
        format!(r#"{{"frame":"{frame}","entry":[{}]}}"#, r#"{"n":1,"id":"x"},{"n":2,"id":"y"},{"n":3,"id":"x"},{}"#);
    assert_eq!(rooms.answer(event("/batched", "d", body.as_bytes())).status(), 200);
    let whole = deliveries(&rooms, 1);
    assert_eq!((whole[0].part, &*whole[0].body.joined()), (0, body.as_bytes()));
    assert!(matches!(&whole[0].tenants, Tenants::Mixed(all) if all.len() == 3), "{:?}", whole[0].tenants);
    let metrics = rooms.metrics.source("batched", crate::ingress::OUTCOMES);
    assert_eq!((metrics.parts.get(), metrics.kept_whole.get()), (0, 1));
}

use std::collections::VecDeque;
use std::net::IpAddr;
use std::task::Context;

use http::Method;
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use super::*;
use crate::admission::{AHEAD, Admission, Limits, Rules};
use crate::clock::Timestamp;

/// What a client does next.
#[derive(Clone, Debug)]
pub(in crate::ingress) enum Step {
    Send(usize),
    Wait(u64),
    Trailers,
    Break,
}

/// A body that comes as its script says.
pub(in crate::ingress) struct Script {
    declared: Option<u64>,
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    next: u8,
}

impl Script {
    pub(in crate::ingress) fn new(declared: Option<u64>, steps: impl IntoIterator<Item = Step>) -> Self {
        Self { declared, steps: steps.into_iter().collect(), waiting: None, next: 0 }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = ();

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Break) => return Poll::Ready(Some(Err(()))),
                Some(Step::Trailers) => return Poll::Ready(Some(Ok(Frame::trailers(http::HeaderMap::new())))),
                Some(Step::Wait(millis)) => {
                    self.waiting = Some(Box::pin(sleep_until(Instant::now() + Duration::from_millis(millis))));
                }
                Some(Step::Send(length)) => {
                    self.next = self.next.wrapping_add(1);
                    return Poll::Ready(Some(Ok(Frame::data(vec![self.next; length].into()))));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

const MAX: u64 = 100_000;

fn permit(admission: &Admission, declared: Option<u64>) -> Permit {
    let rules = Rules { methods: vec![Method::POST], body_max: MAX, ..Rules::default() };
    let peer = IpAddr::from([192, 0, 2, 1]);
    admission.admit(&rules, peer, &Method::POST, declared, Timestamp::from_secs(1)).unwrap()
}

#[track_caller]
fn check(declared: Option<u64>, steps: &[Step], expected: Result<&[(u8, usize)], Fault>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let admission = Admission::new(Limits { in_flight_max: 150_000, ..Limits::default() });
    let mut permit = permit(&admission, declared);
    let script = Script::new(declared, steps.iter().cloned());
    let read = runtime.block_on(read(script, &BodyLimits::default(), &mut permit, &Closing::default(), || ()));
    let bytes = |pieces: &[(u8, usize)]| pieces.iter().flat_map(|(b, length)| vec![*b; *length]).collect::<Vec<_>>();
    assert_eq!(read, expected.map(|pieces| bytes(pieces).into()), "{declared:?} {steps:?}");
    if let Ok(bytes) = read {
        assert_eq!(permit.bytes(), bytes.len() as u64, "{declared:?} {steps:?}");
    }
    drop(permit);
    assert_eq!(admission.in_flight(), 0);
}

/// What is declared, what the client does, and which byte came how often.
type Arrives<'a> = (Option<u64>, &'a [Step], &'a [(u8, usize)]);

#[test]
fn a_body_is_the_bytes_that_came_in_however_they_came() {
    use Step::{Send, Trailers, Wait};
    let cases: &[Arrives<'_>] = &[
        (Some(0), &[], &[]),
        (None, &[], &[]),
        (Some(5), &[Send(5)], &[(1, 5)]),
        (None, &[Send(5)], &[(1, 5)]),
        (None, &[Send(5), Trailers], &[(1, 5)]),
        (Some(20_000), &[Send(20_000)], &[(1, 20_000)]),
        (None, &[Send(20_000)], &[(1, 20_000)]),
        (None, &[Send(20_000), Send(1)], &[(1, 20_000), (2, 1)]),
        (
            Some(30_000),
            &[Send(10_000), Wait(100), Send(10_000), Send(10_000)],
            &[(1, 10_000), (2, 10_000), (3, 10_000)],
        ),
        (None, &[Send(1), Wait(1), Send(0), Send(9_999), Send(70_000)], &[(1, 1), (3, 9_999), (4, 70_000)]),
        (Some(MAX), &[Send(99_999), Send(1)], &[(1, 99_999), (2, 1)]),
        (None, &[Send(99_999), Send(1)], &[(1, 99_999), (2, 1)]),
        // As slow as may be, and as long.
        (Some(6), &[Wait(4_999), Send(6)], &[(1, 6)]),
        (Some(9_000), &[Send(8_000), Wait(7_700), Send(1_000)], &[(1, 8_000), (2, 1_000)]),
        (None, &[Send(90_000), Wait(29_900), Send(1)], &[(1, 90_000), (2, 1)]),
    ];
    for (declared, steps, expected) in cases {
        check(*declared, steps, Ok(expected));
    }
}

#[test]
fn a_body_too_long_too_slow_or_torn_is_none() {
    use Step::{Break, Send, Wait};
    let too_large = Fault::Refused(Refusal::TooLarge { max: MAX });
    let cases: &[(Option<u64>, &[Step], Fault)] = &[
        (None, &[Send(99_999), Send(2)], too_large),
        (None, &[Send(200_000)], too_large),
        (Some(5), &[Send(200_000)], too_large),
        (Some(6), &[Send(5)], Fault::Broken),
        (Some(4), &[Send(5)], Fault::Broken),
        (Some(6), &[Send(5), Break], Fault::Broken),
        (None, &[Send(5), Break], Fault::Broken),
        (Some(6), &[Wait(5_001), Send(6)], Fault::Slow),
        (None, &[Send(1), Wait(5_001), Send(6)], Fault::Slow),
        (Some(9_000), &[Send(8_000), Wait(7_900), Send(1_000)], Fault::Slow),
        (Some(9_000), &[Send(1), Wait(2_000), Send(1), Wait(2_000), Send(1), Wait(2_000), Send(1)], Fault::Slow),
        (None, &[Send(90_000), Wait(30_001), Send(1)], Fault::Slow),
        (None, &[Send(40_000), Wait(29_000), Send(10_000), Wait(1_100), Send(1)], Fault::Slow),
    ];
    for (declared, steps, expected) in cases {
        check(*declared, steps, Err(*expected));
    }
}

#[test]
fn no_more_bytes_are_in_flight_than_may_be() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let admission = Admission::new(Limits { in_flight_max: 10, ..Limits::default() });
    let mut permit = permit(&admission, None);
    let script = Script::new(None, [Step::Send(10), Step::Send(1)]);
    let refused = runtime.block_on(read(script, &BodyLimits::default(), &mut permit, &Closing::default(), || ()));
    assert_eq!(refused, Err(Fault::Refused(Refusal::Busy)));
}

#[tokio::test]
async fn a_large_piece_is_kept_and_a_small_one_lets_go_of_its_buffer() {
    for (length, kept) in [(KEEP, true), (KEEP - 1, false)] {
        let buffer = Bytes::from(vec![7; 16 * 1024]);
        let piece = buffer.slice(..length);
        let admission = Admission::new(Limits::default());
        let mut permit = permit(&admission, Some(length as u64));
        let body = read(Full::new(piece.clone()), &BodyLimits::default(), &mut permit, &Closing::default(), || ())
            .await
            .unwrap();
        assert_eq!(body, piece);
        assert_eq!(body.as_ptr() == piece.as_ptr(), kept);
    }
}

#[test]
fn memory_grows_with_what_arrives_and_not_with_what_is_announced() {
    let admission = Admission::new(Limits { in_flight_max: 1 << 41, ..Limits::default() });
    let rules = Rules { methods: vec![Method::POST], body_max: 1 << 40, ..Rules::default() };
    let gather = |declared: Option<u64>, pieces: &[usize]| {
        let peer = IpAddr::from([192, 0, 2, 1]);
        let mut permit = admission.admit(&rules, peer, &Method::POST, declared, Timestamp::from_secs(1)).expect("room");
        let mut arriving = Arriving::new(declared.and_then(|it| usize::try_from(it).ok()), &mut permit, || ());
        for piece in pieces {
            arriving.add(vec![0; *piece].into()).expect("room");
            let (taken, permitted) = (arriving.gathered.bytes.capacity(), arriving.permit.bytes());
            assert!(widen(taken) <= permitted, "{taken} bytes are taken, {permitted} were permitted");
        }
        (arriving.gathered.bytes.capacity(), arriving.gathered.len())
    };
    let ahead = usize::try_from(AHEAD).expect("a small number");
    assert_eq!(gather(Some(1 << 40), &[1]), (ahead, 1));
    let (taken, came) = gather(Some(1 << 40), &[4096; 100]);
    assert!(taken <= 2 * came, "{taken} {came}");
    assert_eq!(gather(Some(300), &[1]), (300, 1));
    assert_eq!(gather(Some(AHEAD + 1), &[4096; 16]).0, ahead);
    assert_eq!(gather(None, &[1]), (1, 1));
    assert_eq!(gather(None, &[100, 1]), (200, 101));
    assert_eq!(gather(None, &[KEEP]), (0, KEEP));
}

#[test]
fn who_sends_too_much_at_once_waits_until_some_of_it_is_proven() {
    use Step::{Send, Wait};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let closed = |closing: &Closing| closing.close(Duration::from_secs(1));
    // After how long the caller's other body is proven, whether the house closes, and what comes of this one: it takes
    // two seconds itself, beside which five are its due.
    let cases: [(u64, bool, Result<u64, Fault>); 5] = [
        (0, false, Ok(4_900)),
        (1_000, false, Ok(5_900)),
        (1_900, false, Ok(6_800)),
        (2_010, false, Err(Fault::Refused(Refusal::Crowded))),
        (1_500, true, Err(Fault::Closing)),
    ];
    for (proven_after, closes, expected) in cases {
        let admission = Admission::new(Limits { in_flight_share: 50_000, ..Limits::default() });
        let (mut other, mut permit) = (permit(&admission, Some(40_000)), permit(&admission, Some(10_001)));
        other.reach(1).expect("there is room for the first");
        let (closing, limits) = (Closing::default(), BodyLimits::default());
        let told = std::cell::Cell::new(false);
        let script = Script::new(Some(10_001), [Send(10_000), Wait(4_900), Send(1)]);
        let began = runtime.block_on(async { Instant::now() });
        let (read, ()) = runtime.block_on(async {
            let proof = async {
                if closes {
                    closed(&closing);
                }
                sleep_until(began + Duration::from_millis(proven_after)).await;
                other.proven();
            };
            tokio::join!(read(script, &limits, &mut permit, &closing, || told.set(true)), proof)
        });
        let took = runtime.block_on(async { began.elapsed() });
        match (read, expected) {
            (Ok(_), Ok(least)) => {
                let late = took.as_millis().checked_sub(u128::from(least)).expect("it waits");
                assert!(late <= u128::from(proven_after / 4 + 5), "{took:?} {least}");
            }
            (read, expected) => assert_eq!(read.map(drop), expected.map(drop), "{proven_after}"),
        }
        assert!(!told.get(), "it is not the caller who ends it");
        drop((permit, other));
        assert_eq!(admission.in_flight(), 0);
    }
}

#[test]
fn who_leaves_much_room_empty_is_told_of_also_when_nobody_waits() {
    use Step::{Break, Send, Wait};
    // What is declared, what comes, whether the reading is dropped then, and how often the caller is told of.
    let cases: &[(Option<u64>, &[Step], bool, u32)] = &[
        (Some(MAX), &[Wait(1)], true, 0),
        (Some(MAX), &[Send(1_000), Wait(1)], true, 1),
        (Some(MAX), &[Send(1_000), Break], false, 1),
        (Some(MAX), &[Send(1_000)], false, 1),
        (Some(16 * 1024), &[Break], false, 0),
        (Some(17 * 1024), &[Send(1), Break], false, 1),
        (Some(16 * 1024), &[Send(1), Break], false, 0),
        (Some(MAX), &[Send(90_000), Break], false, 0),
        (Some(MAX), &[Send(90_000), Wait(1)], true, 0),
        (Some(3), &[Break], false, 0),
        (None, &[Send(1), Break], false, 0),
        (None, &[Wait(1)], true, 0),
        (Some(MAX), &[Send(100_000)], false, 0),
        // This one is told of by its fault.
        (Some(MAX), &[Wait(60_000)], false, 0),
    ];
    for (declared, steps, dropped, expected) in cases {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let admission = Admission::new(Limits::default());
        let mut permit = permit(&admission, *declared);
        let (told, limits) = (std::cell::Cell::new(0_u32), BodyLimits::default());
        let open = Closing::default();
        let script = Script::new(*declared, steps.iter().cloned());
        runtime.block_on(async {
            let reading = read(script, &limits, &mut permit, &open, || told.set(told.get() + 1));
            let mut reading = Box::pin(reading);
            if *dropped {
                let mut context = Context::from_waker(std::task::Waker::noop());
                assert!(reading.as_mut().poll(&mut context).is_pending());
            } else {
                drop(reading.as_mut().await);
            }
        });
        assert_eq!(told.get(), *expected, "{declared:?} {steps:?}");
    }
}

#[test]
fn a_house_that_closes_waits_for_a_body_no_longer_than_it_says() {
    use Step::{Send, Wait};
    // When the house closes, for how long it waits then, how long the body takes, and what comes of it.
    let cases: &[(u64, u64, u64, Result<(), Fault>)] = &[
        (0, 1_000, 900, Ok(())),
        (0, 1_000, 1_100, Err(Fault::Closing)),
        (2_000, 1_000, 2_900, Ok(())),
        (2_000, 1_000, 3_100, Err(Fault::Closing)),
        (2_000, 60_000, 6_000, Err(Fault::Slow)),
        (2_000, 0, 2_100, Err(Fault::Closing)),
    ];
    for (closes, within, takes, expected) in cases {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let admission = Admission::new(Limits::default());
        let mut permit = permit(&admission, Some(2));
        let closing = Closing::default();
        let script = Script::new(Some(2), [Send(1), Wait(*takes), Send(1)]);
        let limits = BodyLimits::default();
        let (read, ()) = runtime.block_on(async {
            let close = async {
                sleep_until(Instant::now() + Duration::from_millis(*closes)).await;
                closing.close(Duration::from_millis(*within));
                closing.close(Duration::ZERO);
            };
            tokio::join!(read(script, &limits, &mut permit, &closing, || ()), close)
        });
        assert_eq!(read.map(drop), *expected, "{closes} {within} {takes}");
    }
}

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Names that count how often they are asked for; those that begin with `no` are not found.
fn counted() -> (Arc<AtomicUsize>, Names) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let names = Names::told(move |name| {
        count.fetch_add(1, Ordering::Relaxed);
        match name {
            "nothing" => Ok(Vec::new()),
            _ if name.starts_with("no") => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(vec![ONE]),
        }
    });
    (asked, names)
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_kept_for_a_while_and_what_was_not_for_a_moment() {
    let (asked, names) = counted();
    for (name, kept) in [("crm", FOUND), ("nobody", LOST), ("nothing", LOST)] {
        let before = asked.load(Ordering::Relaxed);
        let first = names.find(name).await;
        assert_eq!(first.is_ok(), name == "crm", "{first:?}");
        tokio::time::advance(kept - Duration::from_millis(1)).await;
        assert_eq!(names.find(name).await, first);
        assert_eq!(asked.load(Ordering::Relaxed) - before, 1, "{name}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(names.find(name).await, first);
        assert_eq!(asked.load(Ordering::Relaxed) - before, 2, "{name} is asked for again");
    }
}

#[tokio::test]
async fn many_who_want_a_name_at_once_are_one_question() {
    let (asked, names) = counted();
    let wanted = (names.find("crm"), names.find("crm"), names.find("crm"), names.find("other"));
    let (one, two, three, other) = tokio::join!(wanted.0, wanted.1, wanted.2, wanted.3);
    assert!([one, two, three, other].iter().all(|answer| answer.as_deref() == Ok(&[ONE][..])));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn whoever_gives_up_asking_leaves_it_to_the_next() {
    let (asked, names) = counted();
    let mut first = Box::pin(names.find("crm"));
    let mut second = Box::pin(names.find("crm"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending() && second.as_mut().poll(&mut context).is_pending());
    assert_eq!(asked.load(Ordering::Relaxed), 0, "the first is about to ask");
    drop(first);
    assert!(second.await.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_names_are_kept_than_there_may_be() {
    let (asked, names) = counted();
    for number in 0..NAMES_MAX + 10 {
        assert!(names.find(&format!("crm-{number}")).await.is_ok());
    }
    assert_eq!(names.known().len(), NAMES_MAX);
    let before = asked.load(Ordering::Relaxed);
    assert!(names.find(&format!("crm-{NAMES_MAX}")).await.is_ok(), "it is found all the same");
    assert_eq!(asked.load(Ordering::Relaxed), before + 1, "and not kept");
    tokio::time::advance(FOUND).await;
    assert!(names.find("another").await.is_ok());
    assert_eq!(names.known().len(), 1, "what is of no use any more makes room");
}

#[tokio::test]
async fn the_system_is_asked_where_nobody_else_is() {
    let names = Names::default();
    let found = names.find("localhost").await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    // Longer than a name may be: no resolver has to be asked.
    assert!(names.find(&"x".repeat(300)).await.is_err());
}

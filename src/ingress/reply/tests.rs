use std::collections::BTreeSet;

use super::*;

/// Every rejection there is, with its status, the seconds after which to try again, and whether the connection ends.
fn table() -> Vec<(Rejection, u16, Option<u32>, bool)> {
    let too_many = |millis| Refusal::TooManyRefusals { retry_after: Duration::from_millis(millis) };
    let mut table = vec![
        (Rejection::Malformed(Malformed::LengthAndCoding), 400, None, true),
        (Rejection::Malformed(Malformed::Coding), 400, None, true),
        (Rejection::Malformed(Malformed::NoHost), 400, None, true),
        (Rejection::Malformed(Malformed::Hosts), 400, None, true),
        (Rejection::Malformed(Malformed::Host), 400, None, true),
        (Rejection::Malformed(Malformed::OtherHost), 400, None, true),
        (Rejection::Nowhere, 404, None, true),
        (Rejection::Refused(Refusal::Method), 405, None, true),
        (Rejection::Refused(Refusal::TooLarge { max: 7 }), 413, None, true),
        (Rejection::Refused(Refusal::Address), 403, None, true),
        (Rejection::Refused(too_many(0)), 429, Some(1), true),
        (Rejection::Refused(too_many(1_001)), 429, Some(2), true),
        (Rejection::Refused(too_many(u64::MAX)), 429, Some(86_400), true),
        (Rejection::Refused(Refusal::Busy), 503, Some(1), false),
        (Rejection::Refused(Refusal::Crowded), 503, Some(1), false),
        (Rejection::Slow, 408, None, true),
        (Rejection::Broken, 400, None, true),
        (Rejection::Closing, 503, Some(5), true),
        (Rejection::Twin, 503, Some(1), false),
        (Rejection::OverRate { retry_after: Duration::from_millis(1_001) }, 429, Some(2), false),
        (Rejection::NotTaken(Refused::Busy), 503, Some(1), false),
        (Rejection::NotTaken(Refused::Full), 503, Some(30), false),
        (Rejection::NotTaken(Refused::TooLarge { max: 7 }), 413, None, false),
        (Rejection::NotTaken(Refused::Closed), 503, Some(5), false),
        (Rejection::NotTaken(Refused::Failed), 503, Some(30), false),
        (Rejection::Void, 503, Some(1), false),
    ];
    table.extend(VerifyError::ALL.map(|error| (Rejection::Unproven(error), 401, None, true)));
    table
}

#[test]
fn every_rejection_has_a_row_a_status_and_a_word() {
    let mut places = BTreeSet::new();
    for (rejection, status, retry_after, closes) in table() {
        let response = refusal(rejection, None);
        let headers = response.headers();
        assert_eq!(response.status().as_u16(), status, "{rejection:?}");
        let seconds = headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap().parse::<u32>().unwrap());
        assert_eq!(seconds, retry_after, "{rejection:?}");
        assert_eq!(headers.get(CONNECTION).is_some(), closes, "{rejection:?}");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{rejection:?}");
        assert_eq!(OUTCOMES[place(&Err(rejection))], rejection.word());
        assert!(!rejection.word().is_empty() && !rejection.to_string().is_empty(), "{rejection:?}");
        places.insert(rejection.place());
    }
    // All others are those of success: a rejection without a row leaves a gap.
    assert_eq!(places, (0..OUTCOMES.len()).filter(|place| REFUSALS[*place].is_some()).collect());
    let success: Vec<_> =
        (0..OUTCOMES.len()).filter(|place| REFUSALS[*place].is_none()).map(|place| OUTCOMES[place]).collect();
    assert_eq!(
        success,
        ["stored", "queued", "repeat", "challenge", "discarded", "passed", "late", "observed", "missed"]
    );
}

#[test]
fn words_are_fit_for_labels_and_only_the_wrong_method_is_said_by_two_rooms() {
    let distinct: BTreeSet<_> = OUTCOMES.iter().collect();
    assert_eq!(distinct.len() + 1, OUTCOMES.len());
    for word in OUTCOMES {
        assert!(!word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{word}");
    }
}

#[test]
fn what_is_our_own_trouble_is_not_the_callers() {
    for (rejection, status, ..) in table() {
        let ours = status == 503 || status == 429 || rejection == Rejection::Broken;
        let ours = ours || matches!(rejection, Rejection::NotTaken(_)) || status == 404 || status == 413;
        assert_eq!(rejection.is_the_callers(), !ours, "{rejection:?}");
    }
}

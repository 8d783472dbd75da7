use proptest::prelude::*;

use super::compare::{Seen, holds, read};
use super::*;

/// An answer that is read to its end: its status, its body, whether another may follow, and how many bytes were left.
#[track_caller]
fn check(text: &str, status: u16, body: &str, reusable: bool, left: usize) {
    let bytes = text.as_bytes();
    let taken = bytes.len() - left;
    let expected = Seen { status, body: body.into(), taken, whole: true, reusable, ..Seen::default() };
    for piece in 1..=bytes.len() {
        assert_eq!(read(Answer::new(), bytes, piece), expected, "pieces of {piece} of {text:?}");
    }
}

#[track_caller]
fn flaw(text: &str, expected: Flaw) {
    for piece in (1..=text.len().min(300)).chain([text.len()]) {
        assert_eq!(read(Answer::new(), text.as_bytes(), piece).flaw, Some(expected), "pieces of {piece} of {text:?}");
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn an_answer_ends_where_its_framing_says() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        ("HTTP/1.1 200 \r\nCONTENT-LENGTH:2\r\n\r\nok", 200, "ok"),
        ("HTTP/1.1 200 OK\ncontent-length: 2\n\nok", 200, "ok"),
        ("HTTP/1.1 404 Nein, gar nicht \u{e9}\r\ncontent-length: 0002\r\n\r\nno", 404, "no"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\nok", 200, "ok"),
        ("HTTP/1.1 204 No\r\n\r\n", 204, ""),
        ("HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Not\r\ncontent-length: 900\r\n\r\n", 304, ""),
        ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\n1", 200, "1"),
        ("HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n", 999, ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: <a>\r\n\r\nHTTP/1.1 201 C\r\ncontent-length: 0\r\n\r\n",
            201,
            "",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "x"),
    ];
    for (text, status, body) in cases {
        check(text, status, body, true, 0);
        check(&format!("{text}HTTP/1.1 200 OK\r\n\r\n"), status, body, true, 19);
    }
    let chunked = [
        ("0\r\n\r\n", ""),
        ("2\r\nok\r\n0A\r\n0123456789\r\n00\r\n\r\n", "ok0123456789"),
        ("1;a=\"b\"\r\nx\r\n1 \t;c\r\ny\r\n0;d\r\ne: f\r\ng: h\r\n\r\n", "xy"),
        ("4  \r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ];
    for (text, body) in chunked {
        check(&format!("{CHUNKED}{text}"), 200, body, true, 0);
        check(&format!("{CHUNKED}{text}more"), 200, body, true, 4);
    }
}

#[test]
fn where_its_end_is_doubtful_nothing_follows_an_answer() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok"),
        // A body beside an answer that has none would be read as the next answer.
        ("HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n", 204, ""),
        ("HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n", 204, ""),
        // Two lengths: the chunks count, and nothing after them.
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "x"),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, "x"),
    ];
    for (text, status, body) in cases {
        check(text, status, body, false, 0);
    }
}

#[test]
fn without_a_length_the_body_goes_on_to_the_end_of_the_connection() {
    let heads = [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n",
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding:\r\n\r\n",
    ];
    for head in heads {
        let body = "3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let text = format!("{head}{body}");
        for piece in 1..=text.len() {
            let seen = read(Answer::new(), text.as_bytes(), piece);
            assert_eq!((seen.whole, seen.reusable, &seen.body[..]), (false, false, body.as_bytes()), "{head:?}");
        }
    }
}

#[test]
fn the_answer_to_a_head_request_has_no_body_whatever_it_says() {
    for framing in ["content-length: 5", "transfer-encoding: chunked", "x: y"] {
        let text = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        for piece in 1..=text.len() {
            let seen = read(Answer::bare(), text.as_bytes(), piece);
            assert_eq!(
                (seen.status, seen.taken, seen.whole, seen.reusable),
                (200, text.len(), true, true),
                "{framing}"
            );
        }
    }
}

#[test]
fn what_is_no_head_is_no_answer() {
    let cases = [
        ("SSH-2.0-OpenSSH_9.2\r\n", Flaw::Protocol),
        ("<html>", Flaw::Protocol),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", Flaw::Protocol),
        ("http/1.1 200 OK\r\n\r\n", Flaw::Protocol),
        ("HTTP/2.0 200 OK\r\n\r\n", Flaw::Protocol),
        ("HTTP/2 200\r\n\r\n", Flaw::Protocol),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Flaw::Protocol),
        ("\0\0\x12\x04\0\0\0\0\0", Flaw::Protocol),
        ("\x15\x03\x03\0\x02\x02\x0a", Flaw::Protocol),
        ("HTTP/1.2 200 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.11 200 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.1  200 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 two hundred\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 20 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 2000 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 099 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 -20 OK\r\n\r\n", Flaw::Head),
        ("HTTP/1.1\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 O\0K\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\nbad header: 1\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\nheader : 1\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\n: 1\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\nheader\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\na: b\0\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n", Flaw::Head),
        ("HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n", Flaw::Switched),
        ("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nnonsense", Flaw::Protocol),
    ];
    for (text, expected) in cases {
        flaw(text, expected);
    }
}

#[test]
fn a_length_that_is_none_or_several_is_no_length() {
    let lengths = [
        "",
        "-1",
        "+1",
        "1 1",
        "0x1",
        "1.0",
        "1;",
        "one",
        "1,",
        ",1",
        "1, 2",
        "1\r\ncontent-length: 2",
        "1\r\ncontent-length:",
        "18446744073709551616",
        "99999999999999999999999999",
        "\u{b2}",
    ];
    for length in lengths {
        flaw(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"), Flaw::Length);
    }
}

#[test]
fn a_chunk_that_cannot_be_read_breaks_the_answer_off() {
    let bodies = [
        "\r\n",
        " 1\r\nx",
        "-1\r\nx",
        "+1\r\nx",
        "0x1\r\nx",
        "g\r\n",
        ";\r\n",
        "1\nx\n0\n\n",
        "1\rx",
        "1 x\r\n",
        "1 1\r\nx",
        "1;a\nb\r\nx",
        "2\r\nabc\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r1\r\n",
        "0\r\n\n",
        "0\r\na: b\n\r\n",
        "0\r\na: b\r\r\n",
        "0\r\n\rx",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "1\r\nxHTTP/1.1 200 OK\r\n",
    ];
    for body in bodies {
        flaw(&format!("{CHUNKED}{body}"), Flaw::Chunk);
    }
    // The largest that can be said is no panic.
    assert_eq!(read(Answer::new(), format!("{CHUNKED}ffffffffffffffff\r\nabc").as_bytes(), 1).body, b"abc");
}

#[test]
fn each_bound_holds_at_the_bound() {
    let headers = |count: usize| format!("HTTP/1.1 204 No\r\n{}\r\n", "x-a: b\r\n".repeat(count));
    check(&headers(HEADERS_MAX), 204, "", true, 0);
    flaw(&headers(HEADERS_MAX + 1), Flaw::Head);

    let long = |length: usize| {
        let rest = "HTTP/1.1 204 No\r\nx-a: \r\n\r\n".len();
        format!("HTTP/1.1 204 No\r\nx-a: {}\r\n\r\n", "b".repeat(length - rest))
    };
    for (length, expected) in [(HEAD_MAX, None), (HEAD_MAX + 1, Some(Flaw::Large)), (4 * HEAD_MAX, Some(Flaw::Large))] {
        for piece in [1, 1000, HEAD_MAX - 1, HEAD_MAX, HEAD_MAX + 1, 5 * HEAD_MAX] {
            assert_eq!(read(Answer::new(), long(length).as_bytes(), piece).flaw, expected, "{length} in {piece}");
        }
    }

    let interims = |count: u8| format!("{}HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 100 C\r\n\r\n".repeat(count.into()));
    check(&interims(INTERIM_MAX), 204, "", true, 0);
    flaw(&interims(INTERIM_MAX + 1), Flaw::Interims);

    // A `;` and an extension, and a trailer.
    let aside = |count: usize| {
        format!("{CHUNKED}1;{}\r\na\r\n0\r\n{}\r\n\r\n", "x".repeat(count / 2 - 1), "y".repeat(count - count / 2))
    };
    for (count, expected) in [(usize::from(ASIDE_MAX), None), (usize::from(ASIDE_MAX) + 1, Some(Flaw::Aside))] {
        let seen = read(Answer::new(), aside(count).as_bytes(), 100);
        assert_eq!((seen.flaw, seen.whole), (expected, expected.is_none()));
    }
}

#[test]
fn a_pause_that_is_asked_for_is_handed_on_as_it_stands() {
    let cases = [
        ("retry-after: 7", Some("7")),
        ("Retry-After:  Wed, 21 Oct 2026 07:28:00 GMT ", Some("Wed, 21 Oct 2026 07:28:00 GMT")),
        ("retry-after: 1\r\nretry-after: 2", Some("1")),
        ("retry-later: 1", None),
        ("x-retry-after: 1", None),
    ];
    for (line, expected) in cases {
        let text = format!("HTTP/1.1 503 No\r\n{line}\r\ncontent-length: 0\r\n\r\n");
        for piece in 1..=text.len() {
            let seen = read(Answer::new(), text.as_bytes(), piece);
            assert_eq!(seen.retry_after.as_deref(), expected.map(str::as_bytes), "{line}");
        }
    }
}

#[test]
fn what_a_body_is_is_told_by_the_first_header_that_says_so() {
    let cases = [
        ("content-type: text/xml", Some("text/xml"), None),
        ("Content-Type:  a/b \r\nCONTENT-ENCODING: gzip", Some("a/b"), Some("gzip")),
        ("content-type: a/b\r\ncontent-type: c/d", Some("a/b"), None),
        ("content-encoding: br\r\ncontent-encoding: gzip", None, Some("br")),
        ("x-content-type: a/b\r\ncontent-types: a/b\r\ncontent-encodings: br", None, None),
    ];
    for (lines, content_type, coding) in cases {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\ncontent-length: 0\r\n\r\n");
        for piece in 1..=text.len() {
            let seen = read(Answer::new(), text.as_bytes(), piece);
            assert_eq!(seen.content_type.as_deref(), content_type.map(str::as_bytes), "{lines}");
            assert_eq!(seen.content_encoding.as_deref(), coding.map(str::as_bytes), "{lines}");
        }
    }
}

#[test]
fn every_flaw_is_put_into_words() {
    let flaws = [
        Flaw::Protocol,
        Flaw::Head,
        Flaw::Large,
        Flaw::Length,
        Flaw::Interims,
        Flaw::Switched,
        Flaw::Chunk,
        Flaw::Aside,
    ];
    let mut words: Vec<_> = flaws.iter().map(ToString::to_string).collect();
    words.sort();
    words.dedup();
    assert_eq!(words.len(), flaws.len());
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("content-length: 3".to_owned()),
        Just("content-length: 5".to_owned()),
        Just("transfer-encoding: chunked".to_owned()),
        Just("connection: close".to_owned()),
        Just("retry-after: 1".to_owned()),
        "[a-z-]{1,12}: ?[ -~]{0,12}",
    ]
}

fn rest() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("3\r\nabc\r\n".to_owned()),
        Just("0\r\n\r\n".to_owned()),
        Just("HTTP/1.1 200 OK\r\n\r\n".to_owned()),
        "[\\x00-\\x7f]{0,9}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_it_is_cut_makes_no_difference(
        status in 99_u16..600,
        lines in prop::collection::vec(line(), 0..6),
        rest in prop::collection::vec(rest(), 0..5),
    ) {
        let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        holds(format!("HTTP/1.1 {status} X\r\n{head}\r\n{}", rest.concat()).as_bytes());
    }

    #[test]
    fn any_bytes_at_all_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes);
    }

    #[test]
    fn what_was_put_into_chunks_comes_out_of_them(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        cut in 1_usize..50,
    ) {
        let mut text = CHUNKED.as_bytes().to_vec();
        for piece in &pieces {
            text.extend(format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"));
        }
        text.extend(b"0\r\n\r\nmore");
        let seen = read(Answer::new(), &text, cut);
        prop_assert_eq!((seen.body, text.len() - seen.taken, seen.whole), (pieces.concat(), 4, true));
    }
}

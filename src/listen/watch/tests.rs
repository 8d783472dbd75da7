use std::sync::atomic::Ordering::Relaxed;

use tokio::io::AsyncReadExt;

use super::*;

/// (heads, a head under way, both length and coding, blind)
type Told = (u32, bool, bool, bool);

fn told(standing: &Standing) -> Told {
    let flag = |flag: &AtomicBool| flag.load(Relaxed);
    (standing.heads.load(Relaxed), flag(&standing.mid_head), flag(&standing.both), flag(&standing.blind))
}

/// Feeds the text in pieces of every length: where a read ends must make no difference.
#[track_caller]
fn check(text: &str, expected: Told) {
    holds(text.as_bytes());
    for piece in 1..=text.len() {
        let standing = Standing::default();
        let mut scan = Scan::default();
        for bytes in text.as_bytes().chunks(piece) {
            scan.feed(bytes, &standing);
        }
        assert_eq!(told(&standing), expected, "{text:?} in pieces of {piece}");
    }
}

#[test]
fn knows_where_in_the_stream_it_stands() {
    let cases = [
        ("\r\n\r\n", (0, false, false, false)),
        ("G", (0, true, false, false)),
        ("GET / HTTP/1.1\r\nHost: a\r\n", (0, true, false, false)),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", (1, false, false, false)),
        ("GET / HTTP/1.1\nHost: a\n\n", (1, false, false, false)),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", (1, false, false, false)),
        ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", (1, false, false, false)),
        ("POST / HTTP/1.1\r\ncontent-LENGTH:4\r\n\r\n\r\n\r\nGET", (1, true, false, false)),
        ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcdGET / HTTP/1.1\r\n\r\n", (2, false, false, false)),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n", (2, false, false, false)),
        ("GET / HTTP/1.1\r\nX-Content-Length: 4\r\n\r\nGET / HTTP/1.1\r\n\r\n", (2, false, false, false)),
    ];
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn sees_length_and_coding_together_in_either_order() {
    let cases = [
        ("Transfer-Encoding: chunked\r\n", (1, false, false, true)),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", (1, false, true, true)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", (1, false, true, true)),
        ("transfer-encoding:\tgzip, chunked\r\nHost: a\r\nCONTENT-LENGTH:0\r\n", (1, false, true, true)),
        ("Content-Length: 4x\r\n", (1, false, false, true)),
        ("Content-Length: +4\r\nTransfer-Encoding: chunked\r\n", (1, false, true, true)),
        ("Content-Length:\r\nTransfer-Encoding: chunked\r\n", (1, false, true, true)),
        ("Content-Length: 99999999999999999999\r\nTransfer-Encoding: chunked\r\n", (1, false, true, true)),
    ];
    for (fields, expected) in cases {
        check(
            &format!("POST /{} HTTP/1.1\r\nHost: a\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n", "x".repeat(80)),
            expected,
        );
    }
}

#[test]
fn a_framing_line_too_long_to_keep_blinds_and_is_still_seen() {
    let padding = " ".repeat(2 * KEPT);
    let standing = Standing::default();
    let mut scan = Scan::default();
    let text = format!("POST / HTTP/1.1\r\nContent-Length:{padding}4\r\nTransfer-Encoding:{padding}chunked\r\n\r\n");
    for bytes in text.as_bytes().chunks(7) {
        scan.feed(bytes, &standing);
    }
    assert_eq!(told(&standing), (1, false, true, true));
}

#[tokio::test]
async fn gives_the_first_byte_before_what_follows_it() {
    let standing = Arc::new(Standing::default());
    let mut watch = Watch::new(Arc::new(Shared::new(&b"ET / HTTP/1.1\r\n\r\n"[..], b'G')), Arc::clone(&standing));
    let mut text = String::new();
    watch.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(told(&standing), (1, false, false, false));
}

#[tokio::test]
async fn the_first_byte_is_given_even_if_nothing_follows() {
    let (near, far) = tokio::io::duplex(8);
    let mut watch = Watch::new(Arc::new(Shared::new(near, b'G')), Arc::default());
    let mut byte = [0; 4];
    assert_eq!(watch.read(&mut byte).await.unwrap(), 1);
    drop(far);
    assert_eq!(watch.read(&mut byte).await.unwrap(), 0);
}

proptest::proptest! {
    #[test]
    fn where_a_read_ends_makes_no_difference(
        words in proptest::collection::vec(
            proptest::sample::select(
                &["GET / HTTP/1.1", "\r\n", "\n", "\r", "Content-Length: ", "3", "Transfer-Encoding: chunked"][..]
            ),
            0..24,
        ),
    ) {
        holds(words.concat().as_bytes());
    }
}

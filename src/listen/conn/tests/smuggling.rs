//! Can a request hide behind another one's framing?

use proptest::prelude::*;

use super::*;

/// Lines that say, or seem to say, how long a body is.
const FRAMING: &[&str] = &[
    "Content-Length: 5",
    "content-length:5",
    "CONTENT-LENGTH:\t5 ",
    "Content-Length: 0",
    "Content-Length: 31",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 18446744073709551616",
    "Content-Length:",
    "Content-Length : 5",
    "Content-Length:                                                                                     5",
    "Transfer-Encoding: chunked",
    "transfer-encoding:chunked",
    "TRANSFER-ENCODING:\tCHUNKED ",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:                                                                                  chunked",
    " Transfer-Encoding: chunked",
    "X-Transfer-Encoding: chunked",
    "X: y",
    "Expect: 100-continue",
    "Connection: keep-alive",
];
const BODIES: &[&str] = &["", "hello", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "\r\n"];
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

fn says(lines: &[&str], name: &str) -> bool {
    lines.iter().any(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// Sends the text in pieces of this length, and tells what came to be answered.
fn served(text: &str, piece: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut peer = Peer::connect();
        let seen = Arc::clone(&peer.seen);
        for piece in text.as_bytes().chunks(piece) {
            if peer.stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(peer.stream.shutdown().await);
        peer.ends().await;
        let seen = seen.lock().unwrap();
        seen.clone()
    })
}

proptest! {
    #[test]
    fn no_request_hides_behind_anothers_framing(
        lines in proptest::collection::vec(proptest::sample::select(FRAMING), 0..4),
        body in proptest::sample::select(BODIES),
        newline in proptest::sample::select(&["\r\n", "\n"][..]),
        path in proptest::sample::select(&["/b", "/early"][..]),
        piece in 1_usize..200,
    ) {
        let mut text = format!("POST {path} HTTP/1.1{newline}Host: x{newline}");
        lines.iter().for_each(|line| text.extend([line, newline]));
        text.extend([newline, body, SMUGGLED]);
        let seen = served(&text, piece);
        let (coded, measured) = (says(&lines, "transfer-encoding:"), says(&lines, "content-length:"));
        if coded {
            // It is the last one, whatever follows it.
            prop_assert!(seen.len() <= 1, "{:?} {:?}", text, seen);
        }
        if coded && measured {
            prop_assert!(seen.iter().all(|path| path.ends_with("both")), "{:?} {:?}", text, seen);
        } else {
            prop_assert!(seen.iter().all(|path| !path.ends_with("both")), "{:?} {:?}", text, seen);
        }
    }
}

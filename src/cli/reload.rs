//! How is a running house told to reload, and what did it say?
//!
//! Promises: whatever answers at the socket, what is read is bounded, and the wait ends.
//!
//! Must not know: what a reload does.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::deadline::{Deadline, timeout};
use crate::config::show_time;

/// How long a reload may take: secrets may lie on a slow disk, and the journal may have to make room.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much of an answer is read.
const ANSWER_MAX: usize = 16 << 20;

/// It took effect.
pub(super) const APPLIED: u16 = 200;
/// The configuration has problems.
pub(super) const REFUSED: u16 = 422;

/// Asks for a reload at this socket: the status and the body of the answer.
pub(super) fn ask(socket: &Path) -> Result<(u16, String), String> {
    ask_within(socket, PATIENCE)
}

fn ask_within(socket: &Path, within: Duration) -> Result<(u16, String), String> {
    let shown = socket.display();
    let answer = exchange(socket, Deadline::within(within)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("nothing listens at {shown}; is Porteiro running, with this [control] socket?")
        }
        io::ErrorKind::ConnectionRefused => format!("nobody answers at {shown}; is Porteiro running?"),
        io::ErrorKind::PermissionDenied => format!("{shown} is for the user that Porteiro runs as"),
        io::ErrorKind::TimedOut => format!(
            "{shown} did not answer within {}: the reload may be under way, and take effect; the log tells, or ask again",
            show_time(within)
        ),
        _ => format!("{shown} cannot be asked: {error}"),
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| format!("{shown} did not answer as Porteiro does"))?;
    Ok((status, body.to_owned()))
}

fn exchange(socket: &Path, deadline: Deadline) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(deadline.left()?))?;
    // One write: at most one wait.
    let request = b"POST /-/reload HTTP/1.1\r\nHost: porteiro\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(request).map_err(timeout)?;
    let answer = deadline.read(&mut stream, ANSWER_MAX, |stream, left| stream.set_read_timeout(Some(left)))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What was told, for people; the error is why nothing changed.
pub(super) fn read(status: u16, body: &str) -> Result<String, String> {
    let told: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let lines =
        |key: &str| -> Vec<&str> { told[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
    match (status, told["result"].as_str()) {
        (APPLIED, Some("applied")) => {
            let mut text = String::new();
            let changed = lines("changed");
            let generation = told["generation"].as_u64().unwrap_or_default();
            text.push_str(&match changed.is_empty() {
                true => format!("nothing changed (configuration {generation} is in force)\n"),
                false => format!("configuration {generation} is in force\n"),
            });
            for line in changed {
                text.push_str(&format!("  {line}\n"));
            }
            for (title, key) in [("these take effect after a restart", "restart"), ("these are unsafe", "dangers")] {
                let lines = lines(key);
                if !lines.is_empty() {
                    text.push_str(&format!("{title}:\n"));
                }
                for line in lines {
                    text.push_str(&format!("  {line}\n"));
                }
            }
            Ok(text)
        }
        (REFUSED, Some("refused")) => {
            let report = told["report"].as_str().unwrap_or_default();
            Err(format!("{report}not reloaded; the configuration in force stays\n"))
        }
        (_, Some("failed")) => {
            let why = told["reason"].as_str().unwrap_or("for a reason that was not told");
            Err(format!("not reloaded, the configuration in force stays: {why}"))
        }
        _ => Err(format!("the answer {status} is not one that Porteiro gives to a reload")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::iter;
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// What `ask` makes of these bytes.
    fn check(answer: &'static [u8]) -> Result<(u16, String), String> {
        let room = tempfile::tempdir().unwrap();
        let socket = room.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            assert!(asked[..length].starts_with(b"POST /-/reload HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        let said = ask(&socket);
        server.join().unwrap();
        said
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        assert_eq!(check(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{}"), Ok((200, "{}".to_owned())));
        assert_eq!(check(b"HTTP/1.1 422 No\r\n\r\n"), Ok((422, String::new())));
        for answer in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 \xff\xff\xff\r\n\r\n", b"SSH-2.0-nothing\r\n", b"{}"] {
            assert!(check(answer).unwrap_err().contains("did not answer as Porteiro does"), "{answer:?}");
        }
    }

    #[test]
    fn nobody_there_is_told_as_that() {
        let room = tempfile::tempdir().unwrap();
        let socket = room.path().join("control.sock");
        assert!(ask(&socket).unwrap_err().starts_with("nothing listens at"));
        drop(UnixListener::bind(&socket).unwrap());
        assert!(ask(&socket).unwrap_err().starts_with("nobody answers at"));
    }

    #[test]
    fn who_is_silent_or_drips_is_not_waited_for_and_may_have_reloaded() {
        for drips in [false, true] {
            let room = tempfile::tempdir().unwrap();
            let socket = room.path().join("control.sock");
            let listener = UnixListener::bind(&socket).unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                assert!(stream.read(&mut asked).unwrap() > 0);
                if !drips {
                    // Returns when the other side is gone.
                    drop(stream.read(&mut asked));
                    return;
                }
                // One byte at a time, for as long as somebody listens.
                for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(iter::repeat(&b'x')).take(2_000) {
                    thread::park_timeout(Duration::from_millis(10));
                    if stream.write_all(&[*byte]).is_err() {
                        return;
                    }
                }
            });
            let began = Instant::now();
            let said = ask_within(&socket, Duration::from_millis(200)).unwrap_err();
            assert!(said.contains("did not answer within 200ms: the reload may be under way"), "{drips}: {said}");
            assert!(began.elapsed() < Duration::from_secs(10), "{drips}: {:?}", began.elapsed());
            server.join().unwrap();
        }
    }

    #[test]
    fn what_was_told_is_shown_and_what_makes_no_sense_is_a_failure() {
        let applied = r#"{"result":"applied","generation":3,"changed":["source a: added"],"restart":["journal: changed (size)"],"dangers":[]}"#;
        let shown = "configuration 3 is in force\n  source a: added\nthese take effect after a restart:\n  journal: changed (size)\n";
        assert_eq!(read(200, applied).unwrap(), shown);
        let nothing = r#"{"result":"applied","generation":2,"changed":[],"restart":[],"dangers":[]}"#;
        assert_eq!(read(200, nothing).unwrap(), "nothing changed (configuration 2 is in force)\n");
        let refused = r#"{"result":"refused","report":"error: this\n\n1 problem in a.toml\n"}"#;
        assert!(read(422, refused).unwrap_err().starts_with("error: this\n"));
        let failed = read(503, r#"{"result":"failed","reason":"the house closes"}"#).unwrap_err();
        assert!(failed.ends_with("the house closes"));
        for (status, body) in
            [(200, ""), (200, "[]"), (200, refused), (422, applied), (404, "there is ..."), (200, "{\"result\":7}")]
        {
            assert!(read(status, body).unwrap_err().contains("is not one that Porteiro gives"), "{status} {body}");
        }
    }
}

//! Is the house ready?
//!
//! Promises: an answer within the time that is given, whatever stands at the address and however slowly it speaks.
//!
//! Must not know: what ready means; the metrics listener says so.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::deadline::Deadline;

/// How much of the answer is read.
const ANSWER_MAX: usize = 4096;

/// Asks the metrics listener at `address` whether the house is ready; the error says what it said instead.
pub(super) fn ask(address: SocketAddr, within: Duration) -> Result<(), String> {
    let answer = exchange(address, within).map_err(|error| format!("{address} cannot be asked: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => Ok(()),
        "" => Err(format!("{address} did not answer as a metrics listener does")),
        _ => {
            let why = body.lines().next().unwrap_or_default().trim();
            Err(format!("not ready: {address} answered {status} {why}").trim_end().to_owned())
        }
    }
}

fn exchange(address: SocketAddr, within: Duration) -> io::Result<String> {
    let deadline = Deadline::within(within);
    let mut stream = TcpStream::connect_timeout(&address, deadline.left()?)?;
    stream.set_write_timeout(Some(deadline.left()?))?;
    // One write: at most one wait.
    stream.write_all(format!("GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let answer = deadline.read(&mut stream, ANSWER_MAX, |stream, left| stream.set_read_timeout(Some(left)))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Long enough for whoever answers at all.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// What `ask` makes of these bytes.
    fn check(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            assert!(asked[..length].starts_with(b"GET /-/ready HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        let said = ask(address, PATIENCE);
        server.join().unwrap();
        said
    }

    #[test]
    fn only_a_200_is_ready() {
        assert_eq!(check(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Ok(()));
        assert!(check(b"HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n").unwrap_err().ends_with("503 draining"));
        assert!(check(b"").unwrap_err().contains("did not answer"));
        assert!(check(b"SSH-2.0-nothing\r\n").is_err());
        assert!(check(b"HTTP/1.1 2000\r\n\r\n").is_err());
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ask(address, PATIENCE).unwrap_err().contains("cannot be asked"));
    }

    #[test]
    fn who_is_silent_or_drips_is_not_waited_for() {
        for drips in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                // Whole, so that the end is no reset.
                while !asked.ends_with(b"\r\n\r\n") {
                    let length = stream.read(&mut asked).unwrap();
                    asked.rotate_left(length);
                }
                // One byte at a time, for as long as somebody listens.
                for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'x')).take(2_000) {
                    thread::park_timeout(Duration::from_millis(10));
                    if drips && stream.write_all(&[*byte]).is_err() {
                        return;
                    }
                    if !drips {
                        // Returns when the other side is gone.
                        drop(stream.read(&mut asked));
                        return;
                    }
                }
            });
            let began = Instant::now();
            let said = ask(address, Duration::from_millis(200)).unwrap_err();
            assert!(said.contains("cannot be asked"), "{drips}: {said}");
            assert!(began.elapsed() < Duration::from_secs(10), "{drips}: {:?}", began.elapsed());
            server.join().unwrap();
        }
    }
}

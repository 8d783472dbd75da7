//! Is the house ready?
//!
//! Promises: an answer within two seconds, whatever stands at the address.
//!
//! Must not know: what ready means; the metrics listener says so.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long connecting, writing and each read may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of the answer is read.
const ANSWER_MAX: u64 = 4096;

/// Asks the metrics listener at `address` whether the house is ready; the error says what it said instead.
pub(super) fn ask(address: SocketAddr) -> Result<(), String> {
    within(address, PATIENCE)
}

fn within(address: SocketAddr, patience: Duration) -> Result<(), String> {
    let answer = exchange(address, patience).map_err(|error| format!("{address} cannot be asked: {error}"))?;
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

fn exchange(address: SocketAddr, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // At once: in pieces, the last ones may meet an end that has answered the first and is gone.
    let request = format!("GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Longer than a loaded machine takes; nothing here waits for it to pass.
    const LONG: Duration = Duration::from_secs(60);

    /// What is made of these bytes.
    fn check(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut asked, mut piece) = (Vec::new(), [0; 1024]);
            while !asked.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut piece).unwrap();
                assert!(length > 0, "the question has no end");
                asked.extend_from_slice(&piece[..length]);
            }
            assert!(asked.starts_with(b"GET /-/ready HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        let said = within(address, LONG);
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
    fn who_does_not_answer_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let said = within(listener.local_addr().unwrap(), Duration::from_millis(50));
        assert!(said.unwrap_err().contains("cannot be asked"));
    }

    /// The question comes in one piece, whoever is asked: what stops reading after its first line still answers.
    #[test]
    fn who_reads_once_has_heard_it_all() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            assert!(asked[..length].ends_with(b"\r\n\r\n"), "the question came in pieces");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        });
        assert_eq!(within(address, LONG), Ok(()));
        server.join().unwrap();
    }

    #[test]
    fn nobody_there_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ask(address).unwrap_err().contains("cannot be asked"));
    }
}

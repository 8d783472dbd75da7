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
    let answer = exchange(address).map_err(|error| format!("{address} cannot be asked: {error}"))?;
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

fn exchange(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

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
        let said = ask(address);
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
        assert!(ask(address).unwrap_err().contains("cannot be asked"));
    }
}

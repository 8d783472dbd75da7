//! How does a connection come to speak TLS?
//!
//! Promises: a place among the handshakes is asked for only when the client's whole first message is there, and is lent
//! for [`LENT`] at most: whoever says nothing, speaks slowly or never answers keeps nobody else out; the first message is
//! no longer than [`HELLO_MAX`].
//!
//! Must not know: how long all of it may take.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::time::Duration;

use rustls::server::{Accepted, Acceptor};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;

/// The longest first message of a client, in bytes; the usual ones take up to two thousand.
const HELLO_MAX: usize = 16 << 10;
/// For how long a handshake keeps its place: a client that answers later than that goes on without one.
const LENT: Duration = Duration::from_millis(250);

/// Leads a connection to TLS.
pub(super) async fn shake(tls: &Tls, stream: TcpStream, places: &Semaphore) -> io::Result<Box<TlsStream<TcpStream>>> {
    let hello = hello(&stream).await?;
    let place = places.acquire().await.map_err(io::Error::other)?;
    // Keys are made, and the one costly signature, as soon as this is first asked; from then on it is the client's turn.
    let mut shaken = pin!(StartHandshake::from_parts(hello, stream).into_stream(tls.config()));
    let stream = match timeout(LENT, &mut shaken).await {
        Ok(shaken) => shaken?,
        Err(_) => {
            drop(place);
            shaken.await?
        }
    };
    Ok(Box::new(stream))
}

/// Reads the client's first message.
async fn hello(stream: &TcpStream) -> io::Result<Accepted> {
    // Nothing is set aside for who does not say a word.
    stream.readable().await?;
    let (mut acceptor, mut read) = (Acceptor::default(), 0_usize);
    while read <= HELLO_MAX {
        match acceptor.read_tls(&mut Socket(stream)) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stream.readable().await?;
                continue;
            }
            Err(error) => return Err(error),
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                // Whether the client hears why is its own affair.
                drop(alert.write_all(&mut Socket(stream)));
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }
    Err(io::Error::new(ErrorKind::InvalidData, "the client's first message has no end"))
}

/// A socket as rustls wants it: what cannot be done at once is not done.
struct Socket<'a>(&'a TcpStream);

impl io::Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl io::Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

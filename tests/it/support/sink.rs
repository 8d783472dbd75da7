//! A destination on loopback that records what arrives and misbehaves on demand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 200, empty.
    Well,
    /// This status, empty.
    Status(u16),
    /// These bytes.
    Say(&'static [u8]),
    /// These bytes, and closes.
    SayAndClose(&'static [u8]),
    /// These bytes, after the sink was told to go on: see [`Sink::go_on`].
    SayLater(&'static [u8]),
    /// Reads the request and never answers.
    Hang,
    /// One byte of the answer's head every 100 ms.
    Drip,
}

/// One request that arrived whole.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) target: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Arrival {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn event_id(&self) -> &str {
        self.header("x-porteiro-event-id").expect("every delivery carries the event's id")
    }
}

/// A listening sink; it ends with its value.
pub(crate) struct Sink {
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    manner: Arc<Mutex<Manner>>,
    going: Arc<AtomicBool>,
    ending: Arc<AtomicBool>,
}

impl Sink {
    pub(crate) fn start(manner: Manner) -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap(), manner).unwrap()
    }

    /// On an address that was used before.
    pub(crate) fn start_on(address: SocketAddr, manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let sink = Self {
            address: listener.local_addr()?,
            arrivals: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
            going: Arc::default(),
            ending: Arc::default(),
        };
        let (arrivals, manner) = (Arc::clone(&sink.arrivals), Arc::clone(&sink.manner));
        let (going, ending) = (Arc::clone(&sink.going), Arc::clone(&sink.ending));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (arrivals, manner) = (Arc::clone(&arrivals), Arc::clone(&manner));
                let (going, ending) = (Arc::clone(&going), Arc::clone(&ending));
                // An error means that the other side closed, as it may at any time.
                std::thread::spawn(move || drop(serve(stream, &arrivals, &manner, (&going, &ending))));
            }
        });
        Ok(sink)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Whoever waits for its answer gets it.
    pub(crate) fn go_on(&self) {
        self.going.store(true, Ordering::Release);
    }

    /// The numbers at the end of the events that arrived, in order.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        let number = |body: &[u8]| {
            let body = String::from_utf8_lossy(body).into_owned();
            body.rsplit(':').next().unwrap().trim_end_matches('}').parse().unwrap()
        };
        let mut numbers: Vec<usize> = self.arrivals().iter().map(|arrival| number(&arrival.body)).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // The accept loop looks up only when somebody comes.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    stream: TcpStream,
    arrivals: &Mutex<Vec<Arrival>>,
    manner: &Mutex<Manner>,
    (go_on, ending): (&AtomicBool, &AtomicBool),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Ends the thread when the relay is gone without a word, long after every test has ended.
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut out = stream.try_clone()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut arrival = Arrival { at: Instant::now(), target, head, body: Vec::new() };
        let length = arrival.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        arrival.body.resize(length, 0);
        stream.read_exact(&mut arrival.body)?;
        arrival.at = Instant::now();
        if ending.load(Ordering::Acquire) {
            return Ok(());
        }
        let manner = *manner.lock().unwrap();
        arrivals.lock().unwrap().push(arrival);
        match manner {
            Manner::Well => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?,
            Manner::Status(status) => {
                out.write_all(format!("HTTP/1.1 {status} As Told\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
            }
            Manner::Say(bytes) => out.write_all(bytes)?,
            Manner::SayAndClose(bytes) => return out.write_all(bytes),
            Manner::SayLater(bytes) => {
                while !go_on.load(Ordering::Acquire) && !ending.load(Ordering::Acquire) {
                    std::thread::park_timeout(Duration::from_millis(2));
                }
                out.write_all(bytes)?;
            }
            Manner::Hang => drop(stream.read(&mut [0])?),
            Manner::Drip => {
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".iter().cycle().take(4_000) {
                    out.write_all(&[*byte])?;
                    std::thread::park_timeout(Duration::from_millis(100));
                }
            }
        }
    }
}

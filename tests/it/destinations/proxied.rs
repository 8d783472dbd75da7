//! Through a proxy: by a tunnel, by the whole URL, around it, and not at all.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{attempts, configuration, send};
use crate::support::house::{Estate, House};
use crate::support::secure::{Authority, Vault};
use crate::support::sink::{Manner, Sink};
use crate::support::{PATIENCE, eventually};

/// `porteiro:open sesame`, as RFC 7617 writes it.
const CREDENTIALS: &str = "Basic cG9ydGVpcm86b3BlbiBzZXNhbWU=";

/// A proxy on loopback that lets through who shows these credentials; it ends with its value.
struct Proxy {
    address: SocketAddr,
    /// The first lines of what it was asked, and whether it let that through.
    asked: Arc<Mutex<Vec<(String, bool)>>>,
    ending: Arc<AtomicBool>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), asked: Arc::default(), ending: Arc::default() };
        let (asked, ending) = (Arc::clone(&proxy.asked), Arc::clone(&proxy.ending));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(stream), asked) = (stream, Arc::clone(&asked)) else { continue };
                // An error means that one of the sides closed.
                std::thread::spawn(move || drop(pass(stream, &asked)));
            }
        });
        proxy
    }

    fn asked(&self) -> Vec<(String, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
    }
}

fn pass(stream: TcpStream, asked: &Mutex<Vec<(String, bool)>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut out = stream.try_clone()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let line = head.lines().next().unwrap_or_default().to_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let known = head.contains(&format!("\r\nproxy-authorization: {CREDENTIALS}\r\n"));
        asked.lock().unwrap().push((line.clone(), known));
        if !known {
            out.write_all(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n")?;
            continue;
        }
        let target = line.split(' ').nth(1).unwrap_or_default();
        if line.starts_with("CONNECT ") {
            let inner = TcpStream::connect(target)?;
            out.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
            return splice(stream.into_inner(), inner);
        }
        let (host, path) = target.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut inner = TcpStream::connect(host)?;
        let rest = head.split_once("\r\n").unwrap().1.replace("proxy-authorization", "x-seen-by-proxy");
        write!(inner, "POST /{path} HTTP/1.1\r\nConnection: close\r\n{rest}")?;
        inner.write_all(&body)?;
        let mut answer = [0; 1024];
        let read = inner.read(&mut answer)?;
        out.write_all(&answer[..read])?;
    }
}

fn splice(one: TcpStream, other: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (one.try_clone()?, other.try_clone()?);
    let way = std::thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
    let (mut from, mut to) = (other, one);
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
    way.join().map_err(|_| io::Error::other("a thread of the proxy panicked"))
}

#[test]
fn what_goes_out_goes_through_the_proxy_unless_it_is_left_out() {
    let (proxy, plain, around, off) =
        (Proxy::start(), Sink::start(Manner::Well), Sink::start(Manner::Well), Sink::start(Manner::Well));
    let authority = Authority::new();
    let vault = Vault::start(&authority, None);
    // This machine is left out of a proxy that holds for all, so each destination names its own here; that the one for all
    // holds for the others is told by the one that it cannot reach.
    let own = format!(
        "proxy = {{ url = \"http://{}\", auth = {{ basic = {{ user = \"porteiro\", \
         password = {{ file = \"proxy-password\" }} }} }} }}\n",
        proxy.address
    );
    let sections = format!(
        "[proxy]\nurl = \"http://{address}\"\n\
         [destination.plain]\nurl = \"{plain}\"\n{own}\
         [destination.secure]\nurl = \"{secure}\"\ntls = {{ ca = \"ca.pem\" }}\n{own}\
         [destination.around]\nurl = \"{around}\"\n\
         [destination.off]\nurl = \"{off}\"\nproxy = \"off\"\n\
         [destination.far]\nurl = \"http://crm.example.com/far\"\n\
         [destination.unknown]\nurl = \"{secure}\"\ntls = {{ ca = \"ca.pem\" }}\nproxy = \"http://{address}\"\n",
        address = proxy.address,
        plain = plain.url(),
        secure = vault.url(),
        around = around.url(),
        off = off.url(),
    );
    let to = ["plain", "secure", "around", "off", "far", "unknown"];
    let estate = Estate::new(&configuration(&sections, &to));
    estate.write("ca.pem", authority.pem().as_bytes());
    estate.write("proxy-password", b"open sesame");
    let house = House::start(&estate);
    let body = send(&house, "", &[], 1);
    eventually("those that are let through", || {
        plain.count() == 1 && around.count() == 1 && off.count() == 1 && vault.calls().len() == 1
    });
    let arrival = &plain.arrivals()[0];
    assert_eq!((&arrival.body, arrival.target.as_str()), (&body, "/hook"));
    assert_eq!(arrival.header("x-seen-by-proxy"), Some(CREDENTIALS));
    for direct in [&around, &off] {
        assert_eq!(direct.arrivals()[0].header("proxy-authorization"), None);
    }
    let call = &vault.calls()[0];
    assert!(!call.head.contains("proxy-authorization") && call.shown.is_none(), "they are the proxy's alone");
    // What the proxy does not let through speaks against it, and the events stay owed.
    for name in ["far", "unknown"] {
        eventually("the refusal", || attempts(&house, name, "proxy") >= 1.0);
        assert_eq!(attempts(&house, name, "refused"), 0.0, "407 is the proxy's, not the destination's");
        assert_eq!(house.metrics().value("porteiro_backlog_events", &[("destination", name)]), 1.0);
    }
    let asked = proxy.asked();
    let lines = |let_through: bool| {
        let of = asked.iter().filter(|(_, known)| *known == let_through).map(|(line, _)| line.clone());
        let mut lines: Vec<String> = of.collect();
        lines.sort();
        lines.dedup();
        lines
    };
    let tunnel = format!("CONNECT {} HTTP/1.1", vault.address());
    assert_eq!(lines(true), [tunnel.clone(), format!("POST http://{}/hook HTTP/1.1", plain.address())]);
    assert_eq!(lines(false), [tunnel, "POST http://crm.example.com/far HTTP/1.1".to_owned()]);
    eventually("the reason in the log", || house.log().contains("the proxy wants credentials (407)"));
    house.metrics().no_panics();
}

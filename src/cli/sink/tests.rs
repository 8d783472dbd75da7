use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Sends requests one after the other, each on a connection of its own, and gives the first line of each answer.
async fn ask(address: SocketAddr, requests: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for request in requests {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        lines.push(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned());
    }
    lines
}

const POST: &str = "POST /hook/a?b=c HTTP/1.1\r\nhost: sink\r\nconnection: close\r\ncontent-length: 5\r\n\
                    x-porteiro-event-id: 00ff\r\nx-porteiro-attempt: 2\r\ncontent-type: text/plain\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nhost: sink\r\nconnection: close\r\n\r\n";

async fn check(options: Options, requests: &[&str]) -> (Vec<String>, Vec<Arrival>) {
    let drain = Drain::new();
    let sink = Sink::bind(options).await.unwrap();
    let address = sink.address();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = drain.spawn({
        let (drain, seen) = (drain.clone(), Arc::clone(&seen));
        async move { sink.run(&drain, |arrival| seen.lock().unwrap().push(arrival)).await }
    });
    let lines = ask(address, requests).await;
    drain.close();
    sink.await.unwrap();
    drain.finished().await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (lines, seen)
}

#[tokio::test]
async fn answers_as_told_and_tells_what_arrived() {
    let (lines, seen) = check(Options { status: StatusCode::ACCEPTED, ..Options::new() }, &[POST, GET]).await;
    assert_eq!(lines, ["HTTP/1.1 202 Accepted", "HTTP/1.1 202 Accepted"]);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].method.as_str(), &*seen[0].target, &seen[0].body[..]), ("POST", "/hook/a?b=c", &b"hello"[..]));
    let line = seen[0].line(false);
    assert!(line.ends_with("POST /hook/a?b=c  event 00ff  attempt 2  text/plain  5 bytes"), "{line}");
    assert!(seen[1].line(false).ends_with("GET /  event -  attempt -  -  0 bytes"));
}

#[tokio::test]
async fn a_body_is_shown_only_when_asked_for_and_never_written_raw() {
    let post = POST.replace("hello", "\x1b[2J\"");
    let (_, seen) = check(Options::new(), &[&post]).await;
    assert!(!seen[0].line(false).contains("2J"));
    assert!(seen[0].line(true).ends_with("5 bytes  \"\\u{1b}[2J\\\"\""), "{}", seen[0].line(true));
}

#[tokio::test]
async fn drops_what_it_was_told_to_without_an_answer() {
    let (lines, seen) = check(Options { drop: Lose::First(2), ..Options::new() }, &[GET, POST, POST]).await;
    assert_eq!(lines, ["", "", "HTTP/1.1 200 OK"]);
    assert_eq!(seen.iter().map(|arrival| arrival.answered).collect::<Vec<_>>(), [false, false, true]);
    assert!(seen[1].line(false).ends_with("dropped"));
}

#[tokio::test]
async fn prints_where_it_listens_and_stops_when_nobody_reads() {
    /// Takes one line, and no more.
    struct Line(mpsc::Sender<String>, String);
    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1.ends_with('\n') {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.1.push_str(std::str::from_utf8(bytes).unwrap());
            if self.1.ends_with('\n') {
                self.0.try_send(self.1.clone()).unwrap();
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let drain = Drain::new();
    let (tell, mut told) = mpsc::channel::<String>(1);
    let asked = drain.spawn(async move {
        let line = told.recv().await.unwrap();
        let address = line.strip_prefix("sink listens on http://").and_then(|rest| rest.strip_suffix('\n')).unwrap();
        ask(address.parse().unwrap(), &[GET]).await
    });
    let ended = run(Options::new(), Shown::default(), &drain, Line(tell, String::new())).await;
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    asked.await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let taken = Sink::bind(Options::new()).await.unwrap();
    let options = Options { listen: taken.address(), ..Options::new() };
    assert_eq!(Sink::bind(options).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn what_to_drop_is_a_count_or_a_share() {
    let lost = |text: &str| text.parse::<Lose>().map(|lose| (0..10).filter(|number| lose.loses(*number)).collect());
    let cases: [(&str, &[u64]); 8] = [
        ("0", &[]),
        ("0%", &[]),
        ("3", &[0, 1, 2]),
        ("100%", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("1.0", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("50%", &[1, 3, 5, 7, 9]),
        ("0.2", &[4, 9]),
        ("10%", &[9]),
    ];
    for (text, numbers) in cases {
        assert_eq!(lost(text), Ok(numbers.to_vec()), "{text}");
    }
    for text in ["", "%", "-1", "101%", "1.5", "-0.5", "NaN%", "inf%", "half", "3 ", "0.1.2"] {
        assert_eq!(text.parse::<Lose>(), Err(LoseError), "{text}");
    }
}

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use http::StatusCode;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::listen::CLOSINGS;
use crate::metrics::Metrics;

fn room() -> TempDir {
    let room = tempfile::tempdir().unwrap();
    chmod(room.path(), 0o700);
    room
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn only_its_owner_may_connect_and_its_file_goes_with_it() {
    let room = room();
    let path = room.path().join("control.sock");
    let local = Local::bind(&path).unwrap();
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
    drop(local);
    assert!(!path.exists());
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let room = room();
    let path = room.path().join("control.sock");
    for (mode, refused) in
        [(0o700, false), (0o755, false), (0o711, false), (0o770, true), (0o702, true), (0o777, true), (0o1777, true)]
    {
        chmod(room.path(), mode);
        let bound = Local::bind(&path);
        assert_eq!(matches!(bound, Err(LocalError::Exposed(_))), refused, "{mode:o}: {bound:?}");
        assert_eq!(bound.is_ok(), !refused, "{mode:o}");
        assert_eq!(open_to_others(&path), refused.then_some(mode & 0o777));
    }
}

#[test]
fn what_is_left_behind_is_cleared_away_and_nothing_else_is() {
    let room = room();
    let path = room.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a process that is killed leaves its socket");
    let local = Local::bind(&path).unwrap();
    assert!(matches!(Local::bind(&path), Err(LocalError::Taken)));
    drop(UnixStream::connect(&path).unwrap());
    // Somebody else's, in the same place, stays when ours goes.
    std::fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    drop(local);
    assert!(path.exists());
    drop(theirs);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "a file").unwrap();
    assert!(matches!(Local::bind(&path), Err(LocalError::NoSocket)));
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
    let nowhere = room.path().join("no/such/control.sock");
    assert!(matches!(Local::bind(&nowhere), Err(LocalError::Io(_))));
    let long = room.path().join("x".repeat(PATH_MAX));
    assert!(matches!(Local::bind(&long), Err(LocalError::Io(_))));
}

/// An open socket that answers 200 with the path.
async fn open(room: &TempDir, limits: Limits) -> (PathBuf, Drain, Arc<ListenerMetrics>) {
    let path = room.path().join("control.sock");
    let local = Local::bind(&path).unwrap();
    let (drain, metrics) = (Drain::new(), Metrics::new().listener("control", CLOSINGS));
    let answer = |request: Request<Inflow>| {
        let mut response = Response::new(Full::new(Bytes::from(request.uri().path().to_owned())));
        *response.status_mut() = StatusCode::ACCEPTED;
        std::future::ready(response)
    };
    drop(drain.spawn(local.open(limits, Arc::clone(&metrics), drain.clone(), answer)));
    (path, drain, metrics)
}

async fn say(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    // It may have heard enough before it has heard all.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    answer
}

#[tokio::test]
async fn it_speaks_http_and_survives_whoever_does_not() {
    let room = room();
    let limits = Limits { head: Duration::from_millis(200), ..Limits::private() };
    let (path, drain, metrics) = open(&room, limits).await;
    let well: &[u8] = b"POST /-/reload HTTP/1.1\r\nHost: porteiro\r\nConnection: close\r\n\r\n";
    let hostile: [(Vec<u8>, bool); 8] = [
        (Vec::new(), false),
        (b"\0".to_vec(), false),
        (b"{\"reload\":true}\n".to_vec(), false),
        (b"POST /-/reload HTTP/1.1\r\nHost: a".to_vec(), false),
        (b"POST /-/reload HTTP/9.9\r\n\r\n".to_vec(), false),
        ([b"POST / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 64 << 10]].concat(), false),
        (vec![0xff; 64 << 10], false),
        // The head is well, and nobody looks at a body.
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(), true),
    ];
    for (bytes, answered) in &hostile {
        let answer = String::from_utf8_lossy(&say(&path, bytes).await).into_owned();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(answer.starts_with("HTTP/1.1 202"), *answered, "{shown}: {answer}");
    }
    let answer = String::from_utf8(say(&path, well).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") && answer.ends_with("/-/reload"), "{answer}");
    drain.close();
    drain.finished().await;
    assert!(!path.exists(), "its file goes when the house closes");
    assert_eq!(metrics.open.get(), 0);
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_is_sent_away_and_counted() {
    let room = room();
    let (path, _drain, metrics) = open(&room, Limits { connections: 1, ..Limits::private() }).await;
    let first = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut second = tokio::net::UnixStream::connect(&path).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap(), 0, "closed");
    assert_eq!(metrics.closings.total(Closing::Capacity.place()), 1);
    drop(first);
    while metrics.open.get() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(say(&path, b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.ends_with(b"/x"));
}

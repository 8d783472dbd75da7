//! What the benches and the allocation budget measure: the real rooms, a journal in memory, no sockets.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use porteiro::app::Assembly;
use porteiro::clock::Clock;
use porteiro::config::{self, Config};
use porteiro::journal::{Memory, Writer};
use porteiro::verify::Signer;

pub(crate) const SECRET: &[u8] = b"a secret only for benches";

/// One Meta source, two destinations.
const CONFIGURATION: &str = r#"
format = 1

[listen.here]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "64MiB"
segment = "4MiB"

[source.whatsapp]
on = ["here"]
path = "/meta"
provider = "meta"
secrets = [{ file = "secret" }]
values = { verify-token = { file = "secret" } }

[destination.one]
url = "http://127.0.0.1:9/hook"

[destination.two]
url = "http://127.0.0.1:9/hook"

[[route]]
from = ["whatsapp"]
to = ["one", "two"]
"#;

/// The configuration, read as `serve` reads it.
pub(crate) fn config(directory: &Path) -> Config {
    write(&directory.join("porteiro.toml"), CONFIGURATION.as_bytes());
    write(&directory.join("secret"), SECRET);
    config::load(&directory.join("porteiro.toml")).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn write(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The rooms over a journal in memory; the writer is stepped by hand or run on a thread.
pub(crate) fn rooms(directory: &Path) -> (Assembly, Writer) {
    Assembly::over(Arc::new(Memory::new()), &config(directory), &Clock::system()).unwrap()
}

/// A body of the size and shape of a WhatsApp text; `number` makes it another event.
pub(crate) fn body(number: u64, text: usize) -> Bytes {
    let text = "o".repeat(text);
    Bytes::from(format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"330044005500","changes":[{{"value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"551150000000","phone_number_id":"660077008800"}},"contacts":[{{"profile":{{"name":"Bench"}},"wa_id":"5511960000001"}}],"messages":[{{"from":"5511960000001","id":"wamid.bench{number:012}","timestamp":"1790000000","text":{{"body":"{text}"}},"type":"text"}}]}},"field":"messages"}}]}}]}}"#
    ))
}

/// The request that Meta would send for this body.
pub(crate) fn request(body: Bytes) -> Request<Full<Bytes>> {
    let signature = Signer::new(SECRET).sign(&[&body]);
    let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    Request::post("/meta")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("user-agent", "facebookexternalua")
        .header("x-hub-signature-256", HeaderValue::from_str(&format!("sha256={hex}")).unwrap())
        .body(Full::new(body))
        .unwrap()
}

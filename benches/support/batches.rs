//! A batch of Meta's, read whole or split.

use std::collections::BTreeMap;
use std::hint::black_box;

use bytes::Bytes;
use http::{HeaderMap, Method};

use porteiro::config::provider::{Operator, Provider, Value, built_in};
use porteiro::event::{Body, Dedup, Glimpse, Parts, Selectors, SourceFacts, Splitting};
use porteiro::secret::Secret;
use porteiro::select::{Captures, Request};
use porteiro::verify::Credential;

const CHANGES: usize = 100;
/// Bytes of text in each, so that the batch has about 60 KB.
const TEXT: usize = 320;

/// A batch of 100 changes of ten accounts.
fn batch() -> Bytes {
    let change = |number: usize| {
        let text = "x".repeat(TEXT);
        format!(
            r#"{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"5511300000{number:02}","phone_number_id":"7700110022{number:02}"}},"messages":[{{"from":"55119000000{number:02}","id":"wamid.{number}","timestamp":"1790000000","type":"text","text":{{"body":"{text}"}}}}]}}}}"#
        )
    };
    let entry = |at: usize| {
        let changes: Vec<String> = (at * 10..at * 10 + 10).map(change).collect();
        format!(r#"{{"id":"44001122{at}","changes":[{}]}}"#, changes.join(","))
    };
    let entries: Vec<String> = (0..CHANGES / 10).map(entry).collect();
    format!(r#"{{"object":"whatsapp_business_account","entry":[{}]}}"#, entries.join(",")).into()
}

fn selectors(split: bool) -> Selectors {
    let provider = Provider::parse("meta", built_in("meta").unwrap()).unwrap();
    let values = BTreeMap::from([("verify-token".to_owned(), Value::Secret(Secret::new(b"a token".to_vec())))]);
    let operator = Operator { secrets: vec![Secret::new(b"a secret".to_vec())], values, ..Operator::default() };
    let built = provider.build(&operator).unwrap();
    assert!(built.selectors.wanted().parts.as_ref().is_some_and(|Parts { without, .. }| !without.is_empty()));
    if !split {
        return built.selectors;
    }
    built.selectors.splitting(Splitting { room: 1 << 20, without: Credential::NONE }).unwrap()
}

/// Reads it so many times.
pub(crate) fn run(times: u64, split: bool) {
    let (body, selectors) = (batch(), selectors(split));
    let source = SourceFacts { name: "meta", rest: "", credential: &Credential::NONE, dedup: Dedup::On };
    for _ in 0..times {
        let whole = Body::whole(body.clone());
        let request = Request {
            method: &Method::POST,
            path: "/meta",
            query: "",
            headers: &HeaderMap::new(),
            body: whole.as_whole().unwrap(),
            captures: &Captures::default(),
            public_url: None,
        };
        let read = black_box(Glimpse::read(&source, &selectors, &request));
        assert_eq!(read.len(), if split { CHANGES } else { 1 });
    }
}

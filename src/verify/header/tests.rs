//! Tables of signature texts and the candidates they offer.

use super::*;

fn pairs(separator: u8, equals: u8, key: &str, time: Option<&str>, group: Option<u8>) -> Grammar {
    Grammar::Pairs { separator, equals, key: key.into(), time: time.map(Into::into), group }
}

fn whole(prefix: &str, any_case: bool) -> Grammar {
    Grammar::Whole { prefix: prefix.into(), any_case }
}

/// Candidates as `signature` or `time/signature`, separated by blanks; or the refusal.
fn shown(grammar: &Grammar, text: &str) -> Result<String, VerifyError> {
    let mut found = Candidates::new();
    grammar.read(text.as_bytes(), &mut found)?;
    found.check()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let each = found.as_slice().iter().map(|candidate| match candidate.time {
        Some(time) => format!("{}/{}", text(time), text(candidate.text)),
        None => text(candidate.text),
    });
    Ok(each.collect::<Vec<_>>().join(" "))
}

#[test]
fn each_grammar_reads_its_own_texts_and_refuses_others() {
    use VerifyError::{
        EmptySignature, MalformedSignature, MissingSignature, OversizedSignature, RepeatedTimestamp, TooManySignatures,
    };
    let hub = whole("sha256=", false);
    let bearer = whole("Bearer ", true);
    let stripe = pairs(b',', b'=', "v1", Some("t"), None);
    let grouped = pairs(b',', b'=', "v1", Some("t"), Some(b' '));
    let colon = pairs(b',', b':', "s0", None, None);
    let items = Grammar::Items { tag: "v1".into(), bare: false };
    let bare = Grammar::Items { tag: "v1".into(), bare: true };
    let list = Grammar::List { separator: b',', prefix: "v1=".into() };
    let columns = Grammar::Columns { separator: b',' };
    let named = Grammar::Named { separator: b'&', equals: b'|', name: "ours".into() };
    let long = "x".repeat(TEXT_MAX + 1);
    let many = "v1=a,".repeat(CANDIDATES_MAX + 1);
    let full = "v1=a,".repeat(CANDIDATES_MAX);
    let cases: &[(&str, &Grammar, &str, Result<&str, VerifyError>)] = &[
        ("a prefix is cut", &hub, "sha256=0f", Ok("0f")),
        ("a prefix in another case is another prefix", &hub, "SHA256=0f", Err(MalformedSignature)),
        ("a prefix that is missing", &hub, "0f", Err(MalformedSignature)),
        ("a text shorter than the prefix", &hub, "sha", Err(MalformedSignature)),
        ("a prefix and nothing", &hub, "sha256=", Err(EmptySignature)),
        ("nothing at all", &hub, "", Err(EmptySignature)),
        ("more than eight kibibytes", &hub, &long, Err(OversizedSignature)),
        ("a scheme in any case", &bearer, "bEARER x", Ok("x")),
        ("another scheme", &bearer, "Basic x", Err(MalformedSignature)),
        ("pairs with a time", &stripe, "t=1,v1=a,v0=b", Ok("1/a")),
        ("pairs in another order", &stripe, "v1=a,t=1", Ok("1/a")),
        ("several signatures share the time", &stripe, "t=1,v1=a,v1=b", Ok("1/a 1/b")),
        ("blanks after the separator", &stripe, "t=1, v1=a", Ok("1/a")),
        ("pairs without a time", &stripe, "v1=a", Ok("a")),
        ("two times", &stripe, "t=1,t=2,v1=a", Err(RepeatedTimestamp)),
        ("only another version", &stripe, "t=1,v0=a", Err(MissingSignature)),
        ("no pair at all", &stripe, "nonsense", Err(MissingSignature)),
        ("an empty value is a candidate that no key matches", &stripe, "t=1,v1=", Ok("1/")),
        ("sixteen candidates", &list, &full, Ok("a a a a a a a a a a a a a a a a")),
        ("seventeen candidates", &list, &many, Err(TooManySignatures)),
        ("each group has its own time", &grouped, "t=1,v1=a t=2,v1=b", Ok("1/a 2/b")),
        ("four groups", &grouped, "t=1,v1=a t=2,v1=b t=3,v1=c t=4,v1=d", Ok("1/a 2/b 3/c 4/d")),
        ("five groups", &grouped, "t=1 t=2 t=3 t=4 t=5,v1=e", Err(TooManySignatures)),
        ("a value may hold the sign itself", &stripe, "t=1,v1=a==", Ok("1/a==")),
        ("another sign between name and value", &colon, "s0:a", Ok("a")),
        ("items of the named version", &items, "v1,a v1a,b v1,c", Ok("a c")),
        ("items of other versions only", &items, "v2,a v1a,b", Err(MissingSignature)),
        ("a bare item where none is allowed", &items, "a", Err(MalformedSignature)),
        ("a bare item where it is allowed", &bare, "a v2,b", Ok("a")),
        ("a list with the prefix", &list, "v1=a, v1=b,v2=c", Ok("a b")),
        ("a list without the prefix", &list, "a,b", Err(MissingSignature)),
        ("columns", &columns, "1,a,b", Ok("1/a 1/b")),
        ("a time and no signature", &columns, "1", Err(MissingSignature)),
        ("the signature of our key", &named, "other|a&ours|b", Ok("b")),
        ("signatures of other keys", &named, "other|a&more|b", Err(MissingSignature)),
    ];
    for (name, grammar, text, expected) in cases {
        assert_eq!(shown(grammar, text).as_deref(), expected.as_ref().copied(), "{name}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let cases = [
        (whole("sha256=", false), "s"),
        (pairs(b';', b'=', "h1", Some("ts"), None), "7/s"),
        (pairs(b',', b':', "s0", None, None), "s"),
        (Grammar::Items { tag: "v1".into(), bare: false }, "s"),
        (Grammar::List { separator: b'.', prefix: "".into() }, "s"),
        (Grammar::Columns { separator: b',' }, "7/s"),
        (Grammar::Named { separator: b'&', equals: b'|', name: "k".into() }, "s"),
    ];
    for (grammar, expected) in cases {
        assert_eq!(shown(&grammar, &grammar.write("s", "7")).as_deref(), Ok(expected), "{grammar:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_every_candidate_lies_in_the_text(text: Vec<u8>) {
        for grammar in [
            whole("sha256=", true),
            pairs(b',', b'=', "v1", Some("t"), Some(b' ')),
            Grammar::Items { tag: "v1".into(), bare: true },
            Grammar::List { separator: b',', prefix: "".into() },
            Grammar::Columns { separator: b',' },
            Grammar::Named { separator: b'&', equals: b'|', name: "".into() },
        ] {
            let mut found = Candidates::new();
            if grammar.read(&text, &mut found).is_ok() {
                for candidate in found.as_slice() {
                    let length = candidate.text.len().max(1);
                    let mut parts = text.windows(length);
                    proptest::prop_assert!(candidate.text.is_empty() || parts.any(|part| part == candidate.text));
                }
            }
        }
    }
}

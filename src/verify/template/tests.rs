//! Texts that are templates, and those that are none.

use super::*;

#[test]
fn a_text_that_is_no_template_says_where() {
    use TemplateError::{Bracket, Modifier, Nested, Value};
    let unknown = TemplateError::Token(PlaceError::NoKind);
    let cases = [
        ("", Ok(())),
        ("plain", Ok(())),
        ("{body}", Ok(())),
        ("{time}.{body|sha256-hex|lower}", Ok(())),
        ("{value:known}{header:x-id}", Ok(())),
        ("[{query:a}]", Ok(())),
        ("{{{{", Ok(())),
        ("}}]]", Ok(())),
        ("{", Err((0, Bracket))),
        ("a{body", Err((1, Bracket))),
        ("a}b", Err((1, Bracket))),
        ("ab[c", Err((2, Bracket))),
        ("ab]c", Err((2, Bracket))),
        ("[a[b]]", Err((2, Nested))),
        ("{}", Err((0, unknown))),
        ("x{ body}", Err((1, unknown))),
        ("{BODY}", Err((0, unknown))),
        ("{body|}", Err((0, Modifier))),
        ("{body|md5}", Err((0, Modifier))),
        ("ab{value:unknown}", Err((2, Value))),
        ("{header:}", Err((0, TemplateError::Token(PlaceError::NoName)))),
        ("{json:a}", Err((0, TemplateError::Token(PlaceError::Pointer(crate::select::PointerError::NoSlash))))),
    ];
    for (text, expected) in cases {
        let found = Template::parse(text, &|name| (name == "known").then(|| b"v".to_vec())).map(|_| ());
        assert_eq!(found, expected, "{text}");
        if let Err((_, error)) = found {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn the_body_alone_is_one_piece() {
    assert_eq!(Template::parse("{body}", &|_| None), Ok(Template::body()));
    assert!(!Template::body().is_empty());
    assert!(!Template::body().is_one_place(), "the body is no place");
    let place = Template::parse("{query:c}", &|_| None).expect("a template");
    assert!(place.is_one_place());
    let lowered = Template::parse("{query:c|lower}", &|_| None).expect("a template");
    assert!(!lowered.is_one_place());
}

#[test]
fn checksums_are_those_of_ieee() {
    assert_eq!(crc32(b""), 0);
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

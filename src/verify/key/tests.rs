//! Tables of secrets as operators write them.

use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

#[test]
fn every_form_has_a_name() {
    for name in Form::NAMES {
        assert!(Form::named(name).is_some(), "{name}");
    }
    assert_eq!(Form::named("rot13"), None);
}

#[test]
fn a_token_is_itself_and_nothing_else() {
    let key = Key::for_token(&secret("s3cret")).expect("it is a token");
    assert!(key.is_token(b"s3cret"));
    for wrong in ["", "s3cre", "s3cret ", "S3CRET", "s3cret\0"] {
        assert!(!key.is_token(wrong.as_bytes()), "{wrong:?}");
    }
    assert_eq!(format!("{key:?}"), "Key(..)");
}

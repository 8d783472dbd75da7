//! What is a text in Unicode form NFKD, where it is made of Latin letters?
//!
//! One provider puts the secret into this form before it signs. Tables for every script would be large, and a secret is
//! chosen by the operator, so that Latin letters (U+00C0 to U+017F) and ASCII are enough.
//!
//! Promises: what is not known is refused, never passed on as it is.
//!
//! Must not know: what the text is for.

/// A mark, the letters that it stands over or under, and those letters without it.
const MARKS: &[(char, &str, &str)] = &[
    ('\u{300}', "ÀÈÌÒÙàèìòù", "AEIOUaeiou"),
    ('\u{301}', "ÁÉÍÓÚÝáéíóúýĆćĹĺŃńŔŕŚśŹź", "AEIOUYaeiouyCcLlNnRrSsZz"),
    ('\u{302}', "ÂÊÎÔÛâêîôûĈĉĜĝĤĥĴĵŜŝŴŵŶŷ", "AEIOUaeiouCcGgHhJjSsWwYy"),
    ('\u{303}', "ÃÑÕãñõĨĩŨũ", "ANOanoIiUu"),
    ('\u{304}', "ĀāĒēĪīŌōŪū", "AaEeIiOoUu"),
    ('\u{306}', "ĂăĔĕĞğĬĭŎŏŬŭ", "AaEeGgIiOoUu"),
    ('\u{307}', "ĊċĖėĠġİŻż", "CcEeGgIZz"),
    ('\u{308}', "ÄËÏÖÜäëïöüÿŸ", "AEIOUaeiouyY"),
    ('\u{30a}', "ÅåŮů", "AaUu"),
    ('\u{30b}', "ŐőŰű", "OoUu"),
    ('\u{30c}', "ČčĎďĚěĽľŇňŘřŠšŤťŽž", "CcDdEeLlNnRrSsTtZz"),
    ('\u{327}', "ÇçĢģĶķĻļŅņŖŗŞşŢţ", "CcGgKkLlNnRrSsTt"),
    ('\u{328}', "ĄąĘęĮįŲų", "AaEeIiUu"),
];
/// Letters that have no parts.
const WHOLE: &str = "ÆÐ×ØÞßæð÷øþĐđĦħıĸŁłŊŋŒœŦŧ";

/// The text in that form; `None` where it holds anything else.
pub(super) fn latin(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for sign in str::from_utf8(text).ok()?.chars() {
        if sign.is_ascii() || WHOLE.contains(sign) {
            out.push(sign);
            continue;
        }
        let parts = MARKS.iter().find_map(|(mark, marked, bare)| {
            let at = marked.chars().position(|letter| letter == sign)?;
            Some([bare.chars().nth(at)?, *mark])
        });
        out.extend(parts?);
    }
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_letters_are_taken_apart_and_nothing_else_is_taken() {
        // From Python's unicodedata.
        let cases = [
            ("", Some("")),
            ("plain", Some("plain")),
            ("a\u{e7}\u{e3}o", Some("ac\u{327}a\u{303}o")),
            ("\u{178}\u{17e}\u{131}\u{df}", Some("Y\u{308}z\u{30c}\u{131}\u{df}")),
            ("\u{fb01}", None),
            ("\u{132}", None),
            ("\u{2460}", None),
            ("a\u{301}", None),
            ("\u{a0}", None),
            ("\u{1f600}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(latin(text.as_bytes()).as_deref(), expected.map(str::as_bytes), "{text}");
        }
        assert_eq!(latin(b"\xff"), None, "no text");
        let known = ('\u{c0}'..'\u{180}').filter(|sign| latin(sign.to_string().as_bytes()).is_some()).count();
        assert_eq!(
            known,
            192 - 6,
            "all letters but two ligatures, two with a dot beside, one with an apostrophe, one s"
        );
        assert!(MARKS.iter().all(|(_, marked, bare)| marked.chars().count() == bare.len()));
    }
}

use proptest::prelude::*;

use super::*;

fn glob(text: &str) -> Shape {
    Shape::Glob(Glob::parse(text).expect("a short pattern"))
}

fn prefix(text: &str) -> Shape {
    Shape::Prefix(text.into())
}

/// Every row: a shape, what it takes, and what it does not.
#[track_caller]
fn check(shape: &Shape, takes: &[&str], refuses: &[&str]) {
    for value in takes {
        assert!(shape.takes(value), "{shape} does not take {value:?}");
    }
    for value in refuses {
        assert!(!shape.takes(value), "{shape} takes {value:?}");
    }
}

#[test]
fn a_set_takes_exactly_its_texts() {
    check(&Shape::equals("push"), &["push"], &["", "pus", "pushh", "Push", " push", "push ", "p"]);
    check(&Shape::one_of(&["b", "a", "c", "a"]), &["a", "b", "c"], &["", "d", "ab", "A", "aa"]);
    check(&Shape::one_of(&[]), &[], &["", "a"]);
    check(&Shape::one_of(&[""]), &[""], &[" ", "a"]);
}

#[test]
fn a_prefix_takes_what_begins_with_it() {
    check(&prefix("repo."), &["repo.", "repo.push"], &["", "repo", "Repo.x", " repo.", "a.repo.x"]);
    check(&prefix("é"), &["é", "école"], &["e", "\u{65}\u{301}", ""]);
    check(&Shape::Exists, &["", "a", "\u{0}"], &[]);
}

#[test]
fn a_pattern_takes_what_it_describes_from_end_to_end() {
    check(&glob("a*c"), &["ac", "abc", "acc", "a*c"], &["", "a", "c", "acb", "bac", "ab", "ca"]);
    check(&glob("a?c"), &["abc", "a?c", "aéc"], &["ac", "abbc", "abcd", "xabc", "a", ""]);
    check(&glob("*.paid"), &[".paid", "invoice.paid", "a.paid.paid"], &["paid", "invoice.paid.", "invoice.Paid"]);
    check(&glob("a*b*c"), &["abc", "aXbYc", "abbbcc"], &["ac", "acb", "abcd", "cba"]);
    check(&glob("**"), &["", "a", "any"], &[]);
    check(&glob("*?*"), &["a", "ab"], &[""]);
    check(&glob("??"), &["ab", "éé"], &["", "a", "abc"]);
    check(&glob(""), &[""], &["a", "*"]);
    check(&glob("*a"), &["a", "ba", "aa"], &["", "ab", "aab"]);
}

#[test]
fn a_pattern_has_a_longest_length() {
    let longest = "a".repeat(Glob::CHARACTERS_MAX);
    check(&glob(&longest), &[&longest], &[&longest[1..], &format!("{longest}a"), ""]);
    check(&glob(&format!("*{longest}*")), &[&longest, &format!("b{longest}b")], &[&longest[1..]]);
    assert_eq!(Glob::parse(&format!("{longest}a")), Err(GlobTooLong));
    assert_eq!(Glob::parse(&format!("{longest}?")), Err(GlobTooLong));
    assert!(GlobTooLong.to_string().contains("127"));
}

#[test]
fn no_text_makes_a_pattern_go_back() {
    // A matcher that tries every way would take longer than anybody waits.
    let shape = glob(&format!("{}b", "a*".repeat(60)));
    let text = "a".repeat(200_000);
    check(&shape, &[&format!("{text}b")], &[&text]);
}

/// The same question, asked the obvious way.
fn obvious(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some(('*', rest)), _) => (0..=text.len()).any(|taken| obvious(rest, &text[taken..])),
        (Some(('?', rest)), Some((_, after))) => obvious(rest, after),
        (Some((one, rest)), Some((other, after))) => one == other && obvious(rest, after),
        (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_means_what_it_says(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
        let (characters, read): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(glob(&pattern).takes(&text), obvious(&characters, &read), "{} {}", pattern, text);
    }
}

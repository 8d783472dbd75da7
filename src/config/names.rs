//! Which name was meant?
//!
//! Promises: a suggestion is made only where it is near enough to be a slip of the hand.
//!
//! Must not know: what the names stand for.

/// Longest name of a listener, source, provider or destination, in bytes. Names stand in metric labels and in every
/// segment of the journal.
pub(crate) const NAME_MAX: usize = 64;

/// The candidate that was most likely meant by `word`, if any is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(&lower, &candidate.to_ascii_lowercase(), allowed);
        if distance <= allowed && distance < candidate.chars().count() && best.is_none_or(|(least, _)| distance < least)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Edit distance with swaps of neighbours (optimal string alignment); anything over `cap` is told as `cap + 1`.
fn distance(left: &str, right: &str, cap: usize) -> usize {
    let left: Vec<char> = left.chars().take(NAME_MAX + cap + 1).collect();
    let right: Vec<char> = right.chars().take(NAME_MAX + cap + 1).collect();
    if left.len().abs_diff(right.len()) > cap {
        return cap + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1; right.len() + 1];
        for (column, b) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(a != b);
            let mut least = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                least = least.min(before[column - 1] + 1);
            }
            current[column + 1] = least;
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()].min(cap + 1)
}

/// Why a name cannot be used, or `None` if it can.
pub(crate) fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("a name has at least one character");
    }
    if name.len() > NAME_MAX {
        return Some("a name has at most 64 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_') {
        return Some("a name is made of a-z, 0-9, `-` and `_`; it stands in metrics and in the journal");
    }
    if !name.as_bytes()[0].is_ascii_alphanumeric() {
        return Some("a name begins with a letter or a digit");
    }
    None
}

/// Names as a sentence lists them: `a`, `b` and `c`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_guessed_and_strangers_are_not() {
        let keys = ["address", "public-url", "tls", "path", "on", "deadline"];
        for (word, meant) in [
            ("adress", Some("address")),
            ("publicurl", Some("public-url")),
            ("public_url", Some("public-url")),
            ("tsl", Some("tls")),
            ("pth", Some("path")),
            ("no", Some("on")),
            ("Deadline", Some("deadline")),
            ("certificate", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "crm-internal", "0", "a_b", &"x".repeat(64)] {
            assert_eq!(fault(name), None, "{name}");
        }
        for name in ["", "Upper", "with space", "-a", "_a", "ção", "a.b", "a/b", &"x".repeat(65)] {
            assert!(fault(name).is_some(), "{name}");
        }
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(list([]), "none");
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}

//! What follows from a change of what stands around a signature?

use super::{MALFORMED, Maker, WRONG};
use crate::verify::{Grammar, VerifyError};

const MISSING: Result<(), VerifyError> = Err(VerifyError::MissingSignature);
const MANY: Result<(), VerifyError> = Err(VerifyError::TooManySignatures);

impl Maker<'_> {
    pub(super) fn grammar(&mut self) {
        match self.proof.grammar.clone() {
            Grammar::Whole { prefix, any_case } => self.prefix(&prefix, any_case),
            Grammar::Pairs { separator, equals, key, time, group } => {
                let (separator, equals) = (char::from(separator), char::from(equals));
                self.pairs(&key, separator, equals);
                if let Some(time) = time {
                    self.time_in_pairs(&time, separator, equals);
                }
                match group {
                    Some(group) => self.groups(char::from(group)),
                    None => {
                        let blank = self.whole().replace(separator, &format!("{separator} "));
                        self.with("blanks between the pairs", Ok(()), &blank);
                    }
                }
            }
            Grammar::Items { tag, bare } => self.items(&tag, bare),
            Grammar::List { separator, prefix } => self.list(char::from(separator), &prefix),
            Grammar::Columns { separator } => self.columns(char::from(separator)),
            Grammar::Named { separator, equals, name } => {
                self.named(char::from(separator), char::from(equals), &name);
            }
        }
    }

    fn prefix(&mut self, prefix: &str, any_case: bool) {
        if prefix.is_empty() {
            return;
        }
        let whole = self.whole();
        let rest = whole[prefix.len()..].to_owned();
        self.with("the prefix is missing", MALFORMED, &rest);
        self.with("another prefix", MALFORMED, &format!("x{}", &whole[1..]));
        self.with("the prefix and nothing", Err(VerifyError::EmptySignature), prefix);
        let upper = format!("{}{rest}", prefix.to_ascii_uppercase());
        let same = any_case || upper == whole;
        self.with("the prefix in the other case", if same { Ok(()) } else { MALFORMED }, &upper);
        let expected = if self.shows_token() { WRONG } else { MALFORMED };
        self.with("the prefix twice", expected, &format!("{prefix}{whole}"));
    }

    fn pairs(&mut self, key: &str, separator: char, equals: char) {
        let (whole, zeros) = (self.whole(), self.zeros());
        let pair = format!("{key}{equals}");
        self.with("only another version", MISSING, &whole.replace(&pair, &format!("v9{equals}")));
        let before = format!("{pair}{zeros}{separator}");
        self.with("a wrong signature before the right one", Ok(()), &format!("{before}{whole}"));
        self.with("a malformed one before the right one", Ok(()), &format!("{pair}zz{separator}{whole}"));
        self.with("an empty one before the right one", Ok(()), &format!("{pair}{separator}{whole}"));
        self.with("seventeen signatures", MANY, &format!("{}{whole}", before.repeat(16)));
    }

    fn time_in_pairs(&mut self, time: &str, separator: char, equals: char) {
        let (whole, named) = (self.whole(), format!("{time}{equals}"));
        let pair = whole.split(separator).find(|pair| pair.starts_with(&named)).expect("a time is there").to_owned();
        let value = &pair[named.len()..];
        let without = whole.replace(&format!("{pair}{separator}"), "");
        self.with("the time is missing", Err(VerifyError::MissingTimestamp), &without);
        let twice = format!("{pair}{separator}{whole}");
        self.with("the time stands twice", Err(VerifyError::RepeatedTimestamp), &twice);
        for (change, other) in [
            ("another time", format!("{value}0")),
            ("the same time in other words", format!("0{value}")),
            ("no time at all", "soon".to_owned()),
        ] {
            self.with(change, WRONG, &whole.replace(&pair, &format!("{named}{other}")));
        }
    }

    fn groups(&mut self, group: char) {
        let whole = self.whole();
        let other = self.edited(&|_| self.zeros());
        self.with("a wrong group before the right one", Ok(()), &format!("{other}{group}{whole}"));
        self.with("a wrong group behind the right one", Ok(()), &format!("{whole}{group}{other}"));
        let many = [other.as_str(); 4].join(&group.to_string());
        self.with("five groups", MANY, &format!("{many}{group}{whole}"));
    }

    fn items(&mut self, tag: &str, bare: bool) {
        let (whole, zeros) = (self.whole(), self.zeros());
        let other = whole.replace(&format!("{tag},"), "v9,");
        self.with("only another version", MISSING, &other);
        let upper = whole.replace(&format!("{tag},"), &format!("{},", tag.to_ascii_uppercase()));
        self.with("the version in the other case", MISSING, &upper);
        let plain = self.signatures().join(" ");
        self.with("no version", if bare { Ok(()) } else { MALFORMED }, &plain);
        let before = format!("{tag},{zeros} ");
        self.with("a wrong signature before the right one", Ok(()), &format!("{before}{whole}"));
        self.with("a wrong signature behind the right one", Ok(()), &format!("{whole} {before}"));
        self.with("a malformed one before the right one", Ok(()), &format!("{tag},zz {whole}"));
        self.with("an empty one before the right one", Ok(()), &format!("{tag}, {whole}"));
        self.with("one of another version before the right one", Ok(()), &format!("v9,AAAA {whole}"));
        self.with("seventeen signatures", MANY, &format!("{}{whole}", before.repeat(16)));
    }

    fn list(&mut self, separator: char, prefix: &str) {
        let (whole, zeros) = (self.whole(), self.zeros());
        if !prefix.is_empty() {
            self.with("only another version", MISSING, &whole.replace(prefix, "v9="));
            self.with("one of another version before it", Ok(()), &format!("v9={zeros}{separator}{whole}"));
        }
        let before = format!("{prefix}{zeros}{separator}");
        self.with("a wrong signature before the right one", Ok(()), &format!("{before}{whole}"));
        self.with("a wrong signature behind the right one", Ok(()), &format!("{whole}{separator}{prefix}{zeros}"));
        self.with("a malformed one before the right one", Ok(()), &format!("{prefix}zz{separator}{whole}"));
        self.with("an empty one before the right one", Ok(()), &format!("{prefix}{separator}{whole}"));
        self.with("seventeen signatures", MANY, &format!("{}{whole}", before.repeat(16)));
        let spaced = format!("{prefix}{zeros}{separator} {whole} ");
        self.with("blanks in the list", Ok(()), &spaced);
    }

    fn columns(&mut self, separator: char) {
        let (whole, zeros) = (self.whole(), self.zeros());
        let (time, rest) = whole.split_once(separator).expect("two columns");
        self.with("no time before the signature", MISSING, rest);
        self.with("another time", WRONG, &format!("{time}0{separator}{rest}"));
        self.with(
            "a wrong signature before the right one",
            Ok(()),
            &format!("{time}{separator}{zeros}{separator}{rest}"),
        );
        self.with("a wrong signature behind the right one", Ok(()), &format!("{whole}{separator}{zeros}"));
        let many = format!("{zeros}{separator}").repeat(16);
        self.with("seventeen signatures", MANY, &format!("{time}{separator}{many}{rest}"));
    }

    fn named(&mut self, separator: char, equals: char, name: &str) {
        let (whole, zeros) = (self.whole(), self.zeros());
        let ours = format!("{name}{equals}");
        self.with("only another key's", MISSING, &whole.replace(&ours, &format!("x{ours}")));
        let before = format!("{ours}{zeros}{separator}");
        self.with("a wrong signature before the right one", Ok(()), &format!("{before}{whole}"));
        self.with("another key's before it", Ok(()), &format!("x{before}{whole}"));
        self.with("seventeen signatures", MANY, &format!("{}{whole}", before.repeat(16)));
    }
}

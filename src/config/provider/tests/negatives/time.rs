//! What follows from another time, and from another value of what is covered besides the body?

use std::time::Duration;

use super::wherever::{self, Where};
use super::{Expected, Maker, WRONG, decoded, flip};
use crate::clock::Timestamp;
use crate::select::Place;
use crate::verify::{Algorithm, Grammar, TimeAt, Unit, VerifyError};

const SECOND: Duration = Duration::from_secs(1);

impl Maker<'_> {
    pub(super) fn time_in_body(&self) -> bool {
        self.time_place().is_some_and(wherever::in_body)
    }

    /// The place of its own where the time stands.
    fn time_place(&self) -> Option<&Place> {
        match &self.proof.time.as_ref()?.at {
            TimeAt::Beside => None,
            TimeAt::Place(at) => at.place(),
        }
    }

    /// The time as the request has it.
    fn time_text(&self) -> String {
        if let Some(place) = self.time_place() {
            return Where::at(self.proof, place).read(self.sent).expect("there is a time");
        }
        let whole = self.whole();
        match &self.proof.grammar {
            Grammar::Columns { separator } => whole.split(char::from(*separator)).next().unwrap_or_default().to_owned(),
            Grammar::Pairs { separator, equals, time: Some(time), group, .. } => {
                let ends = [char::from(*separator), char::from(group.unwrap_or(*separator))];
                let named = format!("{time}{}", char::from(*equals));
                whole.split(ends).find_map(|pair| pair.strip_prefix(&named)).expect("there is a time").to_owned()
            }
            other => panic!("no time stands beside a signature in {other:?}"),
        }
    }

    pub(super) fn time(&mut self) {
        if self.proof.algorithm.is_token() {
            return self.time_of_token();
        }
        let Some(rule) = &self.proof.time else { return self.timeless() };
        if self.time_place().is_some() {
            self.time_elsewhere();
        }
        let Some(window) = rule.window else { return self.timeless() };
        let at = rule.unit.read(self.time_text().as_bytes()).expect("in its unit");
        assert!(rule.unit != Unit::Opaque, "what is no time has no window");
        self.add("at the old edge", Ok(()), |sent| sent.now = at.plus(window.within));
        self.add("past the old edge", Err(VerifyError::Stale), |sent| sent.now = at.plus(window.within + SECOND));
        self.add("at the new edge", Ok(()), |sent| sent.now = at.minus(window.within));
        let future = if window.both { Err(VerifyError::Future) } else { Ok(()) };
        self.add("past the new edge", future, |sent| sent.now = at.minus(window.within + SECOND));
        let wrong = self.edited(&|text| self.proof.encoding.encode(&flip(&decoded(self.proof.encoding, text), 0, 0)));
        let place = self.at.clone();
        self.add("stale and forged: the signature is judged first", WRONG, |sent| {
            place.write(sent, &wrong);
            sent.now = at.plus(window.within * 2);
        });
    }

    fn timeless(&mut self) {
        let year = Duration::from_secs(365 * 86_400);
        self.add("a year later: no time is judged", Ok(()), |sent| sent.now = sent.now.plus(year));
    }

    /// The time at a place of its own.
    fn time_elsewhere(&mut self) {
        let (Some(rule), Some(place)) = (&self.proof.time, self.time_place()) else { return };
        let (place, text) = (Where::at(self.proof, place), self.time_text());
        let (signed, judged) = (self.proof.signs.covers("time"), rule.window.is_some());
        // Inside a body that is covered as a whole, every change is one of the body.
        let or = |error| if signed || judged { Err(error) } else { Ok(()) };
        let changed = if place.in_body() && !signed { WRONG } else { or(VerifyError::MissingTimestamp) };
        self.add("the time is missing", changed, |sent| place.remove(sent));
        let other = if signed || place.in_body() { WRONG } else { Ok(()) };
        self.add("another time", other, |sent| place.write(sent, &format!("{text}0")));
        self.add("no time at all", other, |sent| place.write(sent, "soon"));
        if let Where::Header(name, _) = &place {
            self.add("the time stands twice", Err(VerifyError::RepeatedTimestamp), |sent| {
                sent.headers.append(name, text.parse().expect("it was one"));
            });
        }
    }

    /// The vectors' web tokens end a minute after they were issued, at the time of arrival.
    fn time_of_token(&mut self) {
        assert!(matches!(self.proof.algorithm, Algorithm::JwtHmac(_) | Algorithm::JwtRsa(_)));
        let end = self.sent.now.plus(Duration::from_secs(60)).plus(self.proof.claims.leeway);
        let to = |sent: &mut super::Sent, now: Timestamp| sent.now = now;
        self.add("as long as the token lasts", Ok(()), |sent| to(sent, end));
        self.add("after the token's end", Err(VerifyError::Stale), |sent| to(sent, end.plus(SECOND)));
    }

    /// Values outside of the body that are covered, and values that must be there.
    pub(super) fn covered(&mut self) {
        let places: Vec<Place> = self.proof.signs.places().filter(|place| !wherever::in_body(place)).cloned().collect();
        for place in places {
            let at = Where::at(self.proof, &place);
            let Some(text) = at.read(self.sent) else { continue };
            // In a group, what is absent changes the text.
            self.add(format!("{place} is missing"), Expected::Refused, |sent| at.remove(sent));
            self.add(format!("{place} is another"), WRONG, |sent| at.write(sent, &format!("{text}x")));
            if let Where::Header(name, _) = &at {
                self.add(format!("{place} stands twice"), Err(VerifyError::RepeatedPart), |sent| {
                    sent.headers.append(name, text.parse().expect("it was one"));
                });
            }
        }
        for requirement in &self.proof.requires {
            let at = Where::at(self.proof, requirement.at.place().expect("there is one"));
            self.add("what must be there is not", Err(VerifyError::Requirement), |sent| at.remove(sent));
            self.add("what must be there is another", Err(VerifyError::Requirement), |sent| at.write(sent, "x"));
        }
    }

    /// Fields of the body, where only some of them are covered, or the signature stands among them.
    pub(super) fn fields(&mut self) {
        let places: Vec<Place> = self.proof.signs.places().filter(|place| wherever::in_body(place)).cloned().collect();
        for place in places {
            let at = Where::at(self.proof, &place);
            match at.read(self.sent) {
                Some(text) => {
                    self.add(format!("{place} is another"), WRONG, |sent| at.write(sent, &format!("{text}x")));
                    let expected = if text.is_empty() { Ok(()).into() } else { Expected::Refused };
                    self.add(format!("{place} is missing"), expected, |sent| at.remove(sent));
                }
                None => self.add(format!("{place} is there"), WRONG, |sent| at.write(sent, "x")),
            }
        }
        let beside = match &self.at {
            Where::Form(_) | Where::FormJson(..) => Some(Where::Form("not-covered".to_owned())),
            Where::Json(_) => Some(Where::Json("/not-covered".to_owned())),
            _ => self.proof.signs.places().find(|place| wherever::in_body(place)).map(|place| match place {
                Place::Json(_) => Where::Json("/not-covered".to_owned()),
                _ => Where::Form("not-covered".to_owned()),
            }),
        };
        if let Some(beside) = beside {
            let expected = if self.proof.binds_body() { WRONG } else { Ok(()) };
            self.add("a field more, which is not covered", expected, |sent| beside.write(sent, "x"));
        }
        if self.proof.each.is_some() {
            self.elements();
        }
    }

    /// Every element of a list is proven by itself.
    fn elements(&mut self) {
        let each = self.proof.each.as_ref().expect("there is a list").to_string();
        let list = each.strip_suffix("/*").expect("of all elements").to_owned();
        let Where::Json(first) = self.at.clone() else { panic!("a list stands in JSON") };
        let at = |number: usize| Where::Json(first.replacen("/0", &format!("/{number}"), 1));
        let count = (0..).take_while(|number| at(*number).read(self.sent).is_some()).count();
        assert!(count > 1, "a vector's list has several elements");
        for number in 0..count {
            let at = at(number);
            let text = at.read(self.sent).expect("it is there");
            self.add(format!("element {number} is forged"), Expected::Refused, |sent| {
                at.write(sent, &super::flip_text(&text, 0));
            });
            self.add(format!("element {number} is not signed"), Err(VerifyError::MissingSignature), |sent| {
                at.remove(sent);
            });
        }
        let name = list.trim_start_matches('/').to_owned();
        for (change, value) in [("an empty list", "[]"), ("no list", "{}"), ("a text", "\"x\"")] {
            let body = format!("{{\"{name}\":{value}}}");
            self.add(format!("{change} where a list is due"), Err(VerifyError::Items), |sent| sent.body = body.into());
        }
    }
}

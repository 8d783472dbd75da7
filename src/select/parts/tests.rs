use serde_json::Value;

use super::super::json::{ElementsError, VALUES_MAX, spans};
use super::super::{Place, Plan, Pointer, Selector, Take};
use super::compare::{META, elements, parts, with_request};
use super::*;

#[track_caller]
fn check(at: &str, text: &str, expected: &[&str]) {
    assert_eq!(parts(text.as_bytes(), at).expect("it can be read"), expected, "{text}");
}

#[test]
fn each_element_has_the_frame_of_all_byte_for_byte() {
    check(
        META,
        r#"{"object":"o","entry":[{"id":"1","changes":[{"field":"a"},{"field":"b"}]},{"id":"2","changes":[{"field":"c"}],"x":1e5}]}"#,
        &[
            r#"{"object":"o","entry":[{"id":"1","changes":[{"field":"a"}]}]}"#,
            r#"{"object":"o","entry":[{"id":"1","changes":[{"field":"b"}]}]}"#,
            r#"{"object":"o","entry":[{"id":"2","changes":[{"field":"c"}],"x":1e5}]}"#,
        ],
    );
    check("/*", r#"[{"id":1},{"id":2}]"#, &[r#"[{"id":1}]"#, r#"[{"id":2}]"#]);
    check("/*/*", r#"[[1,"two"],[3]]"#, &["[[1]]", r#"[["two"]]"#, "[[3]]"]);
}

#[test]
fn spaces_numbers_and_escapes_are_those_of_the_original() {
    check(
        META,
        "\n{ \"entry\" : [ { \"changes\"\t: [ 1.50e+3 , \"\\u00e1\\/\" ] ,\r\n \"z\":[ ] } , {\"changes\":[-0]}] } \n",
        &[
            "\n{ \"entry\" : [{ \"changes\"\t: [1.50e+3] ,\r\n \"z\":[ ] }] } \n",
            "\n{ \"entry\" : [{ \"changes\"\t: [\"\\u00e1\\/\"] ,\r\n \"z\":[ ] }] } \n",
            "\n{ \"entry\" : [{\"changes\":[-0]}] } \n",
        ],
    );
    let long = "12345678901234567890123.1234567890";
    check("/*", &format!("[{long},{long}0]"), &[&format!("[{long}]"), &format!("[{long}0]")]);
    check("/a/*", "{\"a\":[\"]\",\"[\\\"\"]}", &["{\"a\":[\"]\"]}", "{\"a\":[\"[\\\"\"]}"]);
    // A key of the way may be written with escapes.
    check("/a/*", r#"{"\u0061":[1,2]}"#, &[r#"{"\u0061":[1]}"#, r#"{"\u0061":[2]}"#]);
}

#[test]
fn an_element_without_the_next_array_is_a_part_so_that_nothing_is_lost() {
    check(
        META,
        r#"{"entry":[{"id":1},{"id":2,"changes":[]},{"id":3,"changes":[{}, []]},{"id":4,"changes":{"0":1}},5,null,[6],[]]}"#,
        &[
            r#"{"entry":[{"id":1}]}"#,
            r#"{"entry":[{"id":2,"changes":[]}]}"#,
            r#"{"entry":[{"id":3,"changes":[{}]}]}"#,
            r#"{"entry":[{"id":3,"changes":[[]]}]}"#,
            r#"{"entry":[{"id":4,"changes":{"0":1}}]}"#,
            r#"{"entry":[5]}"#,
            r#"{"entry":[null]}"#,
            r#"{"entry":[[6]]}"#,
            r#"{"entry":[[]]}"#,
        ],
    );
    check("/*/*", "[[],[1,2],[[]],3]", &["[[]]", "[[1]]", "[[2]]", "[[[]]]", "[3]"]);
}

#[test]
fn what_has_no_elements_does_not_fall_apart() {
    for text in [
        "{}",
        "[]",
        "1",
        "\"entry\"",
        r#"{"object":"page"}"#,
        r#"{"entry":[]}"#,
        r#"{"entry":{"changes":[1,2]}}"#,
        r#"{"entry":null}"#,
        r#"[{"changes":[1,2]}]"#,
        r#"{"Entry":[{"changes":[1,2]}]}"#,
    ] {
        check(META, text, &[]);
    }
    check("/*", "{\"0\":1}", &[]);
    check("/*", "[]", &[]);
}

#[test]
fn what_cannot_be_read_or_told_apart_does_not_fall_apart() {
    for text in [
        "",
        "{",
        "{\"entry\":[1,2]",
        "{\"entry\":[1,]}",
        "\u{feff}{\"entry\":[1,2]}",
        // Under a repeated key of the way stands what would be in every part.
        r#"{"entry":[1,2],"entry":[3]}"#,
        r#"{"entry":1,"x":2,"\u0065ntry":[3]}"#,
        r#"{"entry":[1,{"changes":[2],"changes":[3,4]}]}"#,
    ] {
        assert_eq!(parts(text.as_bytes(), META), None, "{text}");
    }
    assert_eq!(parts(b"{\"entry\":[\"\xff\",1]}", META), None);
}

#[test]
fn repeated_keys_elsewhere_stay_as_they_are_and_the_last_one_counts() {
    check(
        META,
        r#"{"object":"a","object":"b","entry":[{"changes":[{"field":"x","field":"y"},{"value":{"id":1},"value":{"id":2}}],"id":1,"id":2}]}"#,
        &[
            r#"{"object":"a","object":"b","entry":[{"changes":[{"field":"x","field":"y"}],"id":1,"id":2}]}"#,
            r#"{"object":"a","object":"b","entry":[{"changes":[{"value":{"id":1},"value":{"id":2}}],"id":1,"id":2}]}"#,
        ],
    );
    // Not the same key at all: one level further in.
    check(
        "/entry/*",
        r#"{"entry":[{"entry":1,"entry":2},{"entry":[3]}]}"#,
        &[r#"{"entry":[{"entry":1,"entry":2}]}"#, r#"{"entry":[{"entry":[3]}]}"#],
    );
}

#[test]
fn elements_may_stand_in_several_arrays_and_keys() {
    check(
        "/a/b/*/*/c/*",
        r#"{"x":0,"a":{"y":1,"b":[[{"c":[1,2]},{"c":[3]}],[],[{"d":4}]],"z":[9,9]}}"#,
        &[
            r#"{"x":0,"a":{"y":1,"b":[[{"c":[1]}]],"z":[9,9]}}"#,
            r#"{"x":0,"a":{"y":1,"b":[[{"c":[2]}]],"z":[9,9]}}"#,
            r#"{"x":0,"a":{"y":1,"b":[[{"c":[3]}]],"z":[9,9]}}"#,
            r#"{"x":0,"a":{"y":1,"b":[[]],"z":[9,9]}}"#,
            r#"{"x":0,"a":{"y":1,"b":[[{"d":4}]],"z":[9,9]}}"#,
        ],
    );
    check("/*/*/*/*", "[[[[1,2]]],[[3]]]", &["[[[[1]]]]", "[[[[2]]]]", "[[[3]]]"]);
}

#[test]
fn no_more_parts_are_made_than_are_looked_for() {
    let text = format!("[{}]", vec!["1"; 50].join(","));
    let plan = Plan::compile_parted(&[], &elements("/*")).unwrap();
    let count = |most| with_request(text.as_bytes(), |request| plan.read_parts(request, most).1.len());
    assert_eq!([count(usize::MAX), count(50), count(49), count(10), count(0)], [50, 50, 50, 11, 1]);
    let many = format!("[{}]", vec!["1"; VALUES_MAX].join(","));
    assert_eq!(parts(many.as_bytes(), "/*"), None, "too many values are not read");
}

#[test]
fn only_the_elements_of_arrays_fall_apart() {
    for (text, error) in [
        ("", ElementsError::NoElements),
        ("/entry", ElementsError::NoElements),
        ("/entry/*/changes", ElementsError::NoElements),
        ("/entry/~2", ElementsError::NoElements),
        ("/entry/0/changes/*", ElementsError::Numbered),
        ("/*/*/*/*/*", ElementsError::TooDeep),
    ] {
        assert_eq!(Elements::new(Pointer::parse(text).unwrap()), Err(error), "{text}");
        assert!(!error.to_string().is_empty());
    }
    for text in ["/*", "/*/*/*/*", META, "/01/*"] {
        assert_eq!(elements(text).to_string(), text);
        assert_eq!(elements(text).pointer().to_string(), text);
    }
}

#[test]
fn a_selector_is_told_to_stand_in_the_element_or_only_in_its_frame() {
    let text = r#"{"object":"o","entry":[{"id":"1","changes":[{"field":"a"},{"x":"b"}]},{"id":"2"}]}"#;
    let at =
        |places: &[&str]| Selector::new(places.iter().map(|text| Place::parse(text).unwrap()).collect(), Take::First);
    let list = [at(&["json:/object"]), at(&["json:/entry/*/id"]), at(&["json:/entry/*/changes/*/field", "header:a"])];
    let plan = Plan::compile_parted(&list.iter().collect::<Vec<_>>(), &elements(META)).unwrap();
    with_request(text.as_bytes(), |request| {
        let (mut values, parts) = plan.read_parts(request, 9);
        let stands = parts.iter().map(|part| {
            values.narrow(part);
            [0, 1, 2, 3].map(|selector| values.stands_in_element(selector))
        });
        let expected = [[false, false, true, false], [false; 4], [false, true, false, false]];
        assert_eq!(stands.collect::<Vec<_>>(), expected);
    });
}

/// Makes texts of the alphabet of batches, legal and nested as they come, from a seed.
struct Maker(u64);

impl Maker {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn space(&mut self, text: &mut String) {
        text.push_str(["", "", "", " ", "\n", "\t ", "\r\n"][usize::try_from(self.next(7)).unwrap()]);
    }

    fn value(&mut self, depth: u32, text: &mut String) {
        self.space(text);
        match self.next(if depth > 6 { 6 } else { 12 }) {
            0 => text.push_str("\"\\u00e9\\\"]}\""),
            1 => text.push_str("-12.5E+3"),
            2 => text.push_str("null"),
            3 => text.push_str("\"a,b\""),
            4 => text.push_str("10000000000000000000000"),
            5 => text.push_str("true"),
            6..=8 => self.array(depth, text),
            _ => self.object(depth, text),
        }
        self.space(text);
    }

    fn array(&mut self, depth: u32, text: &mut String) {
        text.push('[');
        for at in 0..self.next(4) {
            if at > 0 {
                text.push(',');
            }
            self.value(depth + 1, text);
        }
        text.push(']');
    }

    fn object(&mut self, depth: u32, text: &mut String) {
        let keys = ["entry", "changes", "id", "field", "value", "list", "object", "id"];
        text.push('{');
        let first = self.next(8);
        for at in 0..self.next(5) {
            if at > 0 {
                text.push(',');
            }
            self.space(text);
            let key = keys[usize::try_from((first + at) % 8).unwrap()];
            text.push_str(&format!("\"{key}\""));
            self.space(text);
            text.push(':');
            self.value(depth + 1, text);
        }
        text.push('}');
    }

    /// Something like a batch: the nearer to the root, the more it looks like one.
    fn batch(&mut self) -> String {
        let mut text = String::from("{");
        self.space(&mut text);
        text.push_str("\"object\":\"o\",\"entry\":[");
        for at in 0..self.next(4) {
            if at > 0 {
                text.push(',');
            }
            self.space(&mut text);
            text.push_str("{\"id\":");
            self.value(3, &mut text);
            text.push_str(",\"changes\":");
            if self.next(4) == 0 {
                self.value(2, &mut text);
            } else {
                self.array(2, &mut text);
            }
            text.push_str(",\"list\":");
            self.array(4, &mut text);
            text.push('}');
            self.space(&mut text);
        }
        text.push_str("]}");
        text
    }
}

#[test]
fn whatever_the_batch_its_parts_are_what_their_definition_says() {
    let mut maker = Maker(0x9e37_79b9_7f4a_7c15);
    let mut found = 0;
    for number in 0..3_000 {
        let mut text = String::new();
        if number % 2 == 0 {
            text = maker.batch();
        } else {
            maker.value(0, &mut text);
        }
        for at in [META, "/*", "/entry/*", "/*/*", "/*/id/*"] {
            found += parts(text.as_bytes(), at).map_or(0, |parts| parts.len());
        }
        // A torn one is never taken for a batch.
        let torn = text.trim_end().len().saturating_sub(1 + usize::try_from(maker.next(4)).unwrap());
        if serde_json::from_str::<Value>(&text[..torn]).is_err() {
            assert_eq!(parts(&text.as_bytes()[..torn], META), None);
        }
    }
    assert!(found > 5_000, "{found} parts are too few to say anything");
    assert!(spans(b"[1]", &Pointer::parse("/*").unwrap()).is_ok());
}

//! What follows from a change of the signature itself?

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{MALFORMED, Maker, WRONG, decoded, flip, flip_text};
use crate::verify::{Algorithm, Encoding};

impl Maker<'_> {
    pub(super) fn signature(&mut self) {
        match self.proof.algorithm {
            Algorithm::Equal => self.token(),
            Algorithm::JwtHmac(_) | Algorithm::JwtRsa(_) => self.web_token(),
            Algorithm::Basic => self.bytes(Encoding::Base64),
            _ => self.bytes(self.proof.encoding),
        }
        let spaced = self.edited(&|text| format!("{} {}", &text[..3], &text[3..]));
        let expected = if self.shows_token() { WRONG } else { MALFORMED };
        self.with("a blank in the signature", expected, &spaced);
    }

    fn token(&mut self) {
        let first = self.signatures().remove(0);
        for at in 0..first.len() {
            let flipped = self.edited(&|token| flip_text(token, at));
            self.with(format!("character {at} of the token is another"), WRONG, &flipped);
        }
        let longer = self.edited(&|token| format!("{token}x"));
        self.with("the token is longer", WRONG, &longer);
        let shorter = self.edited(&|token| token[1..].to_owned());
        self.with("the token is shorter", WRONG, &shorter);
    }

    fn bytes(&mut self, encoding: Encoding) {
        let length = decoded(encoding, &self.signatures()[0]).len();
        for at in 0..length {
            for bit in [0, 7] {
                let flipped = self.edited(&|text| encoding.encode(&flip(&decoded(encoding, text), at, bit)));
                self.with(format!("bit {bit} of byte {at} of the signature is flipped"), WRONG, &flipped);
            }
        }
        let zeros = self.edited(&|_| encoding.encode(&vec![0; length]));
        self.with("the signature is all zeros", WRONG, &zeros);
        let short = self.edited(&|text| encoding.encode(&decoded(encoding, text)[..length - 1]));
        self.with("the signature is a byte short", self.of_length(length - 1, length), &short);
        let long = self.edited(&|text| encoding.encode(&[decoded(encoding, text), vec![0]].concat()));
        self.with("the signature is a byte long", self.of_length(length + 1, length), &long);
        let odd = self.edited(&|text| text[..text.len() - 1].to_owned());
        self.with("the last digit is missing", MALFORMED, &odd);
        let foreign = self.edited(&|text| format!("!{}", &text[1..]));
        self.with("a digit is none", MALFORMED, &foreign);
        if encoding == Encoding::Hex {
            let upper = self.edited(&str::to_ascii_uppercase);
            self.with("digits of the other case stand for the same bytes", Ok(()), &upper);
        }
    }

    /// What a wrong signature of another length is refused for.
    fn of_length(&self, length: usize, usual: usize) -> Result<(), crate::verify::VerifyError> {
        let shaped = match self.proof.algorithm {
            Algorithm::Basic => true,
            Algorithm::EcdsaP256 => (8..=72).contains(&length),
            Algorithm::RsaPkcs1(_) | Algorithm::RsaPss(_) => length >= 256,
            _ => length == usual,
        };
        if shaped { WRONG } else { MALFORMED }
    }

    fn web_token(&mut self) {
        let first = self.signatures().remove(0);
        let parts: Vec<Vec<u8>> =
            first.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("a web token")).collect();
        let written =
            |parts: &[Vec<u8>]| parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect::<Vec<_>>().join(".");
        for part in [1, 2] {
            for at in 0..parts[part].len() {
                let mut other = parts.clone();
                other[part] = flip(&other[part], at, at % 7);
                let text = self.edited(&|_| written(&other));
                self.with(format!("a bit of byte {at} of part {part} of the token is flipped"), WRONG, &text);
            }
        }
        for head in ["{\"alg\":\"none\"}", "{\"alg\":\"hs256\"}", "{\"alg\":\"PS256\"}", "{}", "x"] {
            let text = self.edited(&|_| written(&[head.as_bytes().to_vec(), parts[1].clone(), parts[2].clone()]));
            self.with(format!("the head of the token is {head}"), MALFORMED, &text);
        }
        let spelt = String::from_utf8(parts[0].clone()).expect("JSON").replace('{', "{ ");
        let text = self.edited(&|_| written(&[spelt.clone().into_bytes(), parts[1].clone(), parts[2].clone()]));
        self.with("the head of the token in other words", WRONG, &text);
        let unsigned = self.edited(&|_| written(&[parts[0].clone(), parts[1].clone(), Vec::new()]));
        self.with("the token is not signed", WRONG, &unsigned);
        for (change, text) in [
            ("a part of the token is missing", first.rsplit_once('.').expect("three parts").0.to_owned()),
            ("a part of the token is too many", format!("{first}.AAAA")),
            ("the token is no base64", format!("!{}", &first[1..])),
        ] {
            let text = self.edited(&|_| text.clone());
            self.with(change, MALFORMED, &text);
        }
    }
}

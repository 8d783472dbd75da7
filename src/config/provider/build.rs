//! How does a provider file become a verifier?
//!
//! Promises: a file is checked as a whole when it is read, as far as it can be without an operator's values; what the
//! operator gives is checked when it is built, all of it at once.
//!
//! Must not know: the configuration around it.

use toml::Spanned;

use super::reader::{Reader, asks};
use super::{
    Ask, At, Built, Confidence, Facts, Kind, Operator, Problem, Provider, Retries, Value, challenges, events, proofs,
    raw, setup,
};
use crate::event::Selectors;
use crate::verify::{Plan, PlanError, Proof, SignatureAt, Verifier};

/// What a file says that leaves all proof to the operator.
const OPERATOR: &str = "operator";
const CONFIDENCES: &[&str] = &["A", "A-", "B", "B-", "C"];

impl Provider {
    /// Reads a provider file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, in its order.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let file: raw::File = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            vec![Problem { at: At::File(span), what: error.message().to_owned(), advice: String::new() }]
        })?;
        let mut problems = Vec::new();
        let asks = asks(&file.values, &mut problems);
        let mut reader = Reader { asks: &asks, operator: None, problems, open: false };
        let facts = facts(&mut reader, &file);
        let (plan, numbers, _) = plan(&mut reader, &file);
        drop(events::answers(&mut reader, &file.answer));
        let whole = reader.problems.is_empty() && !reader.open;
        let mut problems = reader.problems;
        if whole && let Err(wrong) = Verifier::new(plan) {
            let operator = operator_proves(&file);
            let comes_later =
                |error: &PlanError| matches!(error, PlanError::NoKey(_)) || (operator && *error == PlanError::NoProof);
            problems.extend(
                wrong.into_iter().filter(|error| !comes_later(error)).map(|error| told(&file, &numbers, error)),
            );
        }
        danger(name, &file, &mut problems);
        let idle = file.proof.iter().filter(|_| operator_proves(&file));
        problems.extend(idle.map(|proof| Problem {
            at: At::File(proof.span()),
            what: "the operator says how requests are proven, and the file does, too".to_owned(),
            advice: "leave the proof out, or write `proofs = \"any\"`".to_owned(),
        }));
        problems.sort_by_key(|problem| if let At::File(span) = &problem.at { span.start } else { usize::MAX });
        if problems.is_empty() { Ok(Self { name: name.to_owned(), file, asks, facts }) } else { Err(problems) }
    }

    /// The name it was read under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks of the operator by name.
    #[must_use]
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// Whether it uses the source's `secrets`.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        self.file.proof.iter().map(Spanned::get_ref).any(|proof| {
            proof.keys.as_ref().is_none_or(|keys| keys.get_ref() == "secrets") && proof.algorithm.get_ref() != "nothing"
        })
    }

    /// Whether it leaves all proof to the operator.
    #[must_use]
    pub fn leaves_proof(&self) -> bool {
        operator_proves(&self.file)
    }

    /// Whether it signs the URL that it was given.
    #[must_use]
    pub fn signs_url(&self) -> bool {
        self.file.proof.iter().any(|proof| proof.get_ref().urls.is_some())
    }

    /// What is known of it.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Compiles it with what the operator gave.
    ///
    /// # Errors
    ///
    /// Everything that is missing, too much, or of the wrong form; no problem shows a secret.
    pub fn build(&self, operator: &Operator) -> Result<Built, Vec<Problem>> {
        let mut reader = Reader { asks: &self.asks, operator: Some(operator), problems: Vec::new(), open: false };
        values(&mut reader, operator);
        let (plan, numbers, selectors) = plan(&mut reader, &self.file);
        let answers = events::answers(&mut reader, &self.file.answer);
        let mut problems = reader.problems;
        if !problems.is_empty() {
            return Err(problems);
        }
        let verifier = Verifier::new(plan)
            .map_err(|wrong| wrong.into_iter().map(|error| told(&self.file, &numbers, error)).collect::<Vec<_>>())?;
        if verifier.needs_public_url() && !operator.public_url {
            problems.push(Problem {
                at: At::Source,
                what: "this provider signs the URL it was given, and the listener has no `public-url`".to_owned(),
                advice: "public-url = \"https://hooks.example.com\"".to_owned(),
            });
            return Err(problems);
        }
        let ids = !selectors.wanted().id.is_empty();
        let facts = Facts { ids, binds_body: verifier.binds_body(), ..self.facts.clone() };
        let methods = verifier.methods();
        let warnings = warnings(&verifier);
        let secrets = match numbers.proofs.as_slice() {
            [] => operators(&verifier).into_iter().collect(),
            proofs => proofs.iter().map(|origin| origin.keys.clone()).collect(),
        };
        Ok(Built { verifier, selectors, answers, methods, facts, warnings, secrets })
    }
}

/// The names of the operator's own tokens, where nothing else proves a request: those that the verifier tells of, which are
/// those of the path where there are any.
fn operators(verifier: &Verifier) -> Option<Vec<Box<str>>> {
    let proof = verifier.asks_besides().proofs.first()?;
    let what = if matches!(proof.at, SignatureAt::Headers { .. }) { "header" } else { "token" };
    Some((1..=proof.keys.len()).map(|place| format!("{what}-{place}").into()).collect())
}

/// The numbers in the file of the proofs and challenges that were kept.
struct Numbers {
    proofs: Vec<proofs::Origin>,
    challenges: Vec<usize>,
}

fn plan(reader: &mut Reader<'_>, file: &raw::File) -> (Plan, Numbers, Selectors) {
    let methods = match &file.methods {
        Some(said) => reader.methods(said),
        None => vec![http::Method::POST],
    };
    let (proof_numbers, proofs) = proofs::read(reader, file).into_iter().unzip();
    let (challenge_numbers, challenges) = challenges::read(reader, file).into_iter().unzip();
    let all = reader.word(file.proofs.as_ref(), false, &["any", "all", OPERATOR], |text| match text {
        "any" | OPERATOR => Some(false),
        "all" => Some(true),
        _ => None,
    });
    let selectors = events::read(reader, &file.event);
    let numbers = Numbers { proofs: proof_numbers, challenges: challenge_numbers };
    let besides = reader.operator.map(|operator| operator.besides.clone()).unwrap_or_default();
    (Plan { methods, proofs, all, besides, challenges }, numbers, selectors)
}

/// A problem of the plan, where the file says what it is about.
fn told(file: &raw::File, numbers: &Numbers, error: PlanError) -> Problem {
    use PlanError::{
        CannotBind, CannotHide, ChallengeBody, ChallengeMethod, HashWithoutKey, KeyInText, NoKey, NoText,
        NothingBeside, SigningOracle, TextForToken, TimeNotBeside, TimeNotSigned, TimeUnknown, TokenOutOfPlace,
        TooManyKeys,
    };
    let proof =
        |number: usize| numbers.proofs.get(number).and_then(|origin| file.proof.get(origin.number)).map(Spanned::span);
    let challenge = |number: usize| {
        numbers.challenges.get(number).and_then(|number| file.challenge.get(*number)).map(Spanned::span)
    };
    let span = match error {
        PlanError::NoMethod | PlanError::NoProof | PlanError::TooManyProofs => None,
        NothingBeside(number)
        | NoText(number)
        | TextForToken(number)
        | HashWithoutKey(number)
        | KeyInText(number)
        | TimeUnknown(number)
        | TimeNotBeside(number)
        | TimeNotSigned(number)
        | CannotBind(number)
        | CannotHide(number)
        | TokenOutOfPlace(number) => proof(number),
        ChallengeMethod(number) | ChallengeBody(number) | SigningOracle(number) => challenge(number),
        NoKey(_) | TooManyKeys(_) => {
            return Problem { at: At::Secrets, what: error.to_string(), advice: String::new() };
        }
    };
    let at = span.map_or(At::Source, At::File);
    if error == PlanError::NoProof && operator_proves(file) {
        let what = "this provider signs nothing: say what proves its requests".to_owned();
        let advice = "proof = { token = { file = \"secrets/token\" } }, with the token in the path as `{token}`";
        return Problem { at, what, advice: advice.to_owned() };
    }
    Problem { at, what: error.to_string(), advice: String::new() }
}

/// Whether the file leaves all proof to the operator.
fn operator_proves(file: &raw::File) -> bool {
    file.proofs.as_ref().is_some_and(|said| said.get_ref() == OPERATOR)
}

/// What the operator gave against what the file asks for.
fn values(reader: &mut Reader<'_>, operator: &Operator) {
    for ask in reader.asks {
        match (operator.values.get(&ask.name), ask.kind) {
            (None, _) if ask.required => {
                let how = match ask.kind {
                    Kind::Secret => format!("values = {{ {} = {{ file = \"secrets/{0}\" }} }}", ask.name),
                    Kind::Text => format!("values = {{ {} = \"..\" }}", ask.name),
                };
                let what = format!("value `{}` is missing: {}", ask.name, ask.about);
                reader.wrong(At::Value(ask.name.clone()), what, how);
            }
            (Some(Value::Text(_)), Kind::Secret) => {
                let how = format!("{} = {{ file = \"secrets/{0}\" }}", ask.name);
                reader.wrong(At::Value(ask.name.clone()), format!("value `{}` is a secret", ask.name), how);
            }
            (Some(Value::Secret(_)), Kind::Text) => {
                // It would be shown in the next problem that is about it.
                let what = format!("value `{}` is text that may be shown, and a secret is given", ask.name);
                reader.wrong(At::Value(ask.name.clone()), what, format!("{} = \"..\"", ask.name));
            }
            (Some(Value::Text(text)), Kind::Text) if !ask.one_of.is_empty() && !ask.one_of.contains(text) => {
                let what = format!("`{text}` is not allowed for value `{}`", ask.name);
                reader.wrong(At::Value(ask.name.clone()), what, format!("it is one of {}", ask.one_of.join(", ")));
            }
            _ => {}
        }
    }
    for name in operator.values.keys().filter(|name| !reader.asks.iter().any(|ask| ask.name == **name)) {
        let known: Vec<&str> = reader.asks.iter().map(|ask| ask.name.as_str()).collect();
        let advice = match known.as_slice() {
            [] => "it asks for none".to_owned(),
            known => format!("it asks for {}", known.join(", ")),
        };
        let problem =
            Problem { at: At::Value(name.clone()), what: format!("the provider asks for no value `{name}`"), advice };
        reader.problems.push(problem);
    }
}

/// A file that proves nothing must be asked for by a name that says so.
fn danger(name: &str, file: &raw::File, problems: &mut Vec<Problem>) {
    let frightening = name.starts_with("dangerous-");
    for proof in file.proof.iter().filter(|proof| proof.get_ref().algorithm.get_ref() == "nothing") {
        if !frightening || file.danger.is_none() {
            let what =
                "a file that proves nothing has a name that begins with `dangerous-`, and says why under `danger`";
            problems.push(Problem { at: At::File(proof.span()), what: what.to_owned(), advice: String::new() });
        }
    }
}

fn warnings(verifier: &Verifier) -> Vec<String> {
    let mut warnings = Vec::new();
    let shown = |proof: &&Proof| proof.algorithm.shows_key() || (proof.algorithm.is_token() && !proof.binds_body());
    let beside = verifier.asks_besides();
    if verifier.proofs().is_empty() && beside.proofs.is_empty() {
        warnings.push(
            "only an address proves who calls: whoever else calls from there, such as other customers of the \
             provider, can send events"
                .to_owned(),
        );
    } else if verifier.proofs().iter().chain(&beside.proofs).any(|proof| shown(&proof)) && !verifier.binds_body() {
        warnings.push("the proof is shown, not computed: who sees one request can send others".to_owned());
    } else if !verifier.binds_body() && !verifier.proves_nothing() {
        warnings.push("the signature does not cover the body: who sees one request can send another body".to_owned());
    }
    if verifier.credential().in_body() {
        warnings.push("the token stands in the body, so it is stored and forwarded with it".to_owned());
    }
    if verifier.proofs().iter().any(|proof| proof.algorithm.is_plain()) {
        warnings.push("a plain hash over key and body stands for a signature; some of them can be extended".to_owned());
    }
    warnings
}

fn facts(reader: &mut Reader<'_>, file: &raw::File) -> Facts {
    if *file.format.get_ref() != 1 {
        reader.wrong(At::File(file.format.span()), "this is a file of another format", "format = 1");
    }
    if file.docs.get_ref().is_empty() {
        reader.wrong(At::File(file.docs.span()), "a provider file says where its facts come from", "");
    }
    let mut docs = Vec::new();
    for said in file.docs.get_ref() {
        if !said.get_ref().starts_with("https://") {
            reader.wrong_in_file(
                said,
                "documentation is named by its address",
                "such as \"https://docs.example.com/hooks\"",
            );
        }
        docs.push(said.get_ref().clone());
    }
    let date = file.checked.get_ref();
    if date.parse::<jiff::civil::Date>().is_err() || date.len() != 10 {
        reader.wrong_in_file(&file.checked, "this is no date", "such as \"2026-11-20\"");
    }
    let confidence = reader.word(Some(&file.confidence), Confidence::C, CONFIDENCES, |text| {
        Some(match text {
            "A" => Confidence::A,
            "A-" => Confidence::AMinus,
            "B" => Confidence::B,
            "B-" => Confidence::BMinus,
            "C" => Confidence::C,
            _ => return None,
        })
    });
    let (answer_within, retries): (_, Retries) = events::delivery(reader, &file.delivery);
    let (setup, sample) = setup::read(reader, file);
    Facts {
        title: file.title.get_ref().clone(),
        docs,
        checked: date.clone(),
        confidence,
        ids: !file.event.id.is_empty(),
        binds_body: true,
        answer_within,
        retries,
        danger: file.danger.as_ref().map(|said| said.get_ref().clone()),
        setup,
        sample,
    }
}

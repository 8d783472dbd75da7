//! What happens to events over their tenant's rate?
//!
//! Promises: unless the operator says otherwise, what a provider would lose is never refused, and what it would send
//! again together with other tenants' events is not either.
//!
//! Must not know: who the tenants are.

use crate::config::build::Building;
use crate::config::provider::{Built, Retries, Survival};
use crate::config::said::Said;
use crate::select::Take;
use crate::tenant::{Beyond, Manner, Mode};

/// How a source treats tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenancy {
    /// Whether its events name tenants at all.
    pub named: bool,
    /// What happens to what is over a tenant's rate.
    pub manner: Manner,
    /// The status of a refusal: the one after which the provider comes again.
    pub refusal: u16,
    /// Why it is so, in a few words.
    pub why: &'static str,
}

/// How a source treats tenants, by what its provider survives and what the operator says.
pub(crate) fn tenancy(building: &mut Building<'_>, name: &str, said: Option<&Said<Mode>>, built: &Built) -> Tenancy {
    let tenant = built.selectors.wanted().tenant.as_ref();
    let batches = tenant.is_some_and(|selector| selector.take() != Take::First);
    let tenancy = of(&built.facts.retries, batches, said.map(|said| said.value));
    if let Some(said) = said
        && tenancy.manner == (Manner { mode: Mode::Refuse, beyond: Beyond::Release })
    {
        building
            .danger(&said.span, format!("source `{name}` refuses what is over a tenant's rate, and may lose it"))
            .note("nobody knows that its provider would send it again");
    }
    Tenancy { named: tenant.is_some(), ..tenancy }
}

fn of(retries: &Retries, batches: bool, said: Option<Mode>) -> Tenancy {
    let again = |survival| retries.any && survival == Survival::Retried;
    let (survives, refusal) = match (again(retries.on_429), again(retries.on_503)) {
        (true, _) => (true, 429),
        (false, true) => (true, 503),
        (false, false) => (false, 429),
    };
    let (mode, why) = match said {
        Some(mode) => (mode, "as the configuration says"),
        None if !survives => (Mode::Shape, "an event that is refused may be lost"),
        None if batches => (Mode::Shape, "a refusal brings whole batches again, other tenants' events with them"),
        None => (Mode::Refuse, "an event that is refused comes again"),
    };
    let beyond = if survives { Beyond::Refuse } else { Beyond::Release };
    Tenancy { named: false, manner: Manner { mode, beyond }, refusal, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Survival::{Counted, Lost, Retried, Unknown};

    #[test]
    fn only_what_comes_again_alone_is_refused_unasked() {
        use {Beyond as B, Mode as M};
        for (any, on_429, on_503, batches, said, expected) in [
            (true, Retried, Retried, false, None, (M::Refuse, B::Refuse, 429)),
            (true, Lost, Retried, false, None, (M::Refuse, B::Refuse, 503)),
            (true, Unknown, Retried, false, None, (M::Refuse, B::Refuse, 503)),
            (true, Retried, Lost, false, None, (M::Refuse, B::Refuse, 429)),
            (true, Retried, Retried, true, None, (M::Shape, B::Refuse, 429)),
            (true, Unknown, Unknown, false, None, (M::Shape, B::Release, 429)),
            (true, Counted, Lost, false, None, (M::Shape, B::Release, 429)),
            (false, Retried, Retried, false, None, (M::Shape, B::Release, 429)),
            (false, Lost, Lost, true, None, (M::Shape, B::Release, 429)),
            (true, Retried, Retried, true, Some(M::Refuse), (M::Refuse, B::Refuse, 429)),
            (true, Retried, Retried, false, Some(M::Shape), (M::Shape, B::Refuse, 429)),
            (false, Lost, Lost, false, Some(M::Refuse), (M::Refuse, B::Release, 429)),
        ] {
            let got = of(&Retries { any, lasting: None, on_429, on_503 }, batches, said);
            let row = (any, on_429, on_503, batches, said);
            assert_eq!((got.manner.mode, got.manner.beyond, got.refusal), expected, "{row:?}");
            assert_eq!(got.why == "as the configuration says", said.is_some(), "{row:?}");
        }
    }
}

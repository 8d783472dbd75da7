//! Do the tenants that routes ask for exist?
//!
//! Promises: a name that no tenant has is refused where it stands: it would match nothing, and its events would silently
//! take another route. A pattern that matches nobody's name is a danger: whom it is for may come.
//!
//! Must not know: what else a route asks.

use std::collections::BTreeSet;

use super::super::build::Building;
use super::super::raw;
use super::super::said::{At, Compared, Direct, Said};
use super::super::tenants::Tenants;
use crate::select::Glob;

/// Looks at all routes once the tenants are known.
pub(crate) fn check(building: &mut Building<'_>, routes: &[At<raw::Route>], tenants: &Tenants) {
    let names: BTreeSet<&str> = tenants.spec.tenants.iter().map(|tenant| &*tenant.name).collect();
    for when in routes.iter().filter_map(|route| route.value.when.as_ref()) {
        condition(building, when, &names);
    }
}

fn condition(building: &mut Building<'_>, said: &At<raw::When>, names: &BTreeSet<&str>) {
    let raw::When { all, any, not, tenant, .. } = &said.value;
    for inner in all.iter().chain(any).flat_map(|list| &list.value).chain(not.as_deref()) {
        condition(building, inner, names);
    }
    let Some(tenant) = tenant else { return };
    match &tenant.value {
        Direct::Is(text) => known(building, &Said { value: text.clone(), span: tenant.span.clone() }, names),
        Direct::Compared(Compared { equals, r#in, prefix, glob, exists: _ }) => {
            for text in equals.iter().chain(r#in.iter().flat_map(|list| &list.value)) {
                known(building, text, names);
            }
            if let Some(said) = prefix {
                like(building, said, names.iter().any(|name| name.starts_with(&said.value)));
            }
            if let Some((said, glob)) = glob.as_ref().and_then(|said| Some((said, Glob::parse(&said.value).ok()?))) {
                like(building, said, names.iter().any(|name| glob.takes(name)));
            }
        }
    }
}

fn known(building: &mut Building<'_>, text: &Said<String>, names: &BTreeSet<&str>) {
    if !names.contains(text.value.as_str()) {
        building.unknown(text, "tenant", &names.iter().copied().collect::<Vec<_>>());
    }
}

fn like(building: &mut Building<'_>, said: &Said<String>, any: bool) {
    if !any && !building.cut.is_syntax() {
        building.danger(&said.span, "no tenant has a name like this, yet").note("until one has, no event matches it");
    }
}

//! How does Porteiro show whoever it calls who it is?
//!
//! Promises: one way or none; what is missing is told by its place.
//!
//! Must not know: who is called.

use crate::config::build::Building;
use crate::config::raw;
use crate::config::said::At;
use crate::deliver::Auth;

/// What stands under this key.
pub(super) fn build(building: &mut Building<'_>, path: &[&str], said: &At<raw::Auth>) -> Option<Auth> {
    match (&said.value.basic, &said.value.bearer) {
        (Some(basic), None) => {
            let password = basic.value.password.as_ref();
            let secret = password.and_then(|said| building.outside.secret(said, &mut building.problems));
            if password.is_none() {
                let path = [path, &["basic", "password"]].concat();
                building.missing(&basic.span, &path, "add password = { file = \"PATH\" } or { env = \"NAME\" }");
            }
            let Some(user) = &basic.value.user else {
                let path = [path, &["basic", "user"]].concat();
                building.missing(&basic.span, &path, "add user = \"NAME\"");
                return None;
            };
            Some(Auth::Basic { user: user.value.as_str().into(), password: secret? })
        }
        (None, Some(bearer)) => building.outside.secret(bearer, &mut building.problems).map(Auth::Bearer),
        (None, None) => {
            building.says_nothing(&said.span, "`auth` says nothing", "add `basic` or `bearer`");
            None
        }
        (Some(basic), Some(bearer)) => {
            let also = bearer.span.clone();
            building
                .problem(&basic.span, "`basic` and `bearer` exclude each other")
                .also(also, "and here")
                .help("a request has one Authorization; keep one of them");
            None
        }
    }
}

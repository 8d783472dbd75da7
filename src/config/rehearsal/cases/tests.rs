//! What a configuration's own tests hold, and how they fail.

use std::path::Path;

use super::super::super::{Environment, of_text};
use super::*;
use crate::config::inventory::Asked;
use crate::config::secrets::Outside;

const TEXT: &str = r#"format = 1

[listen.public]
address = "127.0.0.1:8443"

[journal]
directory = "/nonexistent/porteiro"

[source.github]
on = ["public"]
path = "/github/*"
provider = "github"
secrets = [{ env = "SECRET" }]

[source.meta]
on = ["public"]
path = "/meta"
provider = "meta"
secrets = [{ env = "SECRET" }]
values = { verify-token = { env = "SECRET" } }

[destination.crm]
url = "http://127.0.0.1:9001/hooks"

[destination.archive]
url = "http://127.0.0.1:9002/hooks"

[[route]]
name = "pushes"
from = ["github"]
when = { kind = "push" }
to = ["crm", "archive"]

[[route]]
from = ["github"]
when = { query = "dry", exists = true }
discard = true

[tenant.first]
keys = { meta = ["1"] }

[[route]]
from = ["meta"]
when = { tenant = "first" }
to = ["crm"]

"#;

fn config(tests: &str) -> Result<Config, Report> {
    config_of(&format!("{TEXT}{tests}"))
}

fn config_of(text: &str) -> Result<Config, Report> {
    let environment = |_: &str| Some("open-sesame-open-sesame".into());
    let directory = tempfile::tempdir().unwrap();
    let asked = Asked::default();
    let outside = Outside { base: directory.path(), environment: Environment::new(&environment), asked: &asked };
    of_text(Path::new("porteiro.toml"), text, outside)
}

const PUSH: &str = "{ source = \"github\", headers = { X-GitHub-Event = \"push\" } }";
const BATCH: &str = "{ path = \"/meta\", body = '{\"entry\":[{\"id\":\"1\"},{\"id\":\"2\"}]}' }";
const ONE: &str = "{ source = \"meta\", body = '{\"entry\":[{\"id\":\"1\"}]}' }";
const NOBODY: &str = "{ source = \"meta\", body = '{}' }";
const NOWHERE: &str = "{ listener = \"public\", path = \"/nowhere\" }";
const DRY: &str = "{ source = \"github\", query = \"dry\" }";

fn report(request: &str, expect: &str) -> Option<Report> {
    let config = config(&format!("[[test]]\nname = \"it\"\nrequest = {request}\nexpect = {expect}\n"));
    config.unwrap_or_else(|report| panic!("{report}")).try_tests().err()
}

#[test]
fn what_is_so_holds() {
    for (request, expect) in [
        (PUSH, r#"{ tenant = "none", kind = "push", route = "pushes", to = ["archive", "crm"], status = 200 }"#),
        (PUSH, r#"{ route = "pushes" }"#),
        (PUSH, "{ discard = false }"),
        (DRY, r#"{ route = "2", discard = true, to = [], kind = "" }"#),
        (DRY, "{ route = 2 }"),
        (ONE, r#"{ tenant = "first", route = 3, to = ["crm"] }"#),
        (BATCH, r#"{ tenant = "mixed", route = "none", to = [], discard = false }"#),
        (NOBODY, r#"{ tenant = "none", route = "none" }"#),
        (NOWHERE, "{ status = 404 }"),
        (r#"{ source = "github", method = "PUT" }"#, "{ status = 405 }"),
        (r#"{ source = "meta", method = "GET" }"#, "{ status = 401 }"),
        (r#"{ source = "github", path = "/github/a/b", host = "other.example" }"#, "{ status = 200 }"),
    ] {
        if let Some(report) = report(request, expect) {
            panic!("{request} {expect}\n{report}");
        }
    }
    assert_eq!(config("").unwrap().try_tests().unwrap(), 0);
}

#[test]
fn what_is_not_so_is_told_where_it_stands() {
    for (request, expect, title, label) in [
        (PUSH, r#"{ kind = "pull" }"#, "expects kind `pull`", "it is `push`"),
        (PUSH, r#"{ tenant = "acme" }"#, "expects tenant `acme`", "it is `none`"),
        (PUSH, r#"{ route = "none" }"#, "expects route `none`", "it is `pushes`"),
        (PUSH, r#"{ route = 2 }"#, "expects route `2`", "it is `pushes`"),
        (PUSH, r#"{ to = ["crm"] }"#, "expects destinations `crm`", "they are `archive` and `crm`"),
        (PUSH, r#"{ to = [] }"#, "expects destinations none", "they are `archive` and `crm`"),
        (PUSH, "{ discard = true }", "expects discard = true", "it is stored"),
        (DRY, "{ discard = false }", "expects discard = false", "it is discarded"),
        (PUSH, "{ status = 202 }", "expects status 202", "it is answered 200"),
        (BATCH, r#"{ tenant = "first" }"#, "expects tenant `first`", "it is `mixed`"),
        (BATCH, r#"{ to = ["crm"] }"#, "expects destinations `crm`", "they are none"),
        (NOWHERE, "{ status = 200 }", "expects status 200", "it is answered 404: no source has this host and path"),
        (NOWHERE, r#"{ kind = "push" }"#, "expects an event", "it is answered 404: no source has this host and path"),
        (
            r#"{ source = "github", path = "/meta" }"#,
            "{ status = 200 }",
            "expects source `github`",
            "this host and path are those of source `meta`",
        ),
        (
            r#"{ source = "github", path = "/other" }"#,
            "{ status = 404 }",
            "expects source `github`",
            "no source has this host and path",
        ),
    ] {
        let report = report(request, expect).unwrap_or_else(|| panic!("{request} {expect} holds"));
        let [problem] = report.problems() else { panic!("{report}") };
        assert!(problem.title().starts_with("test `it` fails: ") && problem.title().ends_with(title), "{report}");
        assert_eq!(problem.marked(), label, "{report}");
        let block = TEXT.lines().count() + 1;
        assert!((block..=block + 3).contains(&report.place(problem).line), "{report}");
        assert!(report.to_string().contains("this test"), "{report}");
    }
}

#[test]
fn every_failure_of_every_test_is_told() {
    let text = format!(
        "[[test]]\nrequest = {PUSH}\nexpect = {{ kind = \"a\", route = 2, status = 500 }}\n\
         [[test]]\nrequest = {PUSH}\nexpect = {{ kind = \"push\" }}\n\
         [[test]]\nrequest = {DRY}\nexpect = {{ kind = \"b\" }}\n"
    );
    let config = config(&text).unwrap();
    let report = config.try_tests().unwrap_err();
    assert_eq!(report.problems().len(), 4, "{report}");
    assert!(report.problems()[0].title().contains("`in line 47`"), "{report}");
    assert!(!report.to_string().contains("open-sesame"), "{report}");
}

#[test]
fn what_only_observes_is_tried_like_the_rest_and_told_apart() {
    let text = TEXT.replace("path = \"/meta\"", "path = \"/meta\"\nmode = \"observe\"");
    let text =
        text.replace("url = \"http://127.0.0.1:9002/hooks\"", "url = \"http://127.0.0.1:9002/\"\nmode = \"observe\"");
    for (request, expect, told) in [
        // Where it would go is so whether or not it goes there now.
        (ONE, r#"{ observed = true, tenant = "first", to = ["crm"], discard = false, status = 200 }"#, None),
        (PUSH, r#"{ observed = false, to = ["crm", "archive"] }"#, None),
        (NOWHERE, "{ observed = false, status = 404 }", Some("it is answered 404: no source has this host and path")),
        (ONE, "{ observed = false }", Some("its source only observes")),
        (PUSH, "{ observed = true }", Some("its source is live")),
        (ONE, "{ discard = true }", Some("it is not discarded; its source only observes")),
    ] {
        let text = format!("{text}[[test]]\nrequest = {request}\nexpect = {expect}\n");
        let failed = config_of(&text).unwrap_or_else(|report| panic!("{report}")).try_tests().err();
        let marked = failed.as_ref().map(|report| report.problems()[0].marked());
        assert_eq!(marked, told, "{request} {expect}");
    }
}

#[test]
fn of_a_batch_that_is_split_every_event_is_to_be_so_and_who_hears_any_of_it_is_told_together() {
    let text = TEXT.replace("path = \"/meta\"", "path = \"/meta\"\nbatch = \"split\"");
    let more = "\n[tenant.second]\nkeys = { meta = [\"2\"] }\n[[route]]\nfrom = [\"meta\"]\nto = [\"archive\"]\n";
    let twice = BATCH.replace("\"2\"", "\"1\",\"x\":1");
    for (request, expect, told) in [
        (BATCH, r#"{ to = ["archive", "crm"], discard = false, observed = false, status = 200 }"#, None),
        (&twice, r#"{ tenant = "first", route = 3, to = ["crm"] }"#, None),
        (ONE, r#"{ tenant = "first", to = ["crm"] }"#, None),
        (BATCH, r#"{ to = ["crm"] }"#, Some("they are `archive` and `crm`")),
        (BATCH, r#"{ tenant = "first" }"#, Some("of event 2, it is `second`")),
        (BATCH, r#"{ tenant = "mixed" }"#, Some("of event 1, it is `first`")),
        (BATCH, r#"{ route = 3 }"#, Some("of event 2, it is `4`")),
        (&twice, "{ discard = true }", Some("of event 1, it is stored")),
    ] {
        let text = format!("{text}{more}[[test]]\nrequest = {request}\nexpect = {expect}\n");
        let failed = config_of(&text).unwrap_or_else(|report| panic!("{report}")).try_tests().err();
        let marked = failed.as_ref().map(|report| (report.problems().len(), report.problems()[0].marked()));
        assert_eq!(marked, told.map(|told| (1, told)), "{request} {expect}");
    }
}

#[test]
fn a_body_stands_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body.json");
    std::fs::write(&path, r#"{"entry":[{"id":"1"}]}"#).unwrap();
    let request = |path: &Path| format!("{{ source = \"meta\", body-file = \"{}\" }}", path.display());
    assert!(report(&request(&path), r#"{ tenant = "first" }"#).is_none());
    let missing = report(&request(&directory.path().join("none")), r#"{ tenant = "first" }"#).unwrap();
    assert!(missing.to_string().contains("there is no such file"), "{missing}");
}

use super::*;
use crate::config::tests::stage::{Stage, WELL};
use crate::config::{Config, Report};

fn build(stage: &Stage, rest: &str) -> Result<Config, Report> {
    stage.build("porteiro.toml", &format!("{WELL}\n{rest}"))
}

fn spec(rest: &str) -> Spec {
    build(&Stage::set(), rest).unwrap_or_else(|report| panic!("{report}")).tenants.spec
}

/// How much tenant `a` may send: events, in so many seconds, at once, and of what waits events, bytes and seconds.
#[track_caller]
fn check(tenants: &str, tenant: &str, expected: Option<(u32, u64, u32, u32, u64, u64)>) {
    let spec = spec(&format!("{tenants}\n[tenant.a]\nkeys = {{ github = [\"1\"] }}\n{tenant}"));
    let limits = spec.tenants[0].limits.map(|Limits { count, per, burst, quota }| {
        let Quota { events, bytes, delay } = quota;
        (count, per.as_secs(), burst, events, bytes, delay.as_secs())
    });
    assert_eq!(limits, expected, "{tenants} {tenant}");
}

#[test]
fn a_tenant_has_its_own_limits_or_those_of_all() {
    const MIB: u64 = 1 << 20;
    check("", "", None);
    check("[tenants.quota]\nevents = 4", "", None);
    check("", "rate = \"100/s\"", Some((100, 1, 500, 1000, 16 * MIB, 300)));
    check("", "rate = \"30/m\"", Some((30, 60, 2, 1000, 16 * MIB, 300)));
    check("", "rate = \"1/h\"", Some((1, 3600, 1, 1000, 16 * MIB, 300)));
    check("", "rate = \"1000000/s\"", Some((1_000_000, 1, 1_000_000, 1000, 16 * MIB, 300)));
    check("", "rate = \"5/s\"\nburst = 7", Some((5, 1, 7, 1000, 16 * MIB, 300)));
    let all = "[tenants]\nrate = \"2/s\"\nburst = 3\nquota = { events = 4, size = \"5MiB\", delay = \"6s\" }";
    check(all, "", Some((2, 1, 3, 4, 5 * MIB, 6)));
    check(all, "burst = 9", Some((2, 1, 9, 4, 5 * MIB, 6)));
    check(all, "rate = \"7/s\"", Some((7, 1, 35, 4, 5 * MIB, 6)));
    check(all, "quota = { delay = \"8s\" }", Some((2, 1, 3, 4, 5 * MIB, 8)));
    check("[tenants.quota]\nevents = 4", "rate = \"7/s\"", Some((7, 1, 35, 4, 16 * MIB, 300)));
    let unknown = spec(all).unknown.map(|limits| (limits.count, limits.burst, limits.quota.events));
    assert_eq!((unknown, spec("").unknown), (Some((2, 3, 4)), None));
}

#[test]
fn files_are_read_in_the_order_of_their_names_and_only_those() {
    let stage = Stage::set();
    let section = |name: &str| format!("[tenant.{name}]\nkeys = {{ github = [\"{name}\"] }}\n").into_bytes();
    for (file, name) in [("b.toml", "late"), ("a.toml", "early"), ("z/c.toml", "deep"), ("d.toml~", "draft")] {
        stage.write(&format!("tenants.d/{file}"), 0o644, &section(name));
    }
    stage.write("tenants.d/.e.toml", 0o644, b"[tenant.half");
    stage.write("tenants.d/empty.toml", 0o644, b"");
    std::fs::create_dir(stage.path().join("tenants.d/directory.toml")).unwrap();
    let tenants = build(&stage, "[tenant.here]\nkeys = { github = [\"h\"] }").unwrap().tenants;
    let names: Vec<&str> = tenants.spec.tenants.iter().map(|tenant| &*tenant.name).collect();
    assert_eq!((names, tenants.files, tenants.keys()), (vec!["early", "here", "late"], 3, 3));
    // Another directory, and none at all.
    stage.write("others/a.toml", 0o644, &section("another"));
    let others = build(&stage, "[tenants]\ndirectory = \"others/\"").unwrap().tenants;
    assert_eq!((&*others.spec.tenants[0].name, others.spec.tenants.len()), ("another", 1));
    assert_eq!(build(&Stage::set(), "").unwrap().tenants, Tenants::default());
    for wrong in ["nowhere", "secrets/good"] {
        let report = build(&stage, &format!("[tenants]\ndirectory = \"{wrong}\"")).unwrap_err();
        assert_eq!(report.problems().len(), 1, "{report}");
    }
}

#[test]
fn what_cannot_be_read_in_a_file_is_told_with_its_name() {
    let large = vec![b'#'; (4 << 20) + 1];
    for (bytes, line) in [
        (&large[..], "larger than 4MiB"),
        (b"\xff\xfe", "the file cannot be read"),
        (b"[tenant.a]\nkeys = 5", "--> tenants.d/a.toml:2:8"),
        (b"[tenant.A]\nkeys = { github = [\"1\"] }", "--> tenants.d/a.toml:1:9"),
        (b"[tenants]\nrate = \"1/s\"", "unknown key `tenants` at the top of the file"),
    ] {
        let stage = Stage::set();
        stage.write("tenants.d/a.toml", 0o644, bytes);
        let text = build(&stage, "").unwrap_err().to_string();
        assert!(text.contains(line) && text.contains("tenants.d/a.toml"), "{line} is missing in\n{text}");
        assert!(text.len() < 2_000, "{} bytes of report", text.len());
    }
}

#[test]
fn many_tenants_are_built_and_many_problems_are_not_all_told() {
    let stage = Stage::set();
    let section = |name: String, key| format!("[tenant.{name}]\nkeys = {{ github = [\"{key}\"] }}\nrate = \"10/s\"\n");
    for file in 0..4_u32 {
        let text: String = (0..1_000).map(|n| section(format!("t{file}-{n}"), format!("{file}{n:04}"))).collect();
        stage.write(&format!("tenants.d/{file}.toml"), 0o644, text.as_bytes());
    }
    let tenants = build(&stage, "").unwrap_or_else(|report| panic!("{report}")).tenants;
    assert_eq!((tenants.spec.tenants.len(), tenants.keys(), tenants.files), (4_000, 4_000, 4));
    let sorted = tenants.spec.tenants.windows(2).all(|pair| pair[0].name < pair[1].name);
    assert!(sorted, "in the order of their names, whatever file they stand in");
    let text: String = (0..1_000).map(|n| section(format!("T{n}"), format!("{n}"))).collect();
    stage.write("tenants.d/9.toml", 0o644, text.as_bytes());
    let count = build(&stage, "").unwrap_err().problems().len();
    assert_eq!(count, PROBLEMS_MAX + 2, "and one that says so");
}

#[test]
fn a_source_that_cannot_be_built_spoils_no_tenant() {
    let text = WELL.replace("provider = \"github\"", "provider = \"nobody\"");
    let rest = "[tenant.a]\nkeys = { github = [\"1\"] }";
    let report = Stage::set().build("porteiro.toml", &format!("{text}\n{rest}")).unwrap_err();
    let titles: Vec<&str> = report.problems().iter().map(crate::config::Problem::title).collect();
    assert_eq!(titles, ["there is no provider `nobody`"]);
}

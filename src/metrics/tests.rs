use super::*;

#[test]
fn every_label_set_is_there_before_anything_happened() {
    let metrics = Metrics::new();
    let _source = metrics.source("whatsapp", &["stored", "unproven"]);
    let _destination = metrics.destination("crm", &["delivered", "timeout"]);
    let _listener = metrics.listener("public", &["limit"]);
    let _tenant = metrics.tenant("acme", &["passed", "refused"]);
    let text = metrics.render();
    for line in [
        r#"porteiro_requests_total{outcome="stored",source="whatsapp"} 0"#,
        r#"porteiro_requests_total{outcome="unproven",source="whatsapp"} 0"#,
        r#"porteiro_attempts_total{destination="crm",outcome="timeout"} 0"#,
        r#"porteiro_connections_closed_total{listener="public",reason="limit"} 0"#,
        r#"porteiro_ack_seconds_count{source="whatsapp"} 0"#,
        r#"porteiro_tenant_events_total{outcome="refused",tenant="acme"} 0"#,
        "porteiro_tenants_unknown 0",
        "porteiro_journal_sync_seconds_count 0",
    ] {
        assert!(text.contains(line), "{line} is missing from\n{text}");
    }
}

#[test]
fn a_word_is_counted_by_its_place_and_an_unknown_place_counts_nothing() {
    let metrics = Metrics::new();
    let source = metrics.source("github", &["stored", "unproven"]);
    source.outcomes.count(1);
    source.outcomes.count(1);
    source.outcomes.count(7);
    source.outcomes.add(7, 3);
    source.outcomes.add(0, 3);
    assert_eq!((source.outcomes.total(0), source.outcomes.total(1), source.outcomes.total(7)), (3, 2, 0));
    assert!(metrics.render().contains(r#"porteiro_requests_total{outcome="unproven",source="github"} 2"#));
}

#[test]
fn what_would_be_is_counted_for_those_who_observe_and_for_nobody_else() {
    let metrics = Metrics::new();
    let words = [None, Some("unproven"), Some("over_rate")];
    let would = metrics.would("trial", &words, [Some("crm"), None].into_iter());
    let live = metrics.would("github", &[], [None, Some("next")].into_iter());
    for _ in 0..2 {
        // Places without a name, and beyond all, count nothing.
        [0, 1, 3].into_iter().for_each(|place| would.refuse(place));
        would.send(&[0, 1, 2]);
        [0, 1].into_iter().for_each(|place| live.refuse(place));
        live.send(&[0, 1]);
    }
    live.send(&[]);
    let text = metrics.render();
    let mut found: Vec<&str> = text.lines().filter(|line| line.starts_with("porteiro_would_")).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            r#"porteiro_would_refuse_requests_total{reason="over_rate",source="trial"} 0"#,
            r#"porteiro_would_refuse_requests_total{reason="unproven",source="trial"} 2"#,
            r#"porteiro_would_send_events_total{destination="crm",source="trial"} 2"#,
            r#"porteiro_would_send_events_total{destination="next",source="github"} 2"#,
        ]
    );
    metrics.routed_aside("trial", &[("a", false), ("b", true)]).count(Some(1));
    let text = metrics.render();
    assert!(
        text.contains(r#"porteiro_routed_events_total{route="b",source="trial",then="would_discard"} 1"#),
        "{text}"
    );
}

#[test]
fn gauges_are_refreshed_before_each_scrape() {
    let metrics = Metrics::new();
    let house = metrics.house();
    metrics.before_scrape(move || house.ready.set(1));
    assert!(metrics.render().contains("porteiro_ready 1"));
}

#[test]
fn the_process_shows_its_own_cost() {
    let text = Metrics::new().render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#')).expect(name);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_max_fds") >= value("process_open_fds"));
    assert!(value("process_start_time_seconds") > 1.6e9);
}

/// What promtool's `check metrics` asks for: help on every family, base units, `_total` on counters and on them alone.
#[test]
fn names_follow_the_habits_of_prometheus() {
    let metrics = Metrics::new();
    let (source, destination) = (metrics.source("s", &["x"]), metrics.destination("d", &["x"]));
    let tenant = metrics.tenant("t", &["x"]);
    source.outcomes.count(0);
    tenant.outcomes.count(0);
    destination.outcomes.count(0);
    for family in metrics.registry.gather() {
        let name = family.name();
        let counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(counter, name.ends_with("_total"), "{name}");
        assert!(name.starts_with("porteiro_") || name.starts_with("process_"), "{name}");
        assert!(!family.help().is_empty(), "{name}");
        assert!(!name.contains("_ms") && !name.contains("_kb") && !name.contains("_us"), "{name}");
    }
}

#[test]
fn events_are_counted_by_the_route_that_decided() {
    let metrics = Metrics::new();
    let routed = metrics.routed("github", &[("pushes", false), ("2", true)]);
    for route in [Some(0), Some(0), Some(1), None, Some(2)] {
        routed.count(route);
    }
    assert_eq!([Some(0), Some(1), None].map(|route| routed.total(route)), [2, 1, 2]);
    let text = metrics.render();
    for line in [
        "porteiro_routed_events_total{route=\"pushes\",source=\"github\",then=\"owed\"} 2",
        "porteiro_routed_events_total{route=\"2\",source=\"github\",then=\"discard\"} 1",
        "porteiro_routed_events_total{route=\"none\",source=\"github\",then=\"none\"} 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

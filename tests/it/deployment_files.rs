//! What the linters of `bin/lint-docker` do not know about the files that people start the server with.

use serde_json::Value;

fn compose() -> Value {
    serde_saphyr::from_str(include_str!("../../docker-compose.yml")).unwrap()
}

#[test]
fn the_trial_is_reachable_from_this_machine_only() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let ports = services
        .values()
        .filter_map(|service| service["ports"].as_array())
        .flatten();
    let ports: Vec<&str> = ports.map(|port| port.as_str().unwrap()).collect();
    assert!(ports.contains(&"127.0.0.1:8080:8080"), "{ports:?}");
    for port in ports {
        assert!(port.starts_with("127.0.0.1:"), "{port}");
    }
}

#[test]
fn the_trial_waits_for_its_database_and_keeps_its_data() {
    let compose = compose();
    let condition = &compose["services"]["server"]["depends_on"]["postgres"]["condition"];
    assert_eq!(condition, "service_healthy");
    for service in ["server", "postgres"] {
        let mount = compose["services"][service]["volumes"][0].as_str().unwrap();
        let (volume, _) = mount.split_once(':').unwrap();
        assert!(
            compose["volumes"].get(volume).is_some(),
            "{mount} is not a named volume"
        );
    }
}

//! From what the provider says of a person to a role here.
use serde_json::Value;

use crate::config::Oidc;
use crate::identity::Role;

/// The role that these claims give: that of the first entry of the map whose value the person has, else the default.
pub fn role_of(settings: &Oidc, claims: &Value) -> Option<Role> {
    let held = find_claim(claims, &settings.role_claim)
        .map(values)
        .unwrap_or_default();
    let mapped = settings
        .role_map
        .iter()
        .find(|(value, _)| held.contains(&value.as_str()));
    mapped.map(|(_, role)| *role).or(settings.default_role)
}

/// The claim at a dotted path. A name may itself hold dots (`https://example.vn/roles`), and then wins.
pub fn find_claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let mut splits = path.match_indices('.');
    splits.find_map(|(dot, _)| {
        let (name, rest) = path.split_at(dot);
        find_claim(claims.get(name)?, rest.strip_prefix('.')?)
    })
}

/// One text or a list of them.
fn values(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(role_claim: &str) -> Oidc {
        Oidc {
            issuer: "https://login.example.vn".into(),
            client_id: "giaidap".into(),
            client_secret: None,
            scopes: Vec::new(),
            role_claim: role_claim.into(),
            role_map: vec![
                ("giaidap-admin".into(), Role::Admin),
                ("giaidap-agent".into(), Role::Agent),
            ],
            default_role: None,
            create_users: false,
            bearer_audience: None,
        }
    }

    #[test]
    fn the_first_entry_of_the_map_that_a_person_has_counts() {
        let settings = settings("realm_access.roles");
        for (held, role) in [
            (json!(["x", "giaidap-agent", "giaidap-admin"]), Some(Role::Admin)),
            (json!(["giaidap-agent"]), Some(Role::Agent)),
            (json!("giaidap-agent"), Some(Role::Agent)),
            (json!(["GIAIDAP-AGENT", "giaidap-agent "]), None),
            (json!("giaidap-agent giaidap-admin"), None),
            (json!([["giaidap-agent"], 7, null]), None),
            (json!({ "giaidap-agent": true }), None),
            (json!(null), None),
        ] {
            let claims = json!({ "realm_access": { "roles": held } });
            assert_eq!(role_of(&settings, &claims), role, "{claims}");
        }
    }

    #[test]
    fn whom_the_map_does_not_name_has_the_default_role_or_none() {
        let mut settings = settings("roles");
        assert_eq!(role_of(&settings, &json!({})), None);
        settings.default_role = Some(Role::Auditor);
        assert_eq!(
            role_of(&settings, &json!({ "roles": ["x"] })),
            Some(Role::Auditor)
        );
    }

    #[test]
    fn names_of_claims_may_hold_dots() {
        let claims = json!({
            "https://example.vn/roles": ["giaidap-agent"],
            "resource_access": { "giaidap.centre": { "roles": ["giaidap-admin"] } },
        });
        for (path, role) in [
            ("https://example.vn/roles", Some(Role::Agent)),
            ("resource_access.giaidap.centre.roles", Some(Role::Admin)),
            ("resource_access.roles", None),
            ("roles", None),
        ] {
            assert_eq!(role_of(&settings(path), &claims), role, "{path}");
        }
    }
}

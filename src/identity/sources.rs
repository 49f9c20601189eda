//! What only this module does stays here: who may do what is asked of `access`, and what is written is asked about once
//! more in its transaction.
use crate::source_code;

/// Where a role is named for another reason than to decide what somebody may do.
const NAME_ROLES: &[(&str, &str)] = &[
    ("src/cli/demo.rs", "shows how the people of the demo log in"),
    (
        "src/config/oidc.rs",
        "its test reads a map from the provider's groups to roles",
    ),
    ("src/demo/cast.rs", "says who the people of the demo are"),
    ("src/demo/player.rs", "lets the supervisor of the demo act"),
    ("src/seed.rs", "makes the first administrator"),
    ("src/tickets/escalations.rs", "whom a mail goes to"),
];

/// Where something is written without `answer::write_once`.
const WRITE_BY_THEMSELVES: &[(&str, &str)] = &[
    ("src/http/answer.rs", "is where it is asked"),
    ("src/http/bulk.rs", "asks for each item"),
    ("src/http/guard.rs", "the last use of a credential"),
    ("src/http/oidc.rs", "nobody is let in yet"),
    ("src/http/sign_in.rs", "a logout ends only what was presented"),
];

/// The sources below a folder with their paths, without comments and line breaks between the parts of a call.
fn code_below(folder: &str) -> Vec<(String, String)> {
    let code = |text: String| {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| !line.starts_with("//")).collect::<String>()
    };
    let files = source_code::below(folder).into_iter();
    files.map(|(path, text)| (path, code(text))).collect()
}

fn is_among(named: &[(&str, &str)], path: &str) -> bool {
    named.iter().any(|(name, _)| *name == path)
}

#[test]
fn only_access_decides_from_a_role() {
    let signs = [
        "Role::Admin",
        "Role::Supervisor",
        "Role::Agent",
        "Role::Auditor",
        "Role::*",
        "is_staff",
        ".role ==",
        ".role !=",
        "match staff.role",
    ];
    let code = code_below("src");
    assert!(code.len() > 100, "{}", code.len());
    for (path, code) in code.iter().filter(|(path, _)| !path.starts_with("src/identity/")) {
        let found = signs.iter().find(|sign| code.contains(**sign));
        assert!(
            found.is_none() || is_among(NAME_ROLES, path),
            "{path} has {found:?}: ask identity::access"
        );
    }
}

#[test]
fn what_handlers_write_is_asked_about_once_more() {
    for (path, code) in code_below("src/http") {
        let writes = code.contains("store.write(");
        assert!(
            !writes || is_among(WRITE_BY_THEMSELVES, &path),
            "{path} writes without answer::write_once"
        );
    }
}

#[test]
fn an_exception_that_nobody_needs_is_taken_out() {
    for (path, code) in code_below("src") {
        if is_among(NAME_ROLES, &path) {
            assert!(code.contains("Role::"), "{path}");
        }
        if is_among(WRITE_BY_THEMSELVES, &path) {
            assert!(code.contains("store.write("), "{path}");
        }
    }
}

//! The directory at the command line.
use super::{Binary, text};
use crate::support::app::seeded_database;

#[test]
fn organisations_are_listed_and_imported_whole_or_not_at_all() {
    let database = seeded_database();
    let binary = Binary::on(&database.url);
    let count = || {
        binary
            .json(&["organisation", "list", "--json"])
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(), 123);
    assert_eq!(binary.out(&["organisation", "list"]).lines().count(), 123);
    let provinces = [
        "organisation",
        "list",
        "--kind",
        "province",
        "--active-on",
        "2019-11-22",
        "--json",
    ];
    assert_eq!(binary.json(&provinces).as_array().unwrap().len(), 63);
    let found = binary.json(&["organisation", "list", "--q", "thua thien", "--json"]);
    assert_eq!(found[0]["code"], "H57");

    let header = "code,kind,name_vi,name_en,short_name,gso_code,egov_code,valid_from,valid_to,successor_code,pilot,source";
    let good = "X01,other,Trung tâm thử nghiệm,Test centre,Thử nghiệm,,X01,2019-01-01,,,0,a test";
    let file = |name: &str, lines: &[&str]| {
        let path = binary.storage.path().join(name);
        std::fs::write(&path, [&[header], lines].concat().join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad_lines = [
        ("X02,village,Xã,Village,Xã,,X02,,,,0,a test", "3"),
        ("X02,other,,,,,,,,,0,a test", "3"),
        ("X02,other,Xã,Village,Xã,,X02,2019-02-30,,,0,a test", "3"),
        ("X02,other,Xã,Village,Xã,,X02,,,NONE,0,a test", "3"),
        ("X02,other", "3"),
    ];
    for (bad, line) in bad_lines {
        let refused = binary.failure(&["organisation", "import", &file("bad.csv", &[good, bad])]);
        assert!(refused.contains(&format!("line {line}")), "{bad}: {refused}");
        assert_eq!(count(), 123, "{bad}");
    }
    let imported = binary.json(&["organisation", "import", &file("good.csv", &[good]), "--json"]);
    assert_eq!(imported["imported"], 1);
    assert_eq!(count(), 124);
    binary.out(&["organisation", "import", &file("good.csv", &[good])]);
    assert_eq!(count(), 124, "the same again replaces");
    let missing = binary.failure(&["organisation", "import", "nowhere.csv"]);
    assert!(missing.contains("nowhere.csv"), "{missing}");
    let latin = binary.storage.path().join("latin.csv");
    std::fs::write(
        &latin,
        [header.as_bytes(), b"\nX03,other,Hu\xe9,Hue,Hue,,X03,,,,0,t"].concat(),
    )
    .unwrap();
    let refused = binary.failure(&["organisation", "import", latin.to_str().unwrap()]);
    assert!(refused.contains("line 2"), "{refused}");
}

#[test]
fn a_file_that_names_or_takes_back_a_successor_is_logged_like_the_route_that_does() {
    let database = seeded_database();
    let binary = Binary::on(&database.url);
    let file = binary.storage.path().join("successors.csv");
    let log_of = |lines: &str| {
        let header = "code,kind,name_vi,valid_to,successor_code\n";
        std::fs::write(&file, format!("{header}{lines}")).unwrap();
        let arguments = [
            "--log",
            "security=info",
            "organisation",
            "import",
            file.to_str().unwrap(),
        ];
        let output = binary.run(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let added = "X1,other,Một,2026-12-31,X2\nX2,other,Hai,,\nX3,other,Ba,,\n";
    assert_eq!(log_of(added).matches("organisation_succeeded").count(), 1);
    assert!(!log_of(added).contains("succe"), "nothing changed");
    let other = log_of("X1,other,Một,2026-12-31,X3\n");
    assert!(other.contains("succession_taken_back") && other.contains("organisation_succeeded"));
    let back = log_of("X1,other,Một,,\n");
    assert!(back.contains("succession_taken_back") && !back.contains("organisation_succeeded"));
}

//! Where settings come from, and what is said where one cannot be used.
use std::net::TcpListener;
use std::path::Path;

use super::{Binary, failure, text};

#[test]
fn the_effective_settings_are_shown_without_their_secrets() {
    let binary = Binary::on("postgres://giaidap:geheim-1@db.example/giaidap");
    let mut command = binary.command(&["serve", "--check", "--listen", "127.0.0.1:9999"]);
    command.env("GIAIDAP_MAIL_TRANSPORT", "smtps://bot:geheim-2@mail.example:465");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(!printed.contains("geheim"), "{printed}");
    assert!(printed.contains("***") && printed.contains("db.example") && printed.contains("127.0.0.1:9999"));
    let unencoded = Binary::on("postgres://giaidap:geheim/4?@db.example/giaidap").out(&["serve", "--check"]);
    assert!(!unencoded.contains("geheim"), "{unencoded}");
    // A password that itself looks like an address must not slip through in a failure either.
    let refused = Binary::on("mysql://u:geheim-3@db.example/x").failure(&["serve", "--check"]);
    assert!(!refused.contains("geheim-3"), "{refused}");
}

fn config_file(binary: &Binary, content: &str) -> String {
    let path = binary.storage.path().join("giaidap.toml");
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let binary = Binary::on("sqlite://x.db");
    let file = config_file(
        &binary,
        "listen = \"127.0.0.1:1111\"\npublic_url = \"https://file.example\"\n",
    );
    let check = |flags: &[&str], environment: Option<&str>| {
        let mut command = binary.command(&[&["serve", "--check", "--config", &file], flags].concat());
        if let Some(address) = environment {
            command.env("GIAIDAP_LISTEN", address);
        }
        text(&command.output().unwrap().stdout)
    };
    assert!(check(&[], None).contains("127.0.0.1:1111"));
    assert!(check(&[], Some("127.0.0.1:2222")).contains("127.0.0.1:2222"));
    let flag = check(&["--listen", "127.0.0.1:3333"], Some("127.0.0.1:2222"));
    assert!(
        flag.contains("127.0.0.1:3333") && flag.contains("https://file.example"),
        "{flag}"
    );
}

#[test]
fn what_cannot_be_used_is_one_clear_line_and_no_panic() {
    let binary = Binary::on("sqlite://x.db");
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let refused = binary.failure(&["serve", "--listen", &address]);
    assert!(refused.contains(&address), "{refused}");
    assert!(
        !Path::new(&binary.storage.path().join("x.db")).exists(),
        "an occupied port changes nothing"
    );

    for (database, says) in [
        ("mysql://localhost/x", "sqlite"),
        ("", "database"),
        ("nonsense", "sqlite"),
        ("postgres://nobody@127.0.0.1:1/none?connect_timeout=2", "database"),
        ("sqlite:///proc/nowhere/x.db", "/proc/nowhere"),
    ] {
        for command in [
            &["migrate"][..],
            &["organisation", "list"],
            &["serve", "--listen", "127.0.0.1:0"],
        ] {
            let refused = Binary::on(database).failure(command);
            assert!(refused.contains(says), "{database} {command:?}: {refused}");
        }
    }
    // A file where the storage folder should be, and one that is no database.
    let file = binary.storage.path().join("plain");
    std::fs::write(
        &file,
        "not a database, but long enough to be read as the header of one by a careless reader",
    )
    .unwrap();
    let plain = file.to_str().unwrap();
    let refused = failure(
        &binary
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .env("GIAIDAP_STORAGE", plain)
            .output()
            .unwrap(),
    );
    assert!(refused.contains(plain), "{refused}");
    let refused = Binary::on(&format!("sqlite://{plain}")).failure(&["migrate"]);
    assert!(refused.contains("not a database"), "{refused}");

    let folder = binary.storage.path().to_str().unwrap().to_owned();
    for (config, says) in [
        ("/nowhere/giaidap.toml".to_owned(), "/nowhere/giaidap.toml"),
        (folder.clone(), folder.as_str()),
        (config_file(&binary, "listen = \n"), "giaidap.toml"),
    ] {
        let refused = binary.failure(&["serve", "--check", "--config", &config]);
        assert!(refused.contains(says), "{config}: {refused}");
    }
    for (content, says) in [
        ("lisen = \"127.0.0.1:80\"", "lisen"),
        ("pool_size = \"many\"", "pool_size"),
        ("mail_transport = \"pigeon\"", "mail_transport"),
        ("listen = \"nowhere\"", "listen"),
    ] {
        let refused = binary.failure(&["serve", "--check", "--config", &config_file(&binary, content)]);
        assert!(refused.contains(says), "{content}: {refused}");
    }
}

//! `giaidap demo`.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use actix_web::web::Data;
use anyhow::{Context, bail};
use serde_json::json;

use super::out;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{AttachmentStore, Config, MailTransport};
use crate::demo::summary::Summary;
use crate::demo::{self, Client, Play, Played};
use crate::http::server;
use crate::identity::{Principal, Role};
use crate::language::Language;
use crate::store::Db;
use crate::tickets::list::{self, TicketQuestion};

/// Play the sample questions through the API on a manual clock, then go on serving
///
/// Starts the server with an embedded database in a fresh folder, STORAGE/demo-DATE-TIME, and plays 40 questions of
/// 2019 and 2020 at their own dates: organisations file, agents take, ask back and answer, questions close. Mails are
/// written into the folder, never sent. Prints a table of the questions and the SLA report, then goes on serving in
/// the present and prints addresses, tokens and example calls. With --database (or its setting) that database is
/// used; it must hold no tickets.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the report, with a last line of JSON
    ///
    /// The last line of standard output is then {"filed":…,"answered":…,"met":…,"breached":…,"mails":…}: `answered`
    /// are the questions that were resolved at least once, whatever the outcome; `met` and `breached` are the verdicts
    /// on the resolution target, of which a question cancelled in time has none; `mails` are the mails sent.
    #[arg(long)]
    exit: bool,
    /// Chooses delays, agents and which questions are late, referred, …; the same seed gives the same table
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Language of the tables
    #[arg(long, value_parser = ["vi", "en"], default_value = "vi")]
    language: String,
}

pub async fn run(args: Args, mut config: Config) -> anyhow::Result<()> {
    // The address first, so that an occupied port changes nothing.
    let listener = server::bind(&config)?;
    let shutdown = server::shutdown_on_signal()?;
    config.bound_to(listener.local_addr()?);
    let base = format!("http://{}", reachable(config.listen));
    let folder = fresh_folder(&config)?;
    let is_own_database = config.database.url == database_in(&config.storage);
    if is_own_database {
        config.database.url = database_in(&folder);
    }
    config.mail_transport = MailTransport::Folder(folder.join("mails"));
    config.attachments.store = AttachmentStore::Folder(folder.join("attachments"));
    let language = Language::parse(&args.language).unwrap_or_default();

    let clock = Clock::manual(demo::first_instant()?);
    let opened = App::open(config, clock).await;
    let opened = match opened {
        Ok(opened) if !holds_tickets(&opened.app).await? => opened,
        refused => {
            // Nothing was put into it: it goes again, unless it holds a database.
            let _ = std::fs::remove_dir(folder.join("mails"));
            let _ = std::fs::remove_dir(folder.join("attachments"));
            let _ = std::fs::remove_dir(&folder);
            refused?;
            bail!("the database already holds tickets; the demo wants one without");
        }
    };
    let app = Data::new(opened.app);
    out::note(&format!("Demo in {}, seed {}", folder.display(), args.seed));

    let server = server::server(app.clone(), listener.try_clone()?)?;
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let client = Client::new(&base);
    let play = Play::prepare(&app, client.clone(), opened.seeded.admin_token, args.seed).await?;
    let played = play.run(&shutdown, out::note).await?;
    let supervisor = played.cast.token(Role::Supervisor)?;
    let summary = Summary::of(&app, &client, &played, supervisor, language).await?;
    out::line(&summary.table);
    out::line(summary.report.to_table(language).trim_end());
    let shown = client
        .get(supervisor, &format!("/tickets/{}", played.to_show))
        .await?;
    drop(client);
    handle.stop(true).await;
    serving.await??;
    if args.exit {
        return out::json(&summary.figures);
    }
    app.clock.release();
    tell_how_to_go_on(
        &base,
        &folder,
        &played,
        shown.get("status_link").and_then(|link| link.as_str()),
    )?;
    if is_own_database {
        let again = format!("giaidap serve --storage {}", folder.display());
        out::line(&format!("\nTo serve this demo again later: {again}"));
    }
    server::serve(app, listener, shutdown).await
}

/// The database that a storage folder has unless a setting names another.
fn database_in(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("giaidap.db").display())
}

/// Where this process reaches its own server: an unspecified address listens on loopback too.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        named => named,
    };
    SocketAddr::new(ip, listening.port())
}

/// Made new: nothing of an earlier demo, and nothing of anybody else, is ever in it.
fn fresh_folder(config: &Config) -> anyhow::Result<PathBuf> {
    let unusable = |path: &Path| format!("the folder {} cannot be made", path.display());
    std::fs::create_dir_all(&config.storage).with_context(|| unusable(&config.storage))?;
    let now = Clock::system().now().with_timezone(&config.time_zone);
    let name = format!("demo-{}", now.format("%Y%m%d-%H%M%S"));
    let names = (2..100).map(|count| format!("{name}-{count}"));
    for name in std::iter::once(name.clone()).chain(names) {
        let folder = config.storage.join(name);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(taken) if taken.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause).with_context(|| unusable(&folder)),
        }
    }
    bail!("too many demos began in this second")
}

async fn holds_tickets(app: &App) -> anyhow::Result<bool> {
    let (desk, now) = (app.desk.clone(), app.clock.now());
    let any = move |conn: &mut Db| {
        let any = TicketQuestion {
            limit: 1,
            ..TicketQuestion::default()
        };
        list::list_tickets(conn, &desk, &Principal::System, &any, now)
    };
    let (page, _) = app.store.read(any).await.map_err(out::explain)?;
    Ok(!page.items.is_empty())
}

fn tell_how_to_go_on(
    base: &str,
    folder: &Path,
    played: &Played,
    status_page: Option<&str>,
) -> anyhow::Result<()> {
    let admin = played.cast.admin_token.as_str();
    let (organisation, key) = played.cast.any_key()?;
    out::line("\nThe demo goes on in the present; stop it with Ctrl-C.\n");
    out::line(&format!("  API          {base}/api/v1"));
    out::line(&format!("  docs         {base}/docs/"));
    out::line(&format!("  contract     {base}/openapi.yaml"));
    out::line(&format!("  status page  {}", status_page.unwrap_or("–")));
    out::line(&format!("  mails        {}", folder.join("mails").display()));
    out::line("\nTokens");
    out::line(&format!("  admin        {admin}"));
    for role in [Role::Supervisor, Role::Agent, Role::Auditor] {
        out::line(&format!("  {:<12} {}", role.as_str(), played.cast.token(role)?));
    }
    out::line(&format!("  key of {organisation:<5} {key}"));
    let question = json!({
        "subject": "Kết nối LGSP của tỉnh với nền tảng quốc gia",
        "body": "Đề nghị hướng dẫn hồ sơ đăng ký kết nối.",
        "topic": "NGSP",
    });
    let due = json!({ "from": "2019-11-22T16:30:00+07:00", "business_seconds": 14400 });
    out::line("\nThe latest questions, a new one, and when a target of four business hours is due");
    out::line(&format!(
        "  curl -s -H 'Authorization: Bearer {admin}' '{base}/api/v1/tickets?limit=3'"
    ));
    out::line(&format!(
        "  curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
         -H \"Idempotency-Key: $(date +%s%N)\" -d '{question}' {base}/api/v1/tickets"
    ));
    out::line(&format!(
        "  curl -s -H 'Authorization: Bearer {admin}' -H 'Content-Type: application/json' -d '{due}' \
         {base}/api/v1/calendars/vn-government/due"
    ));
    Ok(())
}

//! The application: opened once (database, schema, reference data, mail), shared by handlers and workers.
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::attachments::Vault;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::oidc::Provider;
use crate::notifications::carrier::Carrier;
use crate::notifications::status_page::StatusPages;
use crate::seed::{self, Seeded};
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::tickets::intake::Intake;
use crate::tx::Desk;
use crate::workers::{self, Hands};

/// Everything that handlers and workers share.
pub struct App {
    pub config: Config,
    pub store: Store,
    pub clock: Clock,
    pub desk: Arc<Desk>,
    pub intake: Intake,
    pub carrier: Carrier,
    pub vault: Vault,
    pub pages: StatusPages,
    /// Who answers for people of the centre, where somebody else does.
    pub oidc: Option<Provider>,
    /// Where a collector is set.
    pub telemetry: Option<Telemetry>,
    /// Cancelled when the server begins to go away; readiness says so.
    pub stopping: CancellationToken,
}

/// An application and what its first start brought.
pub struct Opened {
    pub app: App,
    pub migrations: usize,
    pub seeded: Seeded,
}

impl App {
    /// Open the database, bring its schema and reference data up to date, prepare the mails.
    pub async fn open(config: Config, clock: Clock) -> anyhow::Result<Opened> {
        let store = Store::open(&config.database)?;
        let now = clock.now();
        let (migrations, seeded) = store.migrate(move |conn| seed::load(conn, now)).await?;
        let carrier = Carrier::from_config(&config)?;
        let vault = Vault::open(&config.attachments.store)?;
        let desk = Arc::new(Desk::new(&config));
        let intake = Intake::start(&store, &desk, config.limits.filings_per_commit)?;
        let pages = StatusPages::new(config.time_zone, config.owner.clone())?;
        let oidc = config.oidc.clone();
        let oidc = oidc
            .map(|settings| Provider::new(settings, &config.public_url, config.waiting.provider_timeout()));
        let telemetry = Telemetry::start(&config.telemetry, config.waiting.collector_timeout())?;
        let app = App {
            telemetry,
            config,
            store,
            clock,
            desk,
            intake,
            carrier,
            vault,
            pages,
            oidc,
            stopping: CancellationToken::new(),
        };
        Ok(Opened {
            app,
            migrations,
            seeded,
        })
    }

    /// Do what the workers would do at the clock's present time.
    pub async fn settle(&self) -> crate::error::Result<()> {
        workers::settle(&self.hands()).await
    }

    /// What the workers work with.
    pub fn hands(&self) -> Hands {
        Hands {
            store: self.store.clone(),
            desk: Arc::clone(&self.desk),
            clock: self.clock.clone(),
            carrier: self.carrier.clone(),
            vault: self.vault.clone(),
        }
    }
}

//! The provider's documents, kept for as long as they are good: metadata for an hour, keys for as long as their answer
//! allows. A key or algorithm that is not known makes us look again, but at most every half minute, so that a stranger
//! with invented key names cannot make us hammer the provider; and after a failure it is left alone for some seconds.
//!
//! Keys are replaced as a whole: one that the provider withdrew is gone with the next look, and none is used beyond its
//! time because the provider is away.
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::fetch::{Authorization, Caller, unavailable};
use super::keys::{ALGORITHMS, KeySet, algorithm_named};
use super::verify::{self, Purpose, Refusal};
use crate::config::Oidc;
use crate::config::oidc::is_endpoint;
use crate::error::Result;

const METADATA_LIFE: Duration = Duration::hours(1);
/// Of keys whose answer does not say.
const KEYS_LIFE_SECONDS: i64 = 600;
/// What an answer may say: at least once an hour, so that a withdrawn key ends; not at every request.
const KEYS_LIFE_BOUNDS: (i64, i64) = (60, 3600);
const BETWEEN_SEARCHES: Duration = Duration::seconds(30);
const AFTER_FAILURE: Duration = Duration::seconds(5);

/// What we use of the metadata (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    jwks_uri: String,
    pub userinfo_endpoint: Option<String>,
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 9207: the way back names the issuer.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    fn read(document: Value, issuer: &str) -> Result<Metadata> {
        let metadata: Metadata = serde_json::from_value(document)
            .map_err(|cause| unavailable("has metadata that cannot be read", cause))?;
        if metadata.issuer != issuer {
            return Err(unavailable("has metadata of another issuer than", issuer));
        }
        let needed = [
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.jwks_uri,
        ];
        let addresses = needed.into_iter().chain(&metadata.userinfo_endpoint);
        for address in addresses {
            if !is_endpoint(address) {
                return Err(unavailable("names an address that is not https", address));
            }
        }
        Ok(metadata)
    }

    fn lists(&self, algorithm: Algorithm) -> bool {
        let names = &self.id_token_signing_alg_values_supported;
        names.iter().any(|name| algorithm_named(name) == Some(algorithm))
    }
}

type Documents = (Arc<Metadata>, Arc<KeySet>);

/// Something that is good until a time.
struct Kept<T> {
    value: Arc<T>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl<T> Kept<T> {
    fn at(&self, now: DateTime<Utc>) -> Option<Arc<T>> {
        (self.from <= now && now < self.until).then(|| Arc::clone(&self.value))
    }
}

#[derive(Default)]
struct Known {
    metadata: Option<Kept<Metadata>>,
    keys: Option<Kept<KeySet>>,
    searched_at: Option<DateTime<Utc>>,
    failed_at: Option<DateTime<Utc>>,
}

fn is_within(at: Option<DateTime<Utc>>, span: Duration, now: DateTime<Utc>) -> bool {
    at.is_some_and(|at| at <= now && now - at < span)
}

/// The configured provider.
pub struct Provider {
    pub settings: Oidc,
    /// Where it sends people back to; registered with it.
    pub redirect_uri: String,
    pub(super) caller: Caller,
    known: RwLock<Known>,
    /// One look at a time.
    looking: Mutex<()>,
}

impl Provider {
    pub fn new(settings: Oidc, public_url: &str, patience: std::time::Duration) -> Provider {
        Provider {
            settings,
            redirect_uri: format!("{public_url}/api/v1/auth/oidc/callback"),
            caller: Caller::new(patience),
            known: RwLock::default(),
            looking: Mutex::default(),
        }
    }

    pub async fn metadata(&self, now: DateTime<Utc>) -> Result<Arc<Metadata>> {
        let kept = |known: &Known| known.metadata.as_ref().and_then(|kept| kept.at(now));
        if let Some(metadata) = self.look_up(kept) {
            return Ok(metadata);
        }
        let _looking = self.looking.lock().await;
        if let Some(metadata) = self.look_up(kept) {
            return Ok(metadata);
        }
        self.renew_metadata(now).await
    }

    async fn renew_metadata(&self, now: DateTime<Utc>) -> Result<Arc<Metadata>> {
        let found = self.guarded(now, self.fetch_metadata()).await?;
        let value = Arc::new(found);
        let (metadata, until) = (Arc::clone(&value), now + METADATA_LIFE);
        self.change(|known| {
            known.metadata = Some(Kept {
                value,
                from: now,
                until,
            })
        });
        Ok(metadata)
    }

    /// The claims of a token that the provider made for this purpose; `Ok(Err(…))` where it did not.
    pub async fn verify(
        &self,
        token: &str,
        purpose: Purpose<'_>,
        now: DateTime<Utc>,
    ) -> Result<std::result::Result<Value, Refusal>> {
        if !verify::looks_like_jwt(token) {
            return Ok(Err(Refusal::Malformed));
        }
        let token = match verify::take_apart(token, &ALGORITHMS.map(|(_, algorithm)| algorithm)) {
            Ok(token) => token,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let is_known = |(metadata, keys): &Documents| {
            metadata.lists(token.algorithm) && keys.find(token.kid.as_deref(), token.algorithm).is_some()
        };
        let metadata = self.metadata(now).await?;
        let mut documents = (Arc::clone(&metadata), self.keys(&metadata, now).await?);
        if !is_known(&documents) {
            documents = self.search(documents, now, is_known).await?;
        }
        let (metadata, keys) = documents;
        if !metadata.lists(token.algorithm) {
            return Ok(Err(Refusal::Algorithm));
        }
        let issuer = &self.settings.issuer;
        Ok(match keys.find(token.kid.as_deref(), token.algorithm) {
            Some(key) => verify::verify(&token, key, issuer, purpose, now),
            None => Err(Refusal::UnknownKey),
        })
    }

    async fn keys(&self, metadata: &Metadata, now: DateTime<Utc>) -> Result<Arc<KeySet>> {
        let kept = |known: &Known| known.keys.as_ref().and_then(|kept| kept.at(now));
        if let Some(keys) = self.look_up(kept) {
            return Ok(keys);
        }
        let _looking = self.looking.lock().await;
        match self.look_up(kept) {
            Some(keys) => Ok(keys),
            None => self.renew_keys(metadata, now).await,
        }
    }

    /// Look whether there is something new; what was there before, where somebody looked just now.
    async fn search(
        &self,
        before: Documents,
        now: DateTime<Utc>,
        is_enough: impl Fn(&Documents) -> bool,
    ) -> Result<Documents> {
        let _looking = self.looking.lock().await;
        let present = self.look_up(|known| {
            let (metadata, keys) = (known.metadata.as_ref()?, known.keys.as_ref()?);
            Some((metadata.at(now)?, keys.at(now)?))
        });
        let present = present.unwrap_or(before);
        let searched = self.look_up(|known| Some(is_within(known.searched_at, BETWEEN_SEARCHES, now)));
        if searched == Some(true) || is_enough(&present) {
            return Ok(present);
        }
        self.change(|known| known.searched_at = Some(now));
        let metadata = self.renew_metadata(now).await?;
        let keys = self.renew_keys(&metadata, now).await?;
        Ok((metadata, keys))
    }

    async fn renew_keys(&self, metadata: &Metadata, now: DateTime<Utc>) -> Result<Arc<KeySet>> {
        let (found, seconds) = self.guarded(now, self.fetch_keys(&metadata.jwks_uri)).await?;
        let value = Arc::new(found);
        let (keys, until) = (Arc::clone(&value), now + Duration::seconds(seconds));
        self.change(|known| {
            known.keys = Some(Kept {
                value,
                from: now,
                until,
            })
        });
        Ok(keys)
    }

    async fn fetch_metadata(&self) -> Result<Metadata> {
        let issuer = &self.settings.issuer;
        let address = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let answer = self.caller.get(&address, Authorization::None).await?;
        match answer.status {
            200 => Metadata::read(answer.body, issuer),
            status => Err(unavailable("gives no metadata", status)),
        }
    }

    async fn fetch_keys(&self, address: &str) -> Result<(KeySet, i64)> {
        let answer = self.caller.get(address, Authorization::None).await?;
        let keys = KeySet::read(&answer.body).filter(|_| answer.status == 200);
        let keys = keys.ok_or_else(|| unavailable("gives no keys", answer.status))?;
        let (least, most) = KEYS_LIFE_BOUNDS;
        let seconds = answer.max_age.unwrap_or(KEYS_LIFE_SECONDS).clamp(least, most);
        Ok((keys, seconds))
    }

    /// Not while it is known to be away; and remember that it is.
    async fn guarded<T>(&self, now: DateTime<Utc>, look: impl Future<Output = Result<T>>) -> Result<T> {
        if self.look_up(|known| Some(is_within(known.failed_at, AFTER_FAILURE, now))) == Some(true) {
            return Err(unavailable("failed", "a moment ago"));
        }
        let found = look.await;
        let failed_at = found.is_err().then_some(now);
        self.change(|known| known.failed_at = failed_at);
        found
    }

    fn look_up<T>(&self, question: impl FnOnce(&Known) -> Option<T>) -> Option<T> {
        question(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

//! `[attachments]`: where files lie, how large they may be, and of which types.
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize, Serializer};

use super::{ConfigError, invalid};
use crate::attachments::sniff::FileType;

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct AttachmentsOverrides {
    /// folder (STORAGE/attachments) or s3://BUCKET[/PREFIX] [default: folder]
    #[arg(long, global = true, env = "GIAIDAP_ATTACHMENTS_STORE", value_name = "URL")]
    #[serde(rename = "store")]
    pub attachments_store: Option<String>,
    /// Address of an S3-compatible store that is not Amazon's, http:// in private networks only [default: Amazon's]
    #[arg(long, global = true, env = "GIAIDAP_ATTACHMENTS_ENDPOINT", value_name = "URL")]
    #[serde(rename = "endpoint")]
    pub attachments_endpoint: Option<String>,
    /// Region of the bucket [default: us-east-1]
    #[arg(long, global = true, env = "GIAIDAP_ATTACHMENTS_REGION", value_name = "NAME")]
    #[serde(rename = "region")]
    pub attachments_region: Option<String>,
    /// Access key of the bucket [default: the credentials of the machine]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ATTACHMENTS_ACCESS_KEY_ID",
        value_name = "ID",
        hide_env_values = true
    )]
    #[serde(rename = "access_key_id")]
    pub attachments_access_key_id: Option<String>,
    /// Secret of the access key; better in the environment or the file than on the command line
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ATTACHMENTS_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true
    )]
    #[serde(rename = "secret_access_key")]
    pub attachments_secret_access_key: Option<String>,
    /// Largest file in bytes [default: 26214400]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ATTACHMENTS_MAX_BYTES",
        value_name = "BYTES"
    )]
    #[serde(rename = "max_bytes")]
    pub attachments_max_bytes: Option<u64>,
    /// Files of one ticket, its messages and notes included [default: 20]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ATTACHMENTS_MAX_PER_TICKET",
        value_name = "N"
    )]
    #[serde(rename = "max_per_ticket")]
    pub attachments_max_per_ticket: Option<u16>,
    /// Files of one message or note [default: 10]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ATTACHMENTS_MAX_PER_MESSAGE",
        value_name = "N"
    )]
    #[serde(rename = "max_per_message")]
    pub attachments_max_per_message: Option<u16>,
    /// Types that are taken, by their usual ending, comma separated [default: all that are known]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ATTACHMENTS_TYPES",
        value_name = "LIST",
        value_delimiter = ','
    )]
    #[serde(rename = "types")]
    pub attachments_types: Option<Vec<String>>,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Attachments {
    pub store: AttachmentStore,
    pub max_bytes: u64,
    pub max_per_ticket: usize,
    pub max_per_message: usize,
    pub types: Vec<FileType>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachmentStore {
    Folder(PathBuf),
    S3(Bucket),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub name: String,
    pub prefix: String,
    pub region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Id and secret; `None`: the credentials that the machine has by itself (instance or container role).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AccessKey>,
}

/// Prints as `***`, wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for AccessKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl Attachments {
    pub(super) fn settle(
        given: AttachmentsOverrides,
        file: AttachmentsOverrides,
        storage: &Path,
    ) -> Result<Attachments, ConfigError> {
        let types = given.attachments_types.clone().or(file.attachments_types.clone());
        let max_bytes = given
            .attachments_max_bytes
            .or(file.attachments_max_bytes)
            .unwrap_or(25 << 20);
        if !(1..=1 << 30).contains(&max_bytes) {
            return Err(invalid(
                "attachments.max_bytes",
                "must be between 1 and 1073741824".into(),
            ));
        }
        let per = |name, given: Option<u16>, most: u16, default: u16| match given.unwrap_or(default) {
            count if (1..=most).contains(&count) => Ok(usize::from(count)),
            _ => Err(invalid(name, format!("must be between 1 and {most}"))),
        };
        let per_ticket = given
            .attachments_max_per_ticket
            .or(file.attachments_max_per_ticket);
        let per_message = given
            .attachments_max_per_message
            .or(file.attachments_max_per_message);
        Ok(Attachments {
            max_bytes,
            max_per_ticket: per("attachments.max_per_ticket", per_ticket, 200, 20)?,
            max_per_message: per("attachments.max_per_message", per_message, 20, 10)?,
            types: match types {
                None => FileType::ALL.to_vec(),
                Some(names) => names
                    .iter()
                    .map(|name| known_type(name))
                    .collect::<Result<_, _>>()?,
            },
            store: store(given, file, storage)?,
        })
    }
}

fn known_type(name: &str) -> Result<FileType, ConfigError> {
    let name = name.trim().to_ascii_lowercase();
    FileType::of_ending(&name).ok_or_else(|| invalid("attachments.types", format!("`{name}` is not known")))
}

fn store(
    given: AttachmentsOverrides,
    file: AttachmentsOverrides,
    storage: &Path,
) -> Result<AttachmentStore, ConfigError> {
    let place = given.attachments_store.or(file.attachments_store);
    let place = place.as_deref().unwrap_or("folder");
    if place == "folder" {
        return Ok(AttachmentStore::Folder(storage.join("attachments")));
    }
    let bad = |reason: &str| invalid("attachments.store", reason.to_owned());
    let bucket = place
        .strip_prefix("s3://")
        .ok_or_else(|| bad("want `folder` or s3://BUCKET[/PREFIX]"))?;
    let (name, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    if name.is_empty() {
        return Err(bad("the bucket is missing"));
    }
    if !cfg!(feature = "s3") {
        return Err(bad("this build has no S3: build it with `--features s3`"));
    }
    let endpoint = given.attachments_endpoint.or(file.attachments_endpoint);
    if endpoint
        .as_ref()
        .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        let reason = "must start with http:// or https://".into();
        return Err(invalid("attachments.endpoint", reason));
    }
    let id = given.attachments_access_key_id.or(file.attachments_access_key_id);
    let secret = given
        .attachments_secret_access_key
        .or(file.attachments_secret_access_key);
    let credentials = match (id, secret) {
        (Some(id), Some(secret)) => Some(AccessKey { id, secret }),
        (None, None) => None,
        _ => {
            let reason = "access_key_id and secret_access_key come together".into();
            return Err(invalid("attachments.access_key_id", reason));
        }
    };
    Ok(AttachmentStore::S3(Bucket {
        name: name.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        region: given
            .attachments_region
            .or(file.attachments_region)
            .unwrap_or_else(|| "us-east-1".into()),
        endpoint,
        credentials,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(given: AttachmentsOverrides) -> Result<Attachments, ConfigError> {
        Attachments::settle(given, AttachmentsOverrides::default(), Path::new("data"))
    }

    #[test]
    fn a_bucket_is_read_and_its_secret_never_printed() {
        let settled = settle(AttachmentsOverrides {
            attachments_store: Some("s3://files/help/desk/".into()),
            attachments_access_key_id: Some("AKIAID".into()),
            attachments_secret_access_key: Some("hush".into()),
            ..AttachmentsOverrides::default()
        });
        let settled = settled.unwrap();
        let AttachmentStore::S3(bucket) = &settled.store else {
            panic!("{settled:?}");
        };
        assert_eq!(
            (bucket.name.as_str(), bucket.prefix.as_str()),
            ("files", "help/desk")
        );
        let printed = format!("{settled:?}{}", toml::to_string(&settled).unwrap());
        assert!(
            !printed.contains("hush") && !printed.contains("AKIAID"),
            "{printed}"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let with = |change: fn(&mut AttachmentsOverrides)| {
            let mut given = AttachmentsOverrides::default();
            change(&mut given);
            settle(given).unwrap_err().to_string()
        };
        for (error, name) in [
            (
                with(|given| given.attachments_store = Some("ftp://x".into())),
                "attachments.store",
            ),
            (
                with(|given| given.attachments_store = Some("s3://".into())),
                "attachments.store",
            ),
            (
                with(|given| given.attachments_types = Some(vec!["exe".into()])),
                "attachments.types",
            ),
            (
                with(|given| given.attachments_max_bytes = Some(0)),
                "attachments.max_bytes",
            ),
            (
                with(|given| given.attachments_max_per_message = Some(21)),
                "attachments.max_per_message",
            ),
        ] {
            assert!(error.contains(name), "{error}");
        }
    }
}

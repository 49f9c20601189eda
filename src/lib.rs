//! giaidap: the backend of Việt Nam's e-government answer centre.
pub mod language;
pub mod notifications;
pub mod sla;

//! giaidap: the backend of Việt Nam's e-government answer centre.
pub mod sla;

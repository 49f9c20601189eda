//! `/open311/v2`: the Open311 GeoReport v2 form of the same operations, for programs that were written against other
//! cities' servers. A service is a topic, a service request is a ticket, `expected_datetime` is our due.
//!
//! It owns no rule: filing goes through the same checks and the same intake, reading through the same permissions. Its
//! own are the form of requests (fields of a form, `api_key`), of answers (XML or JSON by the path's ending) and of
//! errors. A question has no place on a map: `lat`, `long`, `address_string`, `address_id` and `media_url` are kept in
//! the text of the question.
mod caller;
pub(super) mod form;
mod format;
pub(super) mod requests;
pub(super) mod services;

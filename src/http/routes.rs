//! Every route, in one list. Tests walk it: each is in `openapi.yaml` and the reverse, each that is not public refuses a
//! caller without a credential.
use actix_web::middleware::from_fn;
use actix_web::{Route as Handler, guard as on, web};

use super::guard::{Query, guard};
use super::{
    agreements, api_clients, api_keys, attachments, bulk, calendar_changes, calendar_files,
    calendar_versions, calendars, credentials, custom_fields, deliveries, directory, directory_files,
    downloads, identity, matching, messages, oidc, open311, operational_targets, operations, policies,
    policy_changes, queues, reports, requesters, sign_in, site, sla, successions, ticket_changes,
    ticket_list, tickets, users,
};
use crate::error::{Error, Result};
use crate::identity::Principal;
use crate::identity::access::{self, Action};

/// Who may call a route at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    /// A principal that may do this to something; on what exactly, the operation decides.
    Needs(Action),
    /// The same of the Open311 façade, which finds the key where GeoReport v2 has it and answers in its form.
    NeedsKey(Action),
}

impl Access {
    /// May this principal call it at all?
    pub fn permit(self, principal: &Principal) -> Result<()> {
        match self {
            Public => Ok(()),
            Needs(action) | NeedsKey(action) => access::permit(principal, action),
        }
    }
}

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    /// The operationId of `openapi.yaml`.
    pub operation: &'static str,
    pub access: Access,
    handler: fn() -> Handler,
}

macro_rules! routes {
    ($($method:ident $path:literal => $operation:ident = $($handler:ident)::+, $access:expr;)+) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            operation: stringify!($operation),
            access: $access,
            handler: || routes!(@method $method).to($($handler)::+),
        }),+]
    };
    (@method GET) => { web::route().guard(on::Any(on::Get()).or(on::Head())) };
    (@method POST) => { web::post() };
    (@method PUT) => { web::put() };
    (@method PATCH) => { web::patch() };
    (@method DELETE) => { web::delete() };
}

use Access::{Needs, NeedsKey, Public};
use Action as A;

pub const ROUTES: &[Route] = routes! {
    GET "/healthz" => health = site::health, Public;
    GET "/readyz" => readiness = site::readiness, Public;
    GET "/metrics" => metrics = site::metrics, Public;
    GET "/openapi.yaml" => openapi_file = site::openapi_file, Public;
    GET "/t/{token}" => show_status_page = site::show_status_page, Public;

    GET "/api/v1/me" => show_me = identity::show_me, Needs(A::ReadSelf);
    POST "/api/v1/me/key/rotate" => rotate_own_key = api_keys::rotate_own_key, Needs(A::RotateOwnKey);

    GET "/api/v1/api-clients" => list_api_clients = api_clients::list_api_clients, Needs(A::ReadClients);
    POST "/api/v1/api-clients" => create_api_client = api_clients::create_api_client, Needs(A::ManageClients);
    GET "/api/v1/api-clients/{id}" => show_api_client = api_clients::show_api_client, Needs(A::ReadClients);
    PATCH "/api/v1/api-clients/{id}" => change_api_client = api_clients::change_api_client, Needs(A::ManageClients);
    GET "/api/v1/api-clients/{id}/keys" => list_api_keys = api_keys::list_api_keys, Needs(A::ReadClients);
    POST "/api/v1/api-clients/{id}/keys" => create_api_key = api_keys::create_api_key, Needs(A::ManageClients);
    POST "/api/v1/api-clients/{id}/keys/{key}/rotate" => rotate_api_key = api_keys::rotate_api_key, Needs(A::ManageClients);
    DELETE "/api/v1/api-clients/{id}/keys/{key}" => revoke_api_key = api_keys::revoke_api_key, Needs(A::ManageClients);

    GET "/api/v1/auth/oidc/login" => begin_oidc_login = oidc::begin_oidc_login, Public;
    GET "/api/v1/auth/oidc/callback" => finish_oidc_login = oidc::finish_oidc_login, Public;

    POST "/api/v1/auth/login" => log_in = sign_in::log_in, Public;
    POST "/api/v1/auth/logout" => log_out = sign_in::log_out, Needs(A::ManageSelf);
    PUT "/api/v1/me/password" => change_own_password = sign_in::change_own_password, Needs(A::ManageSelf);
    POST "/api/v1/me/totp" => begin_totp = sign_in::begin_totp, Needs(A::ManageSelf);
    POST "/api/v1/me/totp/confirm" => confirm_totp = sign_in::confirm_totp, Needs(A::ManageSelf);
    POST "/api/v1/me/totp/remove" => remove_totp = sign_in::remove_totp, Needs(A::ManageSelf);
    GET "/api/v1/me/sessions" => list_own_sessions = credentials::list_own_sessions, Needs(A::ManageSelf);
    DELETE "/api/v1/me/sessions" => end_other_sessions = credentials::end_other_sessions, Needs(A::ManageSelf);
    DELETE "/api/v1/me/sessions/{id}" => end_own_session = credentials::end_own_session, Needs(A::ManageSelf);
    GET "/api/v1/me/tokens" => list_own_tokens = credentials::list_own_tokens, Needs(A::ManageSelf);
    POST "/api/v1/me/tokens" => create_own_token = credentials::create_own_token, Needs(A::ManageSelf);
    DELETE "/api/v1/me/tokens/{id}" => revoke_own_token = credentials::revoke_own_token, Needs(A::ManageSelf);
    GET "/api/v1/users" => list_users = users::list_users, Needs(A::ReadStaff);
    POST "/api/v1/users" => create_user = users::create_user, Needs(A::ManageStaff);
    GET "/api/v1/users/{id}" => show_user = users::show_user, Needs(A::ReadStaff);
    PATCH "/api/v1/users/{id}" => change_user = users::change_user, Needs(A::ManageStaff);
    POST "/api/v1/users/{id}/reset-second-factor" => reset_second_factor = users::reset_second_factor, Needs(A::ManageStaff);
    POST "/api/v1/users/{id}/password" => set_user_password = users::set_user_password, Needs(A::ManageStaff);
    GET "/api/v1/users/{id}/sessions" => list_user_sessions = credentials::list_user_sessions, Needs(A::ManageStaff);
    DELETE "/api/v1/users/{id}/sessions" => end_user_sessions = credentials::end_user_sessions, Needs(A::ManageStaff);

    GET "/api/v1/organisations" => list_organisations = directory::list_organisations, Needs(A::ReadDirectory);
    POST "/api/v1/organisations" => create_organisation = directory::create_organisation, Needs(A::ManageDirectory);
    GET "/api/v1/organisations/export.csv" => export_organisations = directory_files::export_organisations, Needs(A::ReadDirectory);
    POST "/api/v1/organisations/import" => import_organisations = directory_files::import_organisations, Needs(A::ManageDirectory);
    PATCH "/api/v1/organisations/{id}" => change_organisation = directory::change_organisation, Needs(A::ManageDirectory);
    POST "/api/v1/organisations/{id}/succession" => succeed_organisation = successions::succeed_organisation, Needs(A::ManageDirectory);
    GET "/api/v1/organisations/{id}" => show_organisation = directory::show_organisation, Needs(A::ReadDirectory);
    GET "/api/v1/requesters" => list_requesters = requesters::list_requesters, Needs(A::ReadRequesters);
    POST "/api/v1/requesters" => create_requester = requesters::create_requester, Needs(A::ManageRequesters);
    GET "/api/v1/requesters/{id}" => show_requester = requesters::show_requester, Needs(A::ReadRequesters);
    PATCH "/api/v1/requesters/{id}" => change_requester = requesters::change_requester, Needs(A::ManageRequesters);
    POST "/api/v1/requesters/{id}/anonymise" => anonymise_requester = requesters::anonymise_requester, Needs(A::AnonymiseRequesters);
    GET "/api/v1/topics" => list_topics = queues::list_topics, Needs(A::ReadDirectory);
    GET "/api/v1/topics/{id}" => show_topic = queues::show_topic, Needs(A::ReadDirectory);
    PUT "/api/v1/topics/{id}/custom-fields" => replace_custom_fields = custom_fields::replace_custom_fields, Needs(A::ManageDirectory);
    GET "/api/v1/topics/{id}/custom-fields/schema" => show_custom_fields_schema = custom_fields::show_custom_fields_schema, Needs(A::ReadDirectory);
    GET "/api/v1/queues" => list_queues = queues::list_queues, Needs(A::ReadDirectory);
    GET "/api/v1/queues/{id}" => show_queue = queues::show_queue, Needs(A::ReadDirectory);
    GET "/api/v1/queues/{id}/summary" => summarise_queue = queues::summarise_queue, Needs(A::ReadQueueSummary);
    GET "/api/v1/queues/{id}/agents" => list_queue_agents = queues::list_queue_agents, Needs(A::ReadQueueSummary);
    GET "/api/v1/queues/{id}/operational-target" => show_operational_target = operational_targets::show_operational_target, Needs(A::ReadRuleHistory);
    PUT "/api/v1/queues/{id}/operational-target" => replace_operational_target = operational_targets::replace_operational_target, Needs(A::ManageCalendars);
    POST "/api/v1/queues/{id}/next" => claim_next = operations::claim_next, Needs(A::ClaimNext);

    GET "/api/v1/calendars" => list_calendars = calendars::list_calendars, Needs(A::ReadCalendars);
    POST "/api/v1/calendars" => create_calendar = calendars::create_calendar, Needs(A::ManageCalendars);
    GET "/api/v1/calendars/{id}" => show_calendar = calendars::show_calendar, Needs(A::ReadCalendars);
    PUT "/api/v1/calendars/{id}" => replace_calendar = calendar_changes::replace_calendar, Needs(A::ManageCalendars);
    PATCH "/api/v1/calendars/{id}" => change_calendar = calendar_changes::change_calendar, Needs(A::ManageCalendars);
    POST "/api/v1/calendars/{id}/preview" => preview_calendar = calendar_changes::preview_calendar, Needs(A::ManageCalendars);
    GET "/api/v1/calendars/{id}/versions" => list_calendar_versions = calendar_versions::list_calendar_versions, Needs(A::ReadRuleHistory);
    GET "/api/v1/calendars/{id}/versions/{version}" => show_calendar_version = calendar_versions::show_calendar_version, Needs(A::ReadRuleHistory);
    GET "/api/v1/calendars/{id}/exceptions" => list_calendar_exceptions = calendar_versions::list_calendar_exceptions, Needs(A::ReadCalendars);
    GET "/api/v1/calendars/{id}/calendar.ics" => export_calendar = calendar_files::export_calendar, Public;
    POST "/api/v1/calendars/{id}/import" => import_calendar = calendar_files::import_calendar, Needs(A::ManageCalendars);
    POST "/api/v1/calendars/{id}/due" => compute_due = calendars::compute_due, Needs(A::ReadCalendars);
    POST "/api/v1/calendars/{id}/elapsed" => compute_elapsed = calendars::compute_elapsed, Needs(A::ReadCalendars);
    GET "/api/v1/sla-policies" => list_sla_policies = policies::list_sla_policies, Needs(A::ReadCalendars);
    POST "/api/v1/sla-policies/match" => match_sla_policy = matching::match_sla_policy, Needs(A::ReadCalendars);
    GET "/api/v1/sla-policies/{id}" => show_sla_policy = policies::show_sla_policy, Needs(A::ReadCalendars);
    POST "/api/v1/sla-policies" => create_sla_policy = policy_changes::create_sla_policy, Needs(A::ManageCalendars);
    PUT "/api/v1/sla-policies/{id}" => replace_sla_policy = policy_changes::replace_sla_policy, Needs(A::ManageCalendars);
    POST "/api/v1/sla-policies/{id}/preview" => preview_sla_policy = policy_changes::preview_sla_policy, Needs(A::ManageCalendars);
    POST "/api/v1/sla-policies/{id}/retire" => retire_sla_policy = policy_changes::retire_sla_policy, Needs(A::ManageCalendars);
    GET "/api/v1/sla-policies/{id}/versions" => list_sla_policy_versions = policy_changes::list_sla_policy_versions, Needs(A::ReadRuleHistory);
    GET "/api/v1/sla-policies/{id}/versions/{version}" => show_sla_policy_version = policy_changes::show_sla_policy_version, Needs(A::ReadRuleHistory);
    GET "/api/v1/agreements" => list_agreements = agreements::list_agreements, Needs(A::ReadCalendars);
    POST "/api/v1/agreements" => create_agreement = agreements::create_agreement, Needs(A::ManageCalendars);
    GET "/api/v1/agreements/{id}" => show_agreement = agreements::show_agreement, Needs(A::ReadCalendars);
    POST "/api/v1/agreements/{id}/end" => end_agreement = agreements::end_agreement, Needs(A::ManageCalendars);

    POST "/api/v1/sla/simulate" => simulate_sla = sla::simulate_sla, Needs(A::ReadCalendars);

    POST "/api/v1/tickets" => file_ticket = tickets::file_ticket, Needs(A::FileTicket);
    GET "/api/v1/tickets" => list_tickets = ticket_list::list_tickets, Needs(A::ReadTicket);
    POST "/api/v1/tickets/bulk" => bulk_tickets = bulk::bulk_tickets, Needs(A::FileTicket);
    GET "/api/v1/tickets/{id}" => show_ticket = tickets::show_ticket, Needs(A::ReadTicket);
    PATCH "/api/v1/tickets/{id}" => change_ticket = ticket_changes::change_ticket, Needs(A::ChangeTicket);
    POST "/api/v1/tickets/{id}/messages" => post_message = messages::post_message, Needs(A::PostMessage);
    GET "/api/v1/tickets/{id}/messages" => list_messages = messages::list_messages, Needs(A::ReadTicket);
    POST "/api/v1/tickets/{id}/notes" => post_note = messages::post_note, Needs(A::PostNote);
    GET "/api/v1/tickets/{id}/notes" => list_notes = messages::list_notes, Needs(A::ReadNotes);
    GET "/api/v1/tickets/{id}/sla" => show_ticket_sla = sla::show_ticket_sla, Needs(A::ReadTicket);
    GET "/api/v1/tickets/{id}/sla/explanation" => explain_ticket_sla = sla::explain_ticket_sla, Needs(A::ReadTicket);
    GET "/api/v1/tickets/{id}/events" => list_events = messages::list_events, Needs(A::ReadTicket);

    POST "/api/v1/attachments" => upload_attachment = attachments::upload_attachment, Needs(A::SendAttachment);
    GET "/api/v1/attachments/{id}" => show_attachment = attachments::show_attachment, Needs(A::ReadTicket);
    DELETE "/api/v1/attachments/{id}" => delete_attachment = attachments::delete_attachment, Needs(A::SendAttachment);
    GET "/api/v1/attachments/{id}/content" => download_attachment = downloads::download_attachment, Needs(A::ReadTicket);
    POST "/api/v1/tickets/{id}/attachments" => attach_file = attachments::attach_file, Needs(A::PostMessage);
    GET "/api/v1/tickets/{id}/attachments" => list_attachments = attachments::list_attachments, Needs(A::ReadTicket);

    POST "/api/v1/tickets/{id}/claim" => claim_ticket = operations::claim_ticket, Needs(A::Claim);
    POST "/api/v1/tickets/{id}/assign" => assign_ticket = operations::assign_ticket, Needs(A::Assign);
    POST "/api/v1/tickets/{id}/release" => release_ticket = operations::release_ticket, Needs(A::Release);
    POST "/api/v1/tickets/{id}/transfer" => transfer_ticket = operations::transfer_ticket, Needs(A::Transfer);
    POST "/api/v1/tickets/{id}/wait" => wait_ticket = operations::wait_ticket, Needs(A::Wait);
    POST "/api/v1/tickets/{id}/resume" => resume_ticket = operations::resume_ticket, Needs(A::Resume);
    POST "/api/v1/tickets/{id}/resolve" => resolve_ticket = operations::resolve_ticket, Needs(A::Resolve);
    POST "/api/v1/tickets/{id}/close" => close_ticket = operations::close_ticket, Needs(A::Close);
    POST "/api/v1/tickets/{id}/reopen" => reopen_ticket = operations::reopen_ticket, Needs(A::Reopen);
    POST "/api/v1/tickets/{id}/cancel" => cancel_ticket = operations::cancel_ticket, Needs(A::Cancel);

    GET "/api/v1/deliveries" => list_deliveries = deliveries::list_deliveries, Needs(A::ReadDeliveries);
    GET "/api/v1/deliveries/{id}" => show_delivery = deliveries::show_delivery, Needs(A::ReadDeliveries);
    POST "/api/v1/deliveries/{id}/retry" => retry_delivery = deliveries::retry_delivery, Needs(A::RetryDelivery);

    GET "/api/v1/reports/sla" => report_sla = reports::report_sla, Needs(A::ReadReports);

    GET "/open311/v2/services.{format}" => list_open311_services = open311::services::list_open311_services, Public;
    GET "/open311/v2/services/{id}.{format}" => show_open311_service = open311::services::show_open311_service, Public;
    POST "/open311/v2/requests.{format}" => file_open311_request = open311::requests::file_open311_request, NeedsKey(A::FileTicket);
    GET "/open311/v2/requests.{format}" => list_open311_requests = open311::requests::list_open311_requests, NeedsKey(A::ReadTicket);
    GET "/open311/v2/requests/{id}.{format}" => show_open311_request = open311::requests::show_open311_request, NeedsKey(A::ReadTicket);
    GET "/open311/v2/tokens/{id}.{format}" => show_open311_token = open311::requests::show_open311_token, NeedsKey(A::ReadTicket);
};

/// The operations that read the parameters of their query; every other one of the API takes none and refuses any. Only the
/// way back from an OpenID provider passes over what it does not know. Pages are no part of this: mail programs add
/// parameters of their own to links.
pub const READ_QUERY: &[&str] = &[
    "list_api_clients",
    "list_api_keys",
    "begin_oidc_login",
    "finish_oidc_login",
    "list_own_sessions",
    "list_own_tokens",
    "list_users",
    "list_user_sessions",
    "list_organisations",
    "import_organisations",
    "list_requesters",
    "list_topics",
    "list_queue_agents",
    "list_queues",
    "list_calendars",
    "list_calendar_versions",
    "list_calendar_exceptions",
    "export_calendar",
    "import_calendar",
    "list_sla_policies",
    "list_sla_policy_versions",
    "list_agreements",
    "list_tickets",
    "list_messages",
    "list_notes",
    "explain_ticket_sla",
    "list_events",
    "list_attachments",
    "list_deliveries",
    "report_sla",
];

impl Route {
    pub fn of(operation: &str) -> Option<&'static Route> {
        ROUTES.iter().find(|route| route.operation == operation)
    }

    fn query(&self) -> Query {
        match self.path.starts_with("/api/") && !READ_QUERY.contains(&self.operation) {
            true => Query::Refused,
            false => Query::LeftToTheHandler,
        }
    }
}

/// The methods that a path has, as `Allow` names them. `HEAD` comes with `GET` (RFC 9110, section 9.1); the connection
/// layer leaves the body out.
fn allowed_methods<'a>(routes: impl Iterator<Item = &'a Route>) -> String {
    let mut methods = Vec::new();
    for route in routes {
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.join(", ")
}

/// Mount the table: one resource per path, which answers 405 with `Allow` for the methods that it does not have.
pub fn configure(service: &mut web::ServiceConfig) {
    let mut paths: Vec<&str> = Vec::new();
    for route in ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    for path in paths {
        let on_path = || ROUTES.iter().filter(move |route| route.path == path);
        let mut resource = web::resource(path);
        for route in on_path() {
            let (access, query) = (route.access, route.query());
            let guarded = move |request, next| guard(access, query, request, next);
            resource = resource.route((route.handler)().wrap(from_fn(guarded)));
        }
        let allowed = allowed_methods(on_path());
        let refuse = move || {
            let allowed = allowed.clone();
            std::future::ready(Err::<actix_web::HttpResponse, Error>(Error::MethodNotAllowed {
                allowed,
            }))
        };
        let braked = from_fn(|request, next| guard(Public, Query::LeftToTheHandler, request, next));
        service.service(resource.default_service(web::route().to(refuse).wrap(braked)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source_code;

    const LONGEST_HANDLER: usize = 25;

    /// The files of this folder without their tests, by path.
    fn sources() -> Vec<(String, String)> {
        let product = |text: String| text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
        let files = source_code::below("src/http").into_iter();
        files.map(|(path, text)| (path, product(text))).collect()
    }

    /// From its name to the brace that ends it.
    fn length_of(handler: &str, sources: &[(String, String)]) -> Option<usize> {
        let begin = format!("pub async fn {handler}(");
        let body = sources
            .iter()
            .find_map(|(_, source)| Some(&source[source.find(&begin)?..]))?;
        body.lines().position(|line| line == "}").map(|last| last + 1)
    }

    #[test]
    fn a_handler_extracts_makes_one_call_and_shapes_the_answer() {
        let sources = sources();
        for route in ROUTES {
            let length = length_of(route.operation, &sources);
            let length = length.unwrap_or_else(|| panic!("no handler {}", route.operation));
            assert!(
                length <= LONGEST_HANDLER,
                "{} has {length} lines",
                route.operation
            );
        }
    }

    #[test]
    fn no_query_is_asked_from_here() {
        for (name, source) in sources() {
            let calls = source
                .lines()
                .filter(|line| !line.starts_with("use ") && line.contains("db::"));
            let calls: Vec<&str> = calls.collect();
            assert!(calls.is_empty(), "{name}: {calls:?}");
        }
    }
}

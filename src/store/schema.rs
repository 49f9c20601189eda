//! Diesel's picture of the tables in migrations/, shared by both backends. A test compares it with both databases.

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    organisations (id) {
        id -> BigInt,
        uid -> DbUuid,
        code -> Text,
        kind -> Text,
        name_vi -> Text,
        name_en -> Text,
        short_name -> Text,
        gso_code -> Nullable<Text>,
        egov_code -> Nullable<Text>,
        valid_from -> Nullable<Date>,
        valid_to -> Nullable<Date>,
        successor_id -> Nullable<BigInt>,
        parent_id -> Nullable<BigInt>,
        pilot -> Bool,
        source -> Text,
        search_text -> Text,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    requesters (id) {
        id -> BigInt,
        uid -> DbUuid,
        organisation_id -> BigInt,
        name -> Text,
        email -> Nullable<Text>,
        unit -> Nullable<Text>,
        phone -> Nullable<Text>,
        language -> Text,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        search_text -> Text,
        anonymised_at -> Nullable<TsUtc>,
        anonymise_reason -> Nullable<Text>,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    users (id) {
        id -> BigInt,
        uid -> DbUuid,
        email -> Text,
        name -> Text,
        role -> Text,
        language -> Text,
        active -> Bool,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        password_hash -> Nullable<Text>,
        totp_secret -> Nullable<Text>,
        totp_confirmed_at -> Nullable<TsUtc>,
        totp_last_step -> Nullable<BigInt>,
        oidc_issuer -> Nullable<Text>,
        oidc_subject -> Nullable<Text>,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    calendars (id) {
        id -> BigInt,
        uid -> DbUuid,
        code -> Text,
        name_vi -> Text,
        name_en -> Text,
        is_default -> Bool,
        created_at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, TsUtc};
    calendar_versions (id) {
        id -> BigInt,
        calendar_id -> BigInt,
        version -> BigInt,
        definition -> DbJson,
        author -> Text,
        reason -> Text,
        created_at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    sla_policies (id) {
        id -> BigInt,
        uid -> DbUuid,
        code -> Text,
        name_vi -> Text,
        name_en -> Text,
        is_default -> Bool,
        created_at -> TsUtc,
        retired_at -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, TsUtc};
    sla_policy_versions (id) {
        id -> BigInt,
        policy_id -> BigInt,
        version -> BigInt,
        calendar_id -> BigInt,
        definition -> DbJson,
        applies_to_open -> Bool,
        author -> Text,
        reason -> Text,
        created_at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    queues (id) {
        id -> BigInt,
        uid -> DbUuid,
        code -> Text,
        name_vi -> Text,
        name_en -> Text,
        position -> Integer,
        is_default -> Bool,
        created_at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    queue_members (queue_id, user_id) {
        queue_id -> BigInt,
        user_id -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, DbUuid, TsUtc};
    topics (id) {
        id -> BigInt,
        uid -> DbUuid,
        code -> Text,
        name_vi -> Text,
        name_en -> Text,
        queue_id -> BigInt,
        co_queue_id -> Nullable<BigInt>,
        external_owner -> Nullable<Text>,
        default_priority -> SmallInt,
        keywords -> Text,
        legal_basis -> Text,
        custom_fields -> DbJson,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, DbUuid, TsUtc};
    clients (id) {
        id -> BigInt,
        uid -> DbUuid,
        organisation_id -> BigInt,
        name -> Text,
        search_text -> Text,
        networks -> DbJson,
        include_units -> Bool,
        requests_per_minute -> Nullable<Integer>,
        active -> Bool,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    credentials (id) {
        id -> BigInt,
        uid -> DbUuid,
        lookup -> Text,
        secret_hash -> Text,
        kind -> Text,
        name -> Text,
        client_id -> Nullable<BigInt>,
        user_id -> Nullable<BigInt>,
        scopes -> Text,
        created_at -> TsUtc,
        expires_at -> Nullable<TsUtc>,
        revoked_at -> Nullable<TsUtc>,
        last_used_at -> Nullable<TsUtc>,
        life_seconds -> Nullable<BigInt>,
        replaces_id -> Nullable<BigInt>,
        made_with_id -> Nullable<BigInt>,
        made_as -> Nullable<Text>,
        opened_from -> Nullable<Text>,
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::TsUtc;
    recovery_codes (id) {
        id -> BigInt,
        user_id -> BigInt,
        code_hash -> Text,
        used_at -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::TsUtc;
    login_failures (subject) {
        subject -> Text,
        failures -> BigInt,
        last_at -> TsUtc,
        blocked_until -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    ticket_numbers (year) {
        year -> Integer,
        last -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, DbUuid, TsUtc};
    tickets (id) {
        id -> BigInt,
        uid -> DbUuid,
        number -> Text,
        link_token -> Text,
        subject -> Text,
        body -> Text,
        state -> Text,
        outcome -> Nullable<Text>,
        referred_to -> Nullable<Text>,
        priority -> SmallInt,
        channel -> Text,
        organisation_id -> BigInt,
        requester_id -> Nullable<BigInt>,
        queue_id -> BigInt,
        topic_id -> Nullable<BigInt>,
        assignee_id -> Nullable<BigInt>,
        external_ref -> Nullable<Text>,
        tags -> DbJson,
        custom_fields -> DbJson,
        policy_version_id -> BigInt,
        urgency_at -> TsUtc,
        breached -> Bool,
        filed_at -> TsUtc,
        updated_at -> TsUtc,
        first_response_at -> Nullable<TsUtc>,
        resolved_at -> Nullable<TsUtc>,
        closed_at -> Nullable<TsUtc>,
        closes_at -> Nullable<TsUtc>,
        status_update_at -> Nullable<TsUtc>,
        status_updates -> Integer,
        anonymised_at -> Nullable<TsUtc>,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    messages (id) {
        id -> BigInt,
        uid -> DbUuid,
        ticket_id -> BigInt,
        internal -> Bool,
        author_kind -> Text,
        author_id -> Nullable<BigInt>,
        author_name -> Text,
        body -> Text,
        created_at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    attachments (id) {
        id -> BigInt,
        uid -> DbUuid,
        state -> Text,
        owner_kind -> Text,
        owner_id -> BigInt,
        ticket_id -> Nullable<BigInt>,
        message_id -> Nullable<BigInt>,
        internal -> Bool,
        name -> Text,
        media_type -> Text,
        bytes -> BigInt,
        sha256 -> Text,
        created_at -> TsUtc,
        updated_at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, DbUuid, TsUtc};
    ticket_events (id) {
        id -> BigInt,
        uid -> DbUuid,
        ticket_id -> BigInt,
        kind -> Text,
        internal -> Bool,
        actor_kind -> Text,
        actor_id -> Nullable<BigInt>,
        actor_name -> Text,
        data -> DbJson,
        at -> TsUtc,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, TsUtc};
    clocks (id) {
        id -> BigInt,
        ticket_id -> BigInt,
        target -> Text,
        cycle -> Integer,
        amount -> DbJson,
        calendar_version_id -> BigInt,
        policy_version_id -> BigInt,
        agreement_id -> Nullable<BigInt>,
        state -> Text,
        started_at -> TsUtc,
        segment_from -> Nullable<TsUtc>,
        segment_running -> Bool,
        segment_reason -> Text,
        due_at -> Nullable<TsUtc>,
        remaining_seconds -> BigInt,
        consumed_seconds -> BigInt,
        warn_at -> Nullable<TsUtc>,
        warned_at -> Nullable<TsUtc>,
        warned_percent -> SmallInt,
        breached_at -> Nullable<TsUtc>,
        met_at -> Nullable<TsUtc>,
        stopped_at -> Nullable<TsUtc>,
        next_notice_at -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{TsUtc};
    clock_segments (id) {
        id -> BigInt,
        clock_id -> BigInt,
        from_at -> TsUtc,
        to_at -> TsUtc,
        running -> Bool,
        reason -> Text,
        queue_id -> BigInt,
        assignee_id -> Nullable<BigInt>,
        calendar_version_id -> BigInt,
        carried -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, DbUuid, TsUtc};
    deliveries (id) {
        id -> BigInt,
        uid -> DbUuid,
        ticket_id -> BigInt,
        dedupe_key -> Text,
        channel -> Text,
        kind -> Text,
        recipient -> Text,
        recipient_name -> Text,
        language -> Text,
        payload -> DbJson,
        message_id -> Text,
        thread_id -> Text,
        state -> Text,
        attempts -> Integer,
        next_attempt_at -> Nullable<TsUtc>,
        locked_until -> Nullable<TsUtc>,
        last_error -> Nullable<Text>,
        created_at -> TsUtc,
        sent_at -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, TsUtc};
    idempotency_records (id) {
        id -> BigInt,
        owner_kind -> Text,
        owner_id -> BigInt,
        key -> Text,
        request_hash -> Text,
        status -> Integer,
        headers -> DbJson,
        body -> Text,
        created_at -> TsUtc,
        running_until -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbUuid, TsUtc};
    recounts (id) {
        id -> BigInt,
        uid -> DbUuid,
        calendar_version_id -> Nullable<BigInt>,
        policy_version_id -> Nullable<BigInt>,
        clocks -> BigInt,
        moved_earlier -> BigInt,
        moved_later -> BigInt,
        verdicts_changed -> BigInt,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        finished_at -> Nullable<TsUtc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, DbUuid, TsUtc};
    agreements (id) {
        id -> BigInt,
        uid -> DbUuid,
        organisation_id -> BigInt,
        name_vi -> Text,
        name_en -> Text,
        legal_basis -> Nullable<Text>,
        targets -> DbJson,
        valid_from -> Date,
        valid_to -> Nullable<Date>,
        end_reason -> Nullable<Text>,
        ended_by -> Nullable<Text>,
        author -> Text,
        created_at -> TsUtc,
        updated_at -> TsUtc,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::{DbJson, TsUtc};
    operational_targets (queue_id) {
        queue_id -> BigInt,
        business_minutes -> DbJson,
        author -> Text,
        updated_at -> TsUtc,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::types::TsUtc;
    oidc_logins (id) {
        id -> BigInt,
        state_hash -> Text,
        binding_hash -> Text,
        nonce -> Text,
        code_verifier -> Text,
        return_to -> Nullable<Text>,
        expires_at -> TsUtc,
    }
}

diesel::joinable!(requesters -> organisations (organisation_id));
diesel::joinable!(calendar_versions -> calendars (calendar_id));
diesel::joinable!(sla_policy_versions -> sla_policies (policy_id));
diesel::joinable!(sla_policy_versions -> calendars (calendar_id));
diesel::joinable!(queue_members -> queues (queue_id));
diesel::joinable!(queue_members -> users (user_id));
diesel::joinable!(topics -> queues (queue_id));
diesel::joinable!(clients -> organisations (organisation_id));
diesel::joinable!(credentials -> clients (client_id));
diesel::joinable!(credentials -> users (user_id));
diesel::joinable!(tickets -> organisations (organisation_id));
diesel::joinable!(tickets -> requesters (requester_id));
diesel::joinable!(tickets -> queues (queue_id));
diesel::joinable!(tickets -> topics (topic_id));
diesel::joinable!(tickets -> users (assignee_id));
diesel::joinable!(tickets -> sla_policy_versions (policy_version_id));
diesel::joinable!(messages -> tickets (ticket_id));
diesel::joinable!(ticket_events -> tickets (ticket_id));
diesel::joinable!(attachments -> tickets (ticket_id));
diesel::joinable!(clocks -> tickets (ticket_id));
diesel::joinable!(clocks -> calendar_versions (calendar_version_id));
diesel::joinable!(clocks -> sla_policy_versions (policy_version_id));
diesel::joinable!(clock_segments -> clocks (clock_id));
diesel::joinable!(clock_segments -> queues (queue_id));
diesel::joinable!(clock_segments -> users (assignee_id));
diesel::joinable!(clock_segments -> calendar_versions (calendar_version_id));
diesel::joinable!(deliveries -> tickets (ticket_id));
diesel::joinable!(clocks -> agreements (agreement_id));
diesel::joinable!(agreements -> organisations (organisation_id));
diesel::joinable!(operational_targets -> queues (queue_id));
diesel::joinable!(recounts -> calendar_versions (calendar_version_id));
diesel::joinable!(recounts -> sla_policy_versions (policy_version_id));
diesel::allow_tables_to_appear_in_same_query!(
    agreements,
    attachments,
    operational_targets,
    recounts,
    calendar_versions,
    calendars,
    clients,
    clock_segments,
    clocks,
    credentials,
    deliveries,
    idempotency_records,
    messages,
    oidc_logins,
    organisations,
    queue_members,
    queues,
    requesters,
    sla_policies,
    sla_policy_versions,
    ticket_events,
    ticket_numbers,
    tickets,
    topics,
    users,
);

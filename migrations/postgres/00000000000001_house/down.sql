DROP TABLE oidc_logins;
DROP TABLE idempotency_records, deliveries, clock_segments, clocks, recounts, agreements,
  attachments, ticket_events, messages, ticket_texts, tickets, ticket_numbers,
  login_failures, recovery_codes, credentials, clients, topics, queue_members, operational_targets, queues, sla_policy_versions, sla_policies, calendar_versions, calendars,
  users, requesters, organisations;

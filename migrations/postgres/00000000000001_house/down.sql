DROP TABLE idempotency_records, deliveries, clock_segments, clocks, recounts, agreements,
  ticket_events, messages, ticket_texts, tickets, ticket_numbers,
  credentials, clients, topics, queue_members, operational_targets, queues, sla_policy_versions, sla_policies, calendar_versions, calendars,
  users, requesters, organisations;

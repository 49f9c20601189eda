DROP TABLE idempotency_records, deliveries, clock_segments, clocks, ticket_events, messages, tickets, ticket_numbers,
  credentials, clients, topics, queue_members, queues, sla_policy_versions, sla_policies, calendar_versions, calendars,
  users, requesters, organisations;

-- One filing as pgbench runs it: the writes of src/tickets/filing.rs, one durable transaction per ticket. Its reads
-- (topic, queues, policy, requester, credential) are left out, in pgbench's favour. No colon may touch a letter or digit
-- in a text: pgbench would take it for a variable. Run with the same schema.
\set serial random(1, 1000000000000)
BEGIN;
INSERT INTO ticket_numbers (year, last) VALUES (2026, 1)
  ON CONFLICT (year) DO UPDATE SET last = ticket_numbers.last + 1 RETURNING last \gset
INSERT INTO tickets (uid, number, link_token, subject, body, state, priority, channel, organisation_id, queue_id,
    topic_id, tags, custom_fields, policy_version_id, urgency_at, breached, filed_at, updated_at, version)
  VALUES (gen_random_uuid(), 'GD-2026-' || lpad(CAST(:last AS text), 6, '0'), CAST(gen_random_uuid() AS text),
    'Tiêu chí xác định tỉnh điểm, mẫu về Chính phủ điện tử',
    'Tỉnh được chọn triển khai điểm theo kết luận ngày 22/10/2019. Đề nghị Trung tâm cho biết bộ tiêu chí đã được xác định chưa, tỉnh cần đăng ký những nội dung nào và gửi kế hoạch về đơn vị nào?',
    'queued', 2, 'api', 1, 1, 1, '[]', '{}', 1, now() + interval '1 day', false, now(), now(), 1)
  RETURNING id AS ticket \gset
INSERT INTO clocks (ticket_id, target, cycle, amount, calendar_version_id, policy_version_id, state, started_at,
    segment_from, segment_running, segment_reason, due_at, remaining_seconds, consumed_seconds, warn_at, next_notice_at)
  VALUES
    (:ticket, 'first_response', 1, '{"business_minutes": 240}', 1, 1, 'running', now(), now(), true, 'filed',
      now() + interval '1 day', 14400, 0, now() + interval '20 hours', now() + interval '20 hours'),
    (:ticket, 'resolution', 1, '{"business_minutes": 2400}', 1, 1, 'running', now(), now(), true, 'filed',
      now() + interval '7 days', 144000, 0, now() + interval '6 days', now() + interval '6 days');
INSERT INTO ticket_events (uid, ticket_id, kind, internal, actor_kind, actor_id, actor_name, data, at)
  VALUES (gen_random_uuid(), :ticket, 'ticket_filed', false, 'client', 1, 'load',
    '{"queue": "standing", "topic": "DIEMMAU", "priority": "normal", "channel": "api"}', now());
INSERT INTO deliveries (uid, ticket_id, dedupe_key, channel, kind, recipient, recipient_name, language, payload,
    message_id, thread_id, state, attempts, next_attempt_at, created_at)
  VALUES (gen_random_uuid(), :ticket, CAST(gen_random_uuid() AS text) || '.received.hoa@hue.example.vn', 'email',
    'received', 'hoa@hue.example.vn', 'Nguyễn Thị Hòa', 'vi',
    '{"ticket_number": "GD-2026-000001", "subject": "Tiêu chí xác định tỉnh điểm, mẫu về Chính phủ điện tử", "organisation": "UBND tỉnh Thừa Thiên Huế", "due_at": "2026-11-23T10.00.00+07.00", "link": "https://hoidap.example.vn/t/abcdefghijklmnopqrstuvwxyz234567"}',
    '<0190f0a0-0000-7000-8000-000000000000@localhost>', '<ticket.0190f0a0-0000-7000-8000-000000000000@localhost>',
    'pending', 0, now(), now());
INSERT INTO idempotency_records (owner_kind, owner_id, key, request_hash, status, headers, body, created_at)
  VALUES ('client', 1, CAST(gen_random_uuid() AS text) || CAST(:serial AS text), repeat('0', 64), 201,
    '[["etag", "\"1\""], ["location", "/api/v1/tickets/0190f0a0-0000-7000-8000-000000000000"]]',
    repeat('x', 1600), now());
COMMIT;

-- One filing as pgbench runs it: the writes of src/tickets/filing.rs, one durable transaction per ticket. Its reads
-- (topic, queues, policy, requester, credential) are left out, in pgbench's favour, and so is the requester, whom each
-- filing of the run only finds. No colon may touch a letter or digit in a text: pgbench would take it for a variable;
-- so the words of the search index have an @ before their places. Run with the same schema.
\set serial random(1, 1000000000000)
BEGIN;
INSERT INTO ticket_numbers (year, last) VALUES (2026, 1)
  ON CONFLICT (year) DO UPDATE SET last = ticket_numbers.last + 1 RETURNING last \gset
INSERT INTO tickets (uid, number, link_token, subject, body, state, priority, channel, organisation_id, queue_id,
    topic_id, tags, custom_fields, policy_version_id, urgency_at, breached, filed_at, updated_at, status_updates,
    version)
  VALUES (gen_random_uuid(), 'GD-2026-' || lpad(CAST(:last AS text), 6, '0'), CAST(gen_random_uuid() AS text),
    'Tiêu chí xác định tỉnh điểm, mẫu về Chính phủ điện tử',
    'Tỉnh được chọn triển khai điểm theo kết luận ngày 22/10/2019. Đề nghị Trung tâm cho biết bộ tiêu chí đã được xác định chưa, tỉnh cần đăng ký những nội dung nào và gửi kế hoạch về đơn vị nào?',
    'queued', 2, 'api', 1, 1, 1, '[]', '{}', 1, now() + interval '1 day', false, now(), now(), 0, 1)
  RETURNING id AS ticket \gset
INSERT INTO ticket_texts (ticket_id, words) VALUES (:ticket, CAST(replace(
  '''10''@25 ''2019''@26 ''22''@24 ''biet''@32 ''bo''@33 ''can''@42 ''chi''@2,35 ''chinh''@9 ''cho''@31 ''chon''@16 ''chua''@40 ''da''@36 ''dang''@43 ''de''@27 ''diem''@6,19 ''dien''@11 ''dinh''@4,39 ''don''@54 ''dung''@47 ''duoc''@15,37 ''gui''@50 ''hoach''@52 ''ke''@51 ''ket''@21 ''khai''@18 ''ky''@44 ''luan''@22 ''mau''@7 ''nao''@48,56 ''ngay''@23 ''nghi''@28 ''nhung''@45 ''noi''@46 ''phu''@10 ''tam''@30 ''theo''@20 ''tieu''@1,34 ''tinh''@5,14,41 ''trien''@17 ''trung''@29 ''tu''@12 ''va''@49 ''ve''@8,53 ''vi''@55 ''xac''@3,38 ''§c7bb8207d9c7be36e892b3641044af415'' ''§o114'' ''§p22'' ''§r1''',
  '@', chr(58)) AS tsvector));
INSERT INTO clocks (ticket_id, target, cycle, amount, calendar_version_id, policy_version_id, state, started_at,
    segment_from, segment_running, segment_reason, due_at, remaining_seconds, consumed_seconds, warn_at, warned_percent,
    next_notice_at)
  VALUES
    (:ticket, 'first_response', 1, '{"business_minutes": 480}', 1, 1, 'running', now(), now(), true, 'filed',
      now() + interval '1 day', 28800, 0, now() + interval '20 hours', 0, now() + interval '20 hours'),
    (:ticket, 'resolution', 1, '{"business_days": 5}', 1, 1, 'running', now(), now(), true, 'filed',
      now() + interval '7 days', 144000, 0, now() + interval '6 days', 0, now() + interval '6 days');
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
    repeat('x', 1789), now());
COMMIT;

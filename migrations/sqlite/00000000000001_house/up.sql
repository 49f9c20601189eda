-- The first house. The same tables and columns as migrations/postgres, native types there.
-- `id` columns are inside keys, never shown; `uid` (UUIDv7) is the public identity. Instants are
-- fixed-width RFC 3339 text in UTC with microseconds (so that text order is time order), uuid and JSON are text.

-- Agencies that ask. Closed ones stay and name their successor (63 provinces became 34 on 1 July 2025).
CREATE TABLE organisations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  code TEXT NOT NULL UNIQUE,            -- own code, the only key: GSO codes and names were reused
  kind TEXT NOT NULL CHECK (kind IN ('ministry', 'agency', 'province', 'other')),
  name_vi TEXT NOT NULL,
  name_en TEXT NOT NULL,
  short_name TEXT NOT NULL,
  gso_code TEXT,
  egov_code TEXT,                       -- level-1 agency code of QĐ 20/2020/QĐ-TTg
  valid_from DATE,                      -- null: before the scope of the directory
  valid_to DATE,                        -- last day of validity; null: alive
  successor_id BIGINT REFERENCES organisations (id),   -- owns its tickets from the day after valid_to
  parent_id BIGINT REFERENCES organisations (id),      -- of a unit: the agency that it is part of
  pilot BOOLEAN NOT NULL DEFAULT FALSE,
  source TEXT NOT NULL,
  search_text TEXT NOT NULL,            -- names folded without marks, the same on both databases
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  version BIGINT NOT NULL               -- the ETag
);
CREATE INDEX organisations_kind ON organisations (kind, code);
CREATE INDEX organisations_successor ON organisations (successor_id) WHERE successor_id IS NOT NULL;
CREATE INDEX organisations_parent ON organisations (parent_id) WHERE parent_id IS NOT NULL;

-- A person of an organisation who asks; minimal data (personal data law).
CREATE TABLE requesters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  organisation_id BIGINT NOT NULL REFERENCES organisations (id),
  name TEXT NOT NULL,
  email TEXT,
  unit TEXT,
  phone TEXT,
  language TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  search_text TEXT NOT NULL,            -- name and unit folded without marks
  anonymised_at TEXT,                   -- name, address, telephone and unit are erased; the row stays for counting
  anonymise_reason TEXT,                -- as whoever did it gave it; never shown to programs
  version BIGINT NOT NULL               -- the ETag
);
CREATE UNIQUE INDEX requesters_email ON requesters (organisation_id, email) WHERE email IS NOT NULL;
CREATE INDEX requesters_by_email ON requesters (email) WHERE email IS NOT NULL;
CREATE INDEX requesters_name ON requesters (organisation_id, name);
CREATE INDEX requesters_organisation ON requesters (organisation_id, id);

-- Staff of the centre.
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'supervisor', 'agent', 'auditor')),
  language TEXT NOT NULL,
  active BOOLEAN NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  password_hash TEXT,                   -- argon2id as a PHC string; null: does not log in with a password
  totp_secret TEXT,                     -- base32 (RFC 6238); null: no second factor
  totp_confirmed_at TEXT,      -- null: enrolment has begun and does not count yet
  totp_last_step BIGINT,                -- the newest time step whose code was taken: a code works once
  oidc_issuer TEXT,                     -- who answers for this person's login, and
  oidc_subject TEXT,                    -- under which name; apart from the address, which may change
  version BIGINT NOT NULL               -- the ETag
);
CREATE UNIQUE INDEX users_oidc ON users (oidc_issuer, oidc_subject) WHERE oidc_subject IS NOT NULL;

-- Working hours, versioned: a version is never changed once stored.
CREATE TABLE calendars (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  code TEXT NOT NULL UNIQUE,
  name_vi TEXT NOT NULL,
  name_en TEXT NOT NULL,
  is_default BOOLEAN NOT NULL,
  created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX calendars_default ON calendars (is_default) WHERE is_default;
CREATE TABLE calendar_versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  calendar_id BIGINT NOT NULL REFERENCES calendars (id),
  version BIGINT NOT NULL,              -- 1, 2, 3 … within the calendar; the newest is in force
  definition TEXT NOT NULL,            -- time zone, patterns, exceptions: sla::CalendarSpec
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (calendar_id, version)
);

-- SLA policies, versioned like calendars.
CREATE TABLE sla_policies (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  code TEXT NOT NULL UNIQUE,
  name_vi TEXT NOT NULL,
  name_en TEXT NOT NULL,
  is_default BOOLEAN NOT NULL,
  created_at TEXT NOT NULL,
  retired_at TEXT                       -- matched with no new ticket from then on
);
CREATE UNIQUE INDEX sla_policies_default ON sla_policies (is_default) WHERE is_default;
CREATE TABLE sla_policy_versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  policy_id BIGINT NOT NULL REFERENCES sla_policies (id),
  version BIGINT NOT NULL,
  calendar_id BIGINT NOT NULL REFERENCES calendars (id),
  definition TEXT NOT NULL,            -- targets, conditions, warnings, pauses …: sla::PolicySpec
  applies_to_open BOOLEAN NOT NULL,     -- open tickets of older versions go over to it
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (policy_id, version)
);

-- What a new version of a calendar or policy did to the clocks that were open then; a worker counts as it goes.
CREATE TABLE recounts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  calendar_version_id BIGINT UNIQUE REFERENCES calendar_versions (id),
  policy_version_id BIGINT UNIQUE REFERENCES sla_policy_versions (id),
  clocks BIGINT NOT NULL,               -- open clocks that now name the new version
  moved_earlier BIGINT NOT NULL,
  moved_later BIGINT NOT NULL,
  verdicts_changed BIGINT NOT NULL,     -- open clocks that were late and are not any more, or the reverse
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  finished_at TEXT,                     -- null while clocks are left
  CHECK ((calendar_version_id IS NULL) <> (policy_version_id IS NULL))
);
CREATE INDEX recounts_unfinished ON recounts (id) WHERE finished_at IS NULL;

-- An organisation's own targets from one date to another. Never changed but for its end: other terms are another row.
CREATE TABLE agreements (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  organisation_id BIGINT NOT NULL REFERENCES organisations (id),
  name_vi TEXT NOT NULL,
  name_en TEXT NOT NULL,
  legal_basis TEXT,
  targets TEXT NOT NULL,                -- by target and priority, in the place of the policy's
  valid_from DATE NOT NULL,
  valid_to DATE,                        -- last day of validity; null: until further notice
  end_reason TEXT,                      -- why it was ended before its time, and by whom
  ended_by TEXT,
  author TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  version BIGINT NOT NULL               -- the ETag
);
CREATE INDEX agreements_organisation ON agreements (organisation_id, valid_from);

-- Queues, their members and the topics that route to them: data, because the groups were re-organised three times.
CREATE TABLE queues (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  code TEXT NOT NULL UNIQUE,
  name_vi TEXT NOT NULL,
  name_en TEXT NOT NULL,
  position INTEGER NOT NULL,            -- order on screens
  is_default BOOLEAN NOT NULL,          -- gets what no topic routes
  created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX queues_default ON queues (is_default) WHERE is_default;
CREATE TABLE queue_members (
  queue_id BIGINT NOT NULL REFERENCES queues (id),
  user_id BIGINT NOT NULL REFERENCES users (id),
  PRIMARY KEY (queue_id, user_id)
);
CREATE INDEX queue_members_user ON queue_members (user_id);
CREATE TABLE topics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  code TEXT NOT NULL UNIQUE,
  name_vi TEXT NOT NULL,
  name_en TEXT NOT NULL,
  queue_id BIGINT NOT NULL REFERENCES queues (id),
  co_queue_id BIGINT REFERENCES queues (id),   -- the group that is asked for an opinion
  external_owner TEXT,                  -- competent agencies by code, `;` between them
  default_priority SMALLINT NOT NULL,
  keywords TEXT NOT NULL,
  legal_basis TEXT NOT NULL,
  custom_fields TEXT NOT NULL,         -- what a question on it is asked besides: a list of queues::fields::CustomField
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  version BIGINT NOT NULL               -- the ETag
);

-- Operational targets: how long a queue may hold a ticket, in business minutes by priority.
CREATE TABLE operational_targets (
  queue_id BIGINT PRIMARY KEY REFERENCES queues (id),
  business_minutes TEXT NOT NULL,       -- {"urgent": 30, …}; a priority that is not named has no target
  author TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  version BIGINT NOT NULL               -- the ETag
);

-- Programs of organisations. A program outlives its keys: what it did and may repeat is its own, not the key's.
CREATE TABLE clients (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  organisation_id BIGINT NOT NULL REFERENCES organisations (id),
  name TEXT NOT NULL,
  search_text TEXT NOT NULL,            -- the name folded without marks
  networks TEXT NOT NULL,             -- where its keys may come from, as CIDR; empty: from anywhere
  include_units BOOLEAN NOT NULL,       -- also sees the tickets of the organisation's units
  requests_per_minute INTEGER,          -- its own limit; null: the server's
  active BOOLEAN NOT NULL,              -- false: none of its keys opens anything
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  version BIGINT NOT NULL,              -- the ETag
  UNIQUE (organisation_id, name)
);

-- Keys of organisations' programs, personal tokens and sessions of staff. Only a hash of the secret is stored.
CREATE TABLE credentials (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  lookup TEXT NOT NULL UNIQUE,          -- the public half of the token
  secret_hash TEXT NOT NULL,            -- SHA-256 of the secret half, hex
  kind TEXT NOT NULL CHECK (kind IN ('key', 'token', 'session')),
  name TEXT NOT NULL,
  client_id BIGINT REFERENCES clients (id),
  user_id BIGINT REFERENCES users (id),
  scopes TEXT NOT NULL,                 -- space separated; empty for staff: all that the role may
  created_at TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT,
  last_used_at TEXT,             -- to the minute: at most one write a minute
  life_seconds BIGINT,                  -- of a key: for how long it was given; null: until it is ended
  replaces_id BIGINT REFERENCES credentials (id),   -- of a key made by rotation: the one before it
  made_with_id BIGINT REFERENCES credentials (id),  -- what its holder made it with (key, token, session): ends with that
  made_as TEXT,                         -- of a token: the roles its person had then and those of what it was made with,
                                        -- space separated; it may do what all of them and the present one may
  opened_from TEXT,                     -- of a session: the address and
  user_agent TEXT,                      -- the program that it was opened with
  CHECK ((client_id IS NULL) <> (user_id IS NULL)),
  CHECK ((kind = 'key') = (client_id IS NOT NULL)),
  CHECK ((kind = 'token') = (made_as IS NOT NULL))
);
CREATE INDEX credentials_user ON credentials (user_id, kind) WHERE user_id IS NOT NULL;
CREATE INDEX credentials_client ON credentials (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX credentials_replaces ON credentials (replaces_id) WHERE replaces_id IS NOT NULL;
CREATE INDEX credentials_made_with ON credentials (made_with_id) WHERE made_with_id IS NOT NULL;
CREATE INDEX credentials_expiry ON credentials (expires_at) WHERE expires_at IS NOT NULL;   -- sessions are swept

-- Logins by the OpenID provider that have begun: whichever replica they come back to ends them, each once.
CREATE TABLE oidc_logins (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state_hash TEXT NOT NULL UNIQUE,      -- SHA-256 of what the provider gives back, hex
  binding_hash TEXT NOT NULL,           -- SHA-256 of the cookie of the browser in which it began, hex
  nonce TEXT NOT NULL,                  -- stands in the ID token of this login and of no other
  code_verifier TEXT NOT NULL,          -- the secret of PKCE (RFC 7636); useless without the code
  return_to TEXT,                       -- local path that the program asked to be given back
  expires_at TEXT NOT NULL
);
CREATE INDEX oidc_logins_expiry ON oidc_logins (expires_at);

-- What a person logs in with who has lost their second factor; each works once.
CREATE TABLE recovery_codes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id BIGINT NOT NULL REFERENCES users (id),
  code_hash TEXT NOT NULL,              -- SHA-256, hex
  used_at TEXT,
  UNIQUE (user_id, code_hash)
);

-- Logins that failed, so that guessing slows down. A row says nothing of whether there is such a person.
CREATE TABLE login_failures (
  subject TEXT PRIMARY KEY NOT NULL,    -- SHA-256 of the address of mail, or of the network that was called from
  failures BIGINT NOT NULL,             -- also those that are just being tried
  last_at TEXT NOT NULL,
  blocked_until TEXT
);
CREATE INDEX login_failures_last ON login_failures (last_at);

-- The last number given in each year; the row lock makes numbers gapless across replicas.
CREATE TABLE ticket_numbers (
  year INTEGER PRIMARY KEY,
  last BIGINT NOT NULL
);

CREATE TABLE tickets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  number TEXT NOT NULL UNIQUE,          -- GD-2026-000123
  link_token TEXT NOT NULL UNIQUE,      -- unguessable; the status page's address in mails
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'assigned', 'waiting', 'resolved', 'closed', 'cancelled', 'merged')),
  outcome TEXT CHECK (outcome IN ('answered', 'referred', 'raised')),
  referred_to TEXT,
  priority SMALLINT NOT NULL CHECK (priority BETWEEN 1 AND 4),   -- 1 low … 4 urgent
  channel TEXT NOT NULL,
  organisation_id BIGINT NOT NULL REFERENCES organisations (id),
  requester_id BIGINT REFERENCES requesters (id),
  queue_id BIGINT NOT NULL REFERENCES queues (id),
  topic_id BIGINT REFERENCES topics (id),
  assignee_id BIGINT REFERENCES users (id),
  external_ref TEXT,
  tags TEXT NOT NULL,
  custom_fields TEXT NOT NULL,
  policy_version_id BIGINT NOT NULL REFERENCES sla_policy_versions (id),
  urgency_at TEXT NOT NULL,      -- earliest due of its running clocks; 9999-12-31 when none runs
  breached BOOLEAN NOT NULL,            -- some clock of it was breached
  filed_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  first_response_at TEXT,
  resolved_at TEXT,
  closed_at TEXT,
  closes_at TEXT,                -- when a resolved ticket closes by itself
  status_update_at TEXT,                -- when the asker of a late question is next told how it stands
  status_updates INTEGER NOT NULL,      -- how often they were told
  anonymised_at TEXT,             -- when retention took its texts and persons away; its figures stay
  version BIGINT NOT NULL               -- the ETag; grows with every change
);
CREATE INDEX tickets_filed ON tickets (filed_at DESC, id DESC);
CREATE INDEX tickets_updated ON tickets (updated_at DESC, id DESC);
CREATE INDEX tickets_urgency ON tickets (urgency_at, id);
CREATE INDEX tickets_organisation ON tickets (organisation_id, filed_at DESC, id DESC);
CREATE INDEX tickets_queue ON tickets (queue_id, filed_at DESC, id DESC);
CREATE INDEX tickets_queue_urgency ON tickets (queue_id, urgency_at, id);
CREATE INDEX tickets_priority ON tickets (priority, urgency_at, id);
CREATE INDEX tickets_state ON tickets (state, filed_at DESC, id DESC);
CREATE INDEX tickets_breached ON tickets (filed_at DESC, id DESC) WHERE breached;
CREATE INDEX tickets_assignee ON tickets (assignee_id, filed_at DESC, id DESC) WHERE assignee_id IS NOT NULL;
CREATE INDEX tickets_waiting_in_queue ON tickets (queue_id, urgency_at, priority DESC, id) WHERE state = 'queued';
CREATE INDEX tickets_policy ON tickets (policy_version_id, id) WHERE state IN ('queued', 'assigned', 'waiting');
CREATE INDEX tickets_held ON tickets (queue_id, assignee_id) WHERE state IN ('assigned', 'waiting');
CREATE INDEX tickets_closing ON tickets (closes_at) WHERE closes_at IS NOT NULL;
CREATE INDEX tickets_status_update ON tickets (status_update_at) WHERE status_update_at IS NOT NULL;
CREATE INDEX tickets_retention ON tickets (closed_at) WHERE closed_at IS NOT NULL AND anonymised_at IS NULL;
CREATE INDEX tickets_external_ref ON tickets (external_ref, organisation_id) WHERE external_ref IS NOT NULL;

-- What lists search by, one row per ticket: the folded words of its subject, body and public messages, and marks of its
-- organisation, topic, requester, channel, tags and custom fields. The words are made by the product (tickets::search).
-- Keeps no copy of the text. The `ascii` tokenizer parts words at spaces only, because there is nothing else between them.
CREATE VIRTUAL TABLE ticket_texts USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');

-- What was said: public messages and internal notes.
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  ticket_id BIGINT NOT NULL REFERENCES tickets (id),
  internal BOOLEAN NOT NULL,            -- true: a note, never shown to an organisation
  author_kind TEXT NOT NULL CHECK (author_kind IN ('staff', 'client', 'system')),
  author_id BIGINT,                     -- users.id of staff, clients.id of a client
  author_name TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at TEXT NOT NULL
);
CREATE INDEX messages_ticket ON messages (ticket_id, internal, id);

-- Files. The row is there before the bytes and goes after them, so that no byte is without a row
-- (docs/decisions/0017). Bytes lie in a folder or an S3-compatible store under a key of our own making.
CREATE TABLE attachments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('uploading', 'stored', 'removing')),
  owner_kind TEXT NOT NULL CHECK (owner_kind IN ('staff', 'client')),
  owner_id BIGINT NOT NULL,             -- users.id or clients.id of who sent it; theirs alone until it is used
  ticket_id BIGINT REFERENCES tickets (id),     -- null: not used yet
  message_id BIGINT REFERENCES messages (id),   -- of which message or note; null: of the ticket itself
  internal BOOLEAN NOT NULL,            -- true: of a note, never shown to an organisation
  name TEXT NOT NULL,                   -- as the sender called it, cleaned; only ever shown
  media_type TEXT NOT NULL,             -- found in the content
  bytes BIGINT NOT NULL,                -- 0 while it is uploading
  sha256 TEXT NOT NULL,                 -- hex; empty while it is uploading
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL       -- when its state last changed, or its removal last failed
);
CREATE INDEX attachments_ticket ON attachments (ticket_id, id) WHERE ticket_id IS NOT NULL;
CREATE INDEX attachments_unused ON attachments (created_at) WHERE ticket_id IS NULL AND state <> 'removing';
CREATE INDEX attachments_removing ON attachments (updated_at) WHERE state = 'removing';

-- History: one fact each, append only.
CREATE TABLE ticket_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  ticket_id BIGINT NOT NULL REFERENCES tickets (id),
  kind TEXT NOT NULL,
  internal BOOLEAN NOT NULL,            -- true: not shown to an organisation
  actor_kind TEXT NOT NULL CHECK (actor_kind IN ('staff', 'client', 'system')),
  actor_id BIGINT,                      -- users.id of staff, clients.id of a client
  actor_name TEXT NOT NULL,
  data TEXT NOT NULL,
  at TEXT NOT NULL               -- the true instant; a breach found late still carries its due
);
CREATE INDEX ticket_events_ticket ON ticket_events (ticket_id, id);

-- One target of one ticket. The open segment is in the row; closed ones are in clock_segments.
CREATE TABLE clocks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ticket_id BIGINT NOT NULL REFERENCES tickets (id),
  target TEXT NOT NULL CHECK (target IN ('first_response', 'next_response', 'resolution')),
  cycle INTEGER NOT NULL,               -- 1, and one more for each reopening that starts anew
  amount TEXT NOT NULL,                -- {"business_minutes": 60}
  calendar_version_id BIGINT NOT NULL REFERENCES calendar_versions (id),
  policy_version_id BIGINT NOT NULL REFERENCES sla_policy_versions (id),
  agreement_id BIGINT REFERENCES agreements (id),   -- that the amount rests on; null: the policy
  state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'met', 'breached', 'stopped')),
  started_at TEXT NOT NULL,
  segment_from TEXT,             -- of the open segment; null once stopped
  segment_running BOOLEAN NOT NULL,
  segment_reason TEXT NOT NULL,
  due_at TEXT,                   -- null while paused before the due
  remaining_seconds BIGINT NOT NULL,    -- business seconds left at the start of the open segment
  consumed_seconds BIGINT NOT NULL,     -- business seconds of the closed running segments
  warn_at TEXT,                  -- when the next warning falls; null while paused and after the last
  warned_at TEXT,
  warned_percent SMALLINT NOT NULL,     -- highest threshold noticed; 0: none
  breached_at TEXT,              -- the due instant itself, whenever it was noticed
  met_at TEXT,
  stopped_at TEXT,
  next_notice_at TEXT,           -- earliest of an unnoticed warning or breach
  UNIQUE (ticket_id, target, cycle)
);
CREATE INDEX clocks_notice ON clocks (next_notice_at) WHERE next_notice_at IS NOT NULL;
-- Which open clocks a new version touches, and what an old version is used by.
CREATE INDEX clocks_open_calendar ON clocks (calendar_version_id, ticket_id) WHERE stopped_at IS NULL;
CREATE INDEX clocks_calendar ON clocks (calendar_version_id);

-- Closed parts of clocks, each with who held the ticket then: the queue, and the agent if it had one. The open part's
-- holder is the ticket's present one. Who adds up seconds by holder leaves out `carried`, which says again what an
-- earlier cycle says.
CREATE TABLE clock_segments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  clock_id BIGINT NOT NULL REFERENCES clocks (id),
  from_at TEXT NOT NULL,
  to_at TEXT NOT NULL,
  running BOOLEAN NOT NULL,
  reason TEXT NOT NULL,
  queue_id BIGINT NOT NULL REFERENCES queues (id),
  assignee_id BIGINT REFERENCES users (id),
  calendar_version_id BIGINT NOT NULL REFERENCES calendar_versions (id),
  carried BOOLEAN NOT NULL              -- true: copied from the cycle before, by the reopen rule `continue`
);
CREATE INDEX clock_segments_clock ON clock_segments (clock_id, id);
CREATE INDEX clock_segments_calendar ON clock_segments (calendar_version_id);

-- The outbox: one message to one recipient, written with what caused it and carried out by a worker.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  ticket_id BIGINT NOT NULL REFERENCES tickets (id),
  dedupe_key TEXT NOT NULL UNIQUE,      -- event, kind and recipient: the same notice cannot be written twice
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  recipient TEXT NOT NULL,
  recipient_name TEXT NOT NULL,
  language TEXT NOT NULL,
  payload TEXT NOT NULL,               -- what the template shows, as it was at that moment
  message_id TEXT NOT NULL,             -- stable over retries, so that a mail server can drop a repeat
  thread_id TEXT NOT NULL,              -- root of the ticket's mail thread
  state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'dead')),
  attempts INTEGER NOT NULL,
  next_attempt_at TEXT,          -- null once sent or dead
  locked_until TEXT,             -- lease of the worker that carries it
  last_error TEXT,
  created_at TEXT NOT NULL,
  sent_at TEXT
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at, id) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_state ON deliveries (state, id);
CREATE INDEX deliveries_ticket ON deliveries (ticket_id, id);

-- First answers of POSTs that carried an Idempotency-Key, kept 24 hours. One of several transactions stands here before it
-- has an answer: whose runner says nothing until `running_until` is gone, and a repetition goes on in its place.
CREATE TABLE idempotency_records (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_kind TEXT NOT NULL CHECK (owner_kind IN ('staff', 'client')),
  owner_id BIGINT NOT NULL,             -- users.id of staff, clients.id of a client: a new key repeats the old one's
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,           -- SHA-256 of method, path and body
  status INTEGER NOT NULL,              -- 0 while it runs
  headers TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at TEXT NOT NULL,
  running_until TEXT,
  UNIQUE (owner_kind, owner_id, key)
);
CREATE INDEX idempotency_records_created ON idempotency_records (created_at);

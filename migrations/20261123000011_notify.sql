-- Notifications: what there is to tell (notice), who hears of it (channel, rule), and what was sent (delivery).

-- Where messages go. What is secret (addresses of webhooks, signing keys, passwords) is sealed with the installation's key.
create table notification_channel (
    tenant_id    uuid        not null references organization,
    id           uuid        not null,
    kind         text        not null check (kind in ('EMAIL', 'SLACK', 'WEBHOOK')),
    name         text        not null check (length(name) between 1 and 100),
    -- What may be shown of the target: the host of a webhook, the mail server.
    target       text        not null check (length(target) <= 300),
    -- EMAIL: `{host, port, encryption, username, from, to}`; else `{}`.
    settings     jsonb       not null default '{}' check (length(settings::text) <= 8000),
    -- `{url, secret, password}`, sealed.
    sealed       bytea       not null check (length(sealed) <= 8000),
    created_at   timestamptz not null,
    created_by   text        not null,
    last_ok_at   timestamptz,
    -- Since when nothing came through, and the last reason.
    failing_since timestamptz,
    last_error   text        check (length(last_error) <= 500),
    disabled_at  timestamptz,
    -- Why, in a sentence.
    disabled_reason text     check (length(disabled_reason) <= 500),
    deleted_at   timestamptz,
    primary key (tenant_id, id),
    check ((disabled_at is null) = (disabled_reason is null))
);
create unique index notification_channel_name on notification_channel (tenant_id, name) where deleted_at is null;

-- Who hears of what.
create table notification_rule (
    tenant_id      uuid        not null references organization,
    id             uuid        not null,
    name           text        not null check (length(name) between 1 and 100),
    channel_id     uuid        not null,
    topics         text[]      not null check (cardinality(topics) between 1 and 30),
    -- The mildest severity that is told, as its rank: 0 CRITICAL to 4 INFO.
    min_severity   smallint    not null check (min_severity between 0 and 4),
    -- By e-mail: to these members and to the members with these roles; both empty: to the channel's own addresses.
    members        uuid[]      not null default '{}' check (cardinality(members) <= 100),
    roles          text[]      not null default '{}' check (cardinality(roles) <= 7),
    -- Local time; all but CRITICAL waits for their end.
    quiet_from     time,
    quiet_to       time,
    time_zone      text        not null default 'UTC' check (length(time_zone) <= 50),
    -- Collected for so long, then sent as one; 0: at once.
    digest_minutes integer     not null default 0 check (digest_minutes between 0 and 1440),
    -- What was told is not told again within this time.
    dedup_minutes  integer     not null default 60 check (dedup_minutes between 1 and 10080),
    enabled        boolean     not null default true,
    created_at     timestamptz not null,
    created_by     text        not null,
    deleted_at     timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, channel_id) references notification_channel,
    check ((quiet_from is null) = (quiet_to is null) and (quiet_from <> quiet_to or quiet_from is null))
);
create index notification_rule_channel on notification_rule (tenant_id, channel_id);

-- Something to tell, written in the transaction that makes it true.
create table notice (
    tenant_id  uuid        not null references organization,
    id         uuid        not null,
    topic      text        not null check (length(topic) <= 40),
    severity   smallint    not null check (severity between 0 and 4),
    title      text        not null check (length(title) between 1 and 300),
    text       text        not null check (length(text) <= 4000),
    -- A path of the dashboard.
    link       text        not null check (link ~ '^/' and length(link) <= 500),
    -- Who may hear of it.
    permission text        not null check (length(permission) <= 40),
    subject    uuid        not null,
    -- The same key is told once within a rule's time.
    key        text        not null check (length(key) between 1 and 300),
    at         timestamptz not null,
    -- When it was decided who hears of it.
    routed_at  timestamptz,
    primary key (tenant_id, id)
);
create index notice_unrouted on notice (tenant_id, id) where routed_at is null;
create index notice_time on notice (tenant_id, at);

-- What a rule told already.
create table notification_seen (
    tenant_id uuid        not null,
    rule_id   uuid        not null,
    key       text        not null,
    at        timestamptz not null,
    until     timestamptz not null,
    primary key (tenant_id, rule_id, key),
    foreign key (tenant_id, rule_id) references notification_rule
);

-- A message to one target: outbox and log. Its id is the Idempotency-Key of all its attempts.
create table notification_delivery (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    channel_id  uuid        not null,
    -- Null: a test.
    rule_id     uuid,
    -- The member it is for; null: the channel's own target.
    user_id     uuid,
    status      text        not null check (status in ('HELD', 'WAITING', 'DELIVERED', 'DEAD', 'DROPPED')),
    -- When it is sent, or tried again.
    due_at      timestamptz not null,
    -- Whoever sends it has it until then.
    leased_until timestamptz,
    -- Attempts since it was made or replayed.
    tries       smallint    not null default 0,
    -- `[{at, status, milliseconds, answer, error}]`, the last twenty.
    attempts    jsonb       not null default '[]' check (jsonb_typeof(attempts) = 'array'),
    -- Why it was dropped or given up.
    reason      text        check (length(reason) <= 500),
    created_at  timestamptz not null,
    finished_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, channel_id) references notification_channel,
    foreign key (tenant_id, rule_id) references notification_rule,
    check ((finished_at is null) = (status in ('HELD', 'WAITING')))
);
create index notification_delivery_time on notification_delivery (tenant_id, created_at desc, id desc);
create index notification_delivery_due on notification_delivery (tenant_id, due_at) where status in ('HELD', 'WAITING');
create index notification_delivery_channel on notification_delivery (tenant_id, channel_id, created_at desc);
-- What is collected for one target of a rule is one message.
create unique index notification_delivery_held on notification_delivery
    (tenant_id, rule_id, (coalesce(user_id, '00000000-0000-0000-0000-000000000000'))) where status = 'HELD';

-- What a message tells.
create table notification_content (
    tenant_id   uuid not null,
    delivery_id uuid not null,
    notice_id   uuid not null,
    primary key (tenant_id, delivery_id, notice_id),
    foreign key (tenant_id, delivery_id) references notification_delivery on delete cascade,
    foreign key (tenant_id, notice_id) references notice on delete cascade
);
create index notification_content_notice on notification_content (tenant_id, notice_id);

call protect_tenant_table('notification_channel');
call protect_tenant_table('notification_rule');
call protect_tenant_table('notice');
call protect_tenant_table('notification_seen');
call protect_tenant_table('notification_delivery');
call protect_tenant_table('notification_content');

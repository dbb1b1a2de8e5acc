-- The runtime layer: sensors, policies, events of agents' runs, and what is counted of them.

-- How an organization treats what its agents say; a row only when it differs from the defaults.
create table runtime_setting (
    tenant_id      uuid     primary key references organization,
    -- Whether redacted text is kept with events. Off: only hashes, lengths and what was detected.
    store_text     boolean  not null default false,
    retention_days smallint not null default 30 check (retention_days between 1 and 400),
    updated_at     timestamptz not null,
    updated_by     text     not null
);

-- Something that tells Stance of events: a gateway, an SDK, a collector. It has an API token of its own.
create table sensor (
    tenant_id    uuid        not null references organization,
    id           uuid        not null,
    name         text        not null check (length(name) between 1 and 100),
    -- What it watches; events that name no agent are of this asset, and so is the finding that it went silent.
    asset_id     uuid        not null,
    token_id     uuid        not null,
    version      text        not null default '' check (length(version) <= 100),
    -- The policy that it says it enforces.
    policy_hash  text        check (policy_hash ~ '^[0-9a-f]{64}$'),
    -- Without a sign of life for so long it is silent.
    silent_after_s integer   not null default 300 check (silent_after_s between 30 and 86400),
    last_seen_at timestamptz,
    -- Since when it is known to be silent.
    silent_since timestamptz,
    events       bigint      not null default 0,
    created_at   timestamptz not null,
    retired_at   timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, asset_id) references asset,
    foreign key (tenant_id, token_id) references api_token
);
create unique index sensor_name on sensor (tenant_id, name) where retired_at is null;
create unique index sensor_token on sensor (tenant_id, token_id);

-- A policy is a name with versions; one version is in force, or none.
create table policy (
    tenant_id  uuid        not null references organization,
    id         uuid        not null,
    name       text        not null check (length(name) between 1 and 100),
    -- To which agents it applies; empty: to all that no other policy names.
    agents     uuid[]      not null default '{}',
    -- The version in force.
    active     integer,
    created_at timestamptz not null,
    archived_at timestamptz,
    primary key (tenant_id, id),
    check (archived_at is null or active is null)
);
create unique index policy_name on policy (tenant_id, name) where archived_at is null;

create table policy_version (
    tenant_id  uuid        not null,
    policy_id  uuid        not null,
    version    integer     not null check (version > 0),
    -- `stance_engine::policy::Policy`
    document   jsonb       not null,
    hash       text        not null check (hash ~ '^[0-9a-f]{64}$'),
    note       text        not null default '' check (length(note) <= 1000),
    created_at timestamptz not null,
    created_by text        not null,
    primary key (tenant_id, policy_id, version),
    foreign key (tenant_id, policy_id) references policy
);
alter table policy add foreign key (tenant_id, id, active) references policy_version (tenant_id, policy_id, version);

-- Events, one partition a day (`stance::runtime::partitions` makes and drops them). The id is made of the sensor's and the sensor's
-- own name for the event, so that what is told twice is there once: both have the same time.
create table event (
    tenant_id    uuid        not null,
    id           uuid        not null,
    at           timestamptz not null,
    received_at  timestamptz not null,
    -- Null: the inspect API.
    sensor_id    uuid,
    agent_id     uuid,
    kind         text        not null check (kind in ('PROMPT', 'RESPONSE', 'TOOL_CALL', 'TOOL_RESULT', 'TOOL_DESCRIPTION', 'RETRIEVAL', 'MEMORY_READ', 'MEMORY_WRITE', 'DELEGATION', 'APPROVAL', 'GUARDRAIL')),
    channel      text        check (channel in ('USER_INPUT', 'SYSTEM_PROMPT', 'MODEL_OUTPUT', 'TOOL_DESCRIPTION', 'TOOL_INPUT', 'TOOL_OUTPUT', 'DOCUMENT', 'MEMORY')),
    -- What Stance says of it; for one that came by the inspect API also what it answered.
    verdict      text        not null check (verdict in ('ALLOW', 'FLAG', 'REDACT', 'BLOCK')),
    score        real        not null check (score between 0 and 1),
    -- `[{rule, category, score, span, reason}]`, the surest first, at most 20.
    detections   jsonb       not null default '[]',
    -- The policy version that decided.
    policy_id    uuid,
    policy_version integer,
    session      text        check (length(session) <= 200),
    trace        text        check (length(trace) <= 32),
    span         text        check (length(span) <= 16),
    parent_span  text        check (length(parent_span) <= 16),
    model        text        check (length(model) <= 512),
    tool_server  text        check (length(tool_server) <= 200),
    tool         text        check (length(tool) <= 200),
    tool_id      uuid,
    input_tokens  bigint,
    output_tokens bigint,
    cost_usd     double precision,
    duration_ms  double precision,
    -- How long the inspection took.
    inspect_us   integer,
    -- SHA-256 of the text that was given, and its bytes.
    text_hash    bytea,
    text_bytes   integer,
    -- Redacted, at most 4,000 characters; only when the organization keeps text.
    text         text        check (length(text) <= 4000),
    -- What only some kinds have: `{to, approval, guardrail, error, arguments}`; arguments only as the text.
    detail       jsonb,
    primary key (tenant_id, id, at)
) partition by range (at);
-- The feed and its filters; a session's steps.
create index event_time on event (tenant_id, at desc, id desc) include (verdict, agent_id, kind);
create index event_session on event (tenant_id, session, at, id) where session is not null;

-- What events are counted by, in quarters of an hour.
create table event_count (
    tenant_id  uuid        not null,
    bucket     timestamptz not null,
    agent_id   uuid        not null,
    kind       text        not null,
    -- '' where there is none.
    channel    text        not null,
    verdict    text        not null,
    policy_id  uuid        not null,
    count      bigint      not null,
    tokens     bigint      not null,
    cost_usd   double precision not null,
    primary key (tenant_id, bucket, agent_id, kind, channel, verdict, policy_id)
);

-- How long inspections took: `bound` is the power of two in microseconds below which `count` of them stayed (and not below half of it).
create table inspect_latency (
    tenant_id uuid        not null,
    bucket    timestamptz not null,
    bound     integer     not null,
    count     bigint      not null,
    primary key (tenant_id, bucket, bound)
);

-- What was detected on which agent.
create table detection_count (
    tenant_id uuid        not null,
    bucket    timestamptz not null,
    agent_id  uuid        not null,
    rule      text        not null,
    verdict   text        not null,
    policy_id uuid        not null,
    count     bigint      not null,
    primary key (tenant_id, bucket, agent_id, rule, verdict, policy_id)
);

-- A pattern on an agent, for ever: what becomes a finding.
create table runtime_pattern (
    tenant_id  uuid        not null,
    agent_id   uuid        not null,
    rule       text        not null check (length(rule) <= 300),
    -- The tool or model that it was seen with; '' for none.
    subject    text        not null check (length(subject) <= 512),
    category   text        not null,
    reason     text        not null,
    -- The strictest verdict, 0 ALLOW to 3 BLOCK.
    worst      smallint    not null check (worst between 0 and 3),
    score      real        not null,
    count      bigint      not null,
    first_at   timestamptz not null,
    last_at    timestamptz not null,
    -- An event that shows it.
    event_id   uuid        not null,
    primary key (tenant_id, agent_id, rule, subject)
);
-- Agents whose patterns changed since they were last made findings of.
create table runtime_dirty (
    tenant_id uuid        not null,
    agent_id  uuid        not null,
    since     timestamptz not null,
    primary key (tenant_id, agent_id)
);

-- When agents were last reported.
create table runtime_reported (
    tenant_id uuid        not null,
    agent_id  uuid        not null,
    at        timestamptz not null,
    primary key (tenant_id, agent_id)
);

-- Which tools an agent used, a day: declared against observed.
create table tool_use (
    tenant_id uuid        not null,
    agent_id  uuid        not null,
    tool_id   uuid        not null,
    day       date        not null,
    count     bigint      not null,
    blocked   bigint      not null,
    last_at   timestamptz not null,
    primary key (tenant_id, agent_id, tool_id, day)
);

-- Runs, by the name that their events give.
create table agent_session (
    tenant_id  uuid        not null,
    agent_id   uuid        not null,
    session    text        not null check (length(session) between 1 and 200),
    id         uuid        not null,
    first_at   timestamptz not null,
    last_at    timestamptz not null,
    events     bigint      not null,
    tool_calls bigint      not null,
    tokens     bigint      not null,
    -- The strictest verdict, 0 ALLOW to 3 BLOCK.
    worst      smallint    not null check (worst between 0 and 3),
    score      real        not null,
    -- Multi-step patterns that were found, `[{rule, reason, category, events}]`.
    sequences  jsonb       not null default '[]',
    -- Events that the analysis has not seen yet.
    dirty      boolean     not null default true,
    primary key (tenant_id, agent_id, session),
    unique (tenant_id, id)
);
create index agent_session_time on agent_session (tenant_id, last_at desc, id desc) include (worst, agent_id);
create index agent_session_dirty on agent_session (tenant_id, last_at) where dirty;

-- What a person said of a verdict.
create table event_feedback (
    tenant_id  uuid        not null,
    event_id   uuid        not null,
    event_at   timestamptz not null,
    label      text        not null check (label in ('ATTACK', 'HARMLESS')),
    -- As the event had them, so that quality can be told after the event is gone.
    verdict    text        not null,
    score      real        not null,
    rules      text[]      not null,
    policy_id  uuid,
    agent_id   uuid,
    channel    text,
    labelled_by text       not null,
    labelled_at timestamptz not null,
    note       text        not null default '' check (length(note) <= 1000),
    primary key (tenant_id, event_id)
);

call protect_tenant_table('runtime_setting');
call protect_tenant_table('sensor');
call protect_tenant_table('policy');
call protect_tenant_table('policy_version');
call protect_tenant_table('event');
call protect_tenant_table('event_count');
call protect_tenant_table('inspect_latency');
call protect_tenant_table('detection_count');
call protect_tenant_table('runtime_pattern');
call protect_tenant_table('runtime_dirty');
call protect_tenant_table('runtime_reported');
call protect_tenant_table('tool_use');
call protect_tenant_table('agent_session');
call protect_tenant_table('event_feedback');
revoke update, delete on policy_version from stance_app;

-- Playbooks: definitions by version, and durable runs of them.

-- A playbook that an organization made, or one that comes with Stance and was enabled or run here.
create table playbook (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    -- The `id` of its document.
    slug        text        not null check (slug ~ '^[a-z][a-z0-9-]{0,59}$'),
    built_in    boolean     not null,
    -- Whether its trigger starts it.
    enabled     boolean     not null default false,
    created_at  timestamptz not null,
    archived_at timestamptz,
    primary key (tenant_id, id),
    check (archived_at is null or not (enabled or built_in))
);
create unique index playbook_slug on playbook (tenant_id, slug) where archived_at is null;

create table playbook_version (
    tenant_id   uuid        not null,
    playbook_id uuid        not null,
    version     integer     not null check (version > 0),
    title       text        not null,
    source      text        not null check (octet_length(source) <= 65536),
    note        text        not null default '' check (length(note) <= 1000),
    created_at  timestamptz not null,
    created_by  text        not null,
    primary key (tenant_id, playbook_id, version),
    foreign key (tenant_id, playbook_id) references playbook
);

create table playbook_run (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    playbook_id uuid        not null,
    version     integer     not null,
    incident_id uuid,
    -- The machine's steps without their effects.
    dry_run     boolean     not null default false,
    -- Started by the playbook's trigger, not by a person.
    triggered   boolean     not null default false,
    status      text        not null check (status in ('RUNNING', 'PAUSED', 'DONE', 'FAILED', 'CANCELLED', 'REFUSED')),
    -- Why it failed or was refused.
    reason      text        not null default '' check (length(reason) <= 1000),
    started_by  text        not null,
    started_at  timestamptz not null,
    ended_at    timestamptz,
    -- When to look at it again; null: it waits for a person.
    wake_at     timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, playbook_id, version) references playbook_version,
    check ((ended_at is null) = (status in ('RUNNING', 'PAUSED'))),
    check (wake_at is null or status = 'RUNNING'),
    check (not triggered or incident_id is not null)
);
-- A trigger starts a version once for an incident.
create unique index playbook_run_once on playbook_run (tenant_id, incident_id, playbook_id, version) where triggered;
create index playbook_run_order on playbook_run (tenant_id, started_at desc, id desc);
create index playbook_run_incident on playbook_run (tenant_id, incident_id, started_at desc) where incident_id is not null;
create index playbook_run_of on playbook_run (tenant_id, playbook_id, started_at desc);
create index playbook_run_wake on playbook_run (tenant_id, wake_at) where wake_at is not null;

-- What is known of a run's steps; a row from the moment that a step begins.
create table playbook_step (
    tenant_id  uuid        not null,
    run_id     uuid        not null,
    step       text        not null,
    state      text        not null check (state in ('STARTED', 'DONE', 'FAILED', 'TIMED_OUT', 'DECLINED', 'CANCELLED', 'UNDONE')),
    -- Of a failure: whether another attempt may mend it.
    final      boolean     not null default false,
    attempt    smallint    not null check (attempt > 0),
    started_at timestamptz not null,
    at         timestamptz not null,
    -- Who or what brought it to this state.
    by         text        not null,
    -- What it was to do, as a dry run says it.
    plan       text        not null default '' check (length(plan) <= 4000),
    -- What came of it.
    outcome    text        not null default '' check (length(outcome) <= 4000),
    -- A task's choice; a branch's target.
    answer     text,
    -- What it needs to be taken back, and evidence: `{containments, relations, policies, url, facts}`.
    detail     jsonb       not null default '{}',
    primary key (tenant_id, run_id, step),
    foreign key (tenant_id, run_id) references playbook_run,
    check (jsonb_typeof(detail) = 'object')
);

call protect_tenant_table('playbook');
call protect_tenant_table('playbook_version');
call protect_tenant_table('playbook_run');
call protect_tenant_table('playbook_step');
revoke update, delete on playbook_version from stance_app;

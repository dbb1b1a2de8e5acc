-- Reports, and findings as identity, occurrence and decision.

create table report (
    tenant_id       uuid        not null references organization,
    id              uuid        not null,
    status          text        not null check (status in ('ACCEPTED', 'STAGING', 'MERGING', 'DONE', 'FAILED')),
    requested_format text       not null,
    format          text,
    tool            text,
    tool_version    text,
    filename        text        check (length(filename) <= 300),
    asset_hint      text        check (length(asset_hint) <= 600),
    bytes           bigint      not null,
    sha256          bytea       not null,
    idempotency_key text        check (length(idempotency_key) <= 200),
    new             integer     not null default 0,
    updated         integer     not null default 0,
    reopened        integer     not null default 0,
    resolved        integer     not null default 0,
    unchanged       integer     not null default 0,
    findings        integer     not null default 0,
    assets          integer     not null default 0,
    relations       integer     not null default 0,
    bytes_read      bigint      not null default 0,
    -- The first 200 gaps, and how many there were.
    gaps            jsonb       not null default '[]',
    gap_count       integer     not null default 0,
    error           jsonb,
    uploaded_by     text        not null,
    created_at      timestamptz not null,
    started_at      timestamptz,
    finished_at     timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, idempotency_key),
    check ((status = 'FAILED') = (error is not null)),
    check ((status in ('DONE', 'FAILED')) = (finished_at is not null))
);
create index report_unfinished on report (tenant_id, id) where status in ('ACCEPTED', 'STAGING', 'MERGING');

-- The uploaded bytes in pieces of at most 1 MiB, so that neither side ever holds a whole report.
create table report_body (
    tenant_id uuid    not null references organization,
    report_id uuid    not null,
    piece     integer not null,
    bytes     bytea   not null,
    primary key (tenant_id, report_id, piece),
    foreign key (tenant_id, report_id) references report on delete cascade
);
alter table report_body alter column bytes set storage external;

-- The scope within which absence means "resolved".
create table scan (
    tenant_id      uuid        not null references organization,
    id             uuid        not null,
    tool           text        not null,
    asset_id       uuid        not null,
    identity       text        not null,
    tool_version   text        not null,
    first_seen     timestamptz not null,
    last_seen      timestamptz not null,
    last_report_id uuid        not null,
    primary key (tenant_id, id),
    unique (tenant_id, tool, asset_id, identity),
    foreign key (tenant_id, asset_id) references asset,
    foreign key (tenant_id, last_report_id) references report
);
create index scan_asset on scan (tenant_id, asset_id);

-- Which scans a report fed.
create table report_scan (
    tenant_id uuid not null references organization,
    report_id uuid not null,
    scan_id   uuid not null,
    primary key (tenant_id, report_id, scan_id),
    foreign key (tenant_id, report_id) references report on delete cascade,
    foreign key (tenant_id, scan_id) references scan
);

-- Identity: one row per problem, for ever. Content is that of the occurrence that changed last.
create table finding (
    -- Here and in the large tables below: that the organization exists follows from the composite foreign key, and checking it again
    -- for each row costs as much as an index.
    tenant_id     uuid        not null,
    id            uuid        not null,
    fingerprint   uuid        not null,
    asset_id      uuid        not null,
    layer         text        not null check (layer in ('DATA', 'MODEL', 'APPLICATION', 'RUNTIME')),
    -- 0 critical to 4 info: a number, because it is sorted by.
    severity      smallint    not null check (severity between 0 and 4),
    score         double precision check (score between 0 and 10),
    attack_success_rate double precision check (attack_success_rate between 0 and 1),
    -- What a search looks at. Beside a policy no index can serve it, so it is read for each finding, and is small and in front.
    search        text        not null generated always as (lower(title || E'\n' || rule)) stored,
    rule          text        not null,
    title         text        not null,
    description   text        not null,
    remediation   text        not null,
    -- `framework@version:id`, with spaces between. Text, because an index keeps equal texts once, but not equal arrays.
    categories    text        not null check (length(categories) <= 1000),
    -- stance-risk/1: base of the finding alone, and risk with the asset's factor, both 0 to 0.99.
    base_risk     double precision not null check (base_risk between 0 and 0.99),
    risk          double precision not null check (risk between 0 and 0.99),
    first_seen    timestamptz not null,
    first_report_id uuid,
    -- Whether at least one scan still reports it.
    active        boolean     not null default true,
    resolved_at   timestamptz,
    -- The decision in force.
    decision_id   uuid,
    decision_kind text        check (decision_kind in ('IN_PROGRESS', 'FALSE_POSITIVE', 'RISK_ACCEPTED')),
    assignee_id   uuid,
    -- Derived, so that no state can contradict it.
    status        text        not null generated always as (case
        when not active then 'RESOLVED' when decision_kind is null then 'OPEN' else decision_kind end) stored,
    primary key (tenant_id, id),
    unique (tenant_id, fingerprint),
    foreign key (tenant_id, asset_id) references asset,
    check (active = (resolved_at is null)),
    check ((decision_id is null) = (decision_kind is null))
);
-- With what lists are narrowed by most, so that rows that a filter drops are not fetched.
create index finding_risk_order on finding (tenant_id, risk desc, id desc) include (status, severity, layer);
create index finding_severity_order on finding (tenant_id, severity, id);
-- Leads to the few that have a rare status; small, since equal entries are kept once.
create index finding_status on finding (tenant_id, status, severity);
create index finding_asset on finding (tenant_id, asset_id, risk desc, id desc);

-- How many findings there are, by what they are counted by: the sum of `count`. Rows are only added, so that writers never wait for
-- each other here; the job that computes risk adds them up.
create table finding_count (
    tenant_id   uuid     not null,
    id          bigint   not null generated always as identity,
    status      text     not null,
    severity    smallint not null,
    layer       text     not null,
    categories  text     not null,
    assignee_id uuid,
    count       bigint   not null,
    primary key (tenant_id, id)
);

-- The same for each asset.
create table asset_finding_count (
    tenant_id uuid     not null,
    asset_id  uuid     not null,
    id        bigint   not null generated always as identity,
    status    text     not null,
    severity  smallint not null,
    count     bigint   not null,
    primary key (tenant_id, asset_id, id)
);

-- A statement at a time, whatever wrote: what is counted can not differ from what is there.
create function count_findings() returns trigger language plpgsql as $$
begin
    execute format('
        with changed as materialized (
            select tenant_id, asset_id, status, severity, layer, categories, assignee_id, sum(change) as change
            from (%s) row group by 1, 2, 3, 4, 5, 6, 7 having sum(change) <> 0
        ), by_asset as (
            insert into asset_finding_count (tenant_id, asset_id, status, severity, count)
            select tenant_id, asset_id, status, severity, sum(change) from changed group by 1, 2, 3, 4 having sum(change) <> 0
        )
        insert into finding_count (tenant_id, status, severity, layer, categories, assignee_id, count)
        select tenant_id, status, severity, layer, categories, assignee_id, sum(change) from changed
        group by 1, 2, 3, 4, 5, 6 having sum(change) <> 0',
        case tg_op
            when 'INSERT' then 'select *, 1 as change from come'
            when 'DELETE' then 'select *, -1 as change from gone'
            else 'select *, 1 as change from come union all select *, -1 from gone'
        end);
    return null;
end
$$;
create trigger count_inserted after insert on finding referencing new table as come for each statement execute function count_findings();
create trigger count_deleted after delete on finding referencing old table as gone for each statement execute function count_findings();
create trigger count_updated after update on finding referencing old table as gone new table as come
    for each statement execute function count_findings();

-- Occurrence: what one scan says. A row that no report changed is not written: it was last seen when its scan was.
create table occurrence (
    tenant_id     uuid        not null,
    scan_id       uuid        not null,
    finding_id    uuid        not null,
    -- The report that said this content first.
    report_id     uuid        not null,
    content_hash  uuid        not null,
    severity      smallint    not null check (severity between 0 and 4),
    count         bigint      not null check (count > 0),
    attack_success_rate double precision,
    locations     jsonb       not null,
    evidence      jsonb       not null,
    first_seen    timestamptz not null,
    absent_since  timestamptz,
    primary key (tenant_id, scan_id, finding_id),
    foreign key (tenant_id, scan_id) references scan,
    foreign key (tenant_id, finding_id) references finding
);
create index occurrence_finding on occurrence (tenant_id, finding_id);

-- Decision: what a person said. Rows are never changed but for `undone_at`.
create table decision (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    finding_id  uuid        not null,
    kind        text        not null check (kind in ('IN_PROGRESS', 'FALSE_POSITIVE', 'RISK_ACCEPTED', 'REOPENED')),
    reason      text        not null check (length(reason) <= 4000),
    expires_at  timestamptz,
    approver_id uuid,
    -- Where an imported suppression came from; null for a person's decision.
    origin      text,
    decided_by  text        not null,
    decided_at  timestamptz not null,
    undone_at   timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, finding_id) references finding,
    check (kind <> 'RISK_ACCEPTED' or (expires_at is not null and approver_id is not null)),
    check (kind not in ('RISK_ACCEPTED', 'FALSE_POSITIVE') or length(reason) > 0)
);
create index decision_finding on decision (tenant_id, finding_id, id);
create index decision_expiry on decision (tenant_id, expires_at) where expires_at is not null and undone_at is null;
alter table finding add foreign key (tenant_id, decision_id) references decision;

-- History. CREATED is not stored: it is the finding's first_seen.
create table finding_event (
    tenant_id  uuid        not null,
    finding_id uuid        not null,
    id         uuid        not null,
    at         timestamptz not null,
    kind       text        not null check (kind in ('REPORTED', 'UPDATED', 'RESOLVED', 'REOPENED', 'DECIDED', 'UNDONE', 'EXPIRED', 'ASSIGNED', 'COMMENTED')),
    actor      text        not null,
    summary    text        not null,
    comment    text        check (length(comment) <= 4000),
    report_id  uuid,
    -- Findings changed by one action; what undo restores.
    batch_id   uuid,
    before     jsonb,
    after      jsonb,
    primary key (tenant_id, finding_id, id),
    foreign key (tenant_id, finding_id) references finding
);
create index finding_event_batch on finding_event (tenant_id, batch_id) where batch_id is not null;
create index finding_event_time on finding_event (tenant_id, at);

call protect_tenant_table('report');
call protect_tenant_table('report_body');
call protect_tenant_table('scan');
call protect_tenant_table('report_scan');
call protect_tenant_table('finding');
call protect_tenant_table('finding_count');
call protect_tenant_table('asset_finding_count');
call protect_tenant_table('occurrence');
call protect_tenant_table('decision');
call protect_tenant_table('finding_event');

-- Incidents: what belongs together when something goes wrong, and how it goes on.

-- Work that is due soon: at most one job of a kind waits for each organization, however much writing makes it necessary.
create table job_due (
    tenant_id uuid        not null references organization,
    job       text        not null,
    since     timestamptz not null,
    primary key (tenant_id, job)
);

-- The transaction that wrote an event. Time does not tell what a reader has seen: who wrote first may commit last. Null: written before.
alter table event add column written bigint;
alter table event alter column written set default pg_current_xact_id()::text::bigint;
-- Events come in the order in which they are received, so a page range says enough; it costs a writer next to nothing.
create index event_received on event using brin (tenant_id, received_at) with (autosummarize = on);
create index event_feedback_time on event_feedback (tenant_id, labelled_at);

-- What correlation has seen.
create table correlation_state (
    tenant_id   uuid        primary key references organization,
    -- `pg_current_snapshot()` of the statement that read events last; null: none was read yet.
    snapshot    text,
    ran_at      timestamptz
);
-- Runs in which a pattern over several steps was found: few of many.
create index agent_session_sequences on agent_session (tenant_id, last_at desc) where sequences <> '[]';

-- How a rule differs from its file in an organization.
create table correlation_setting (
    tenant_id  uuid        not null references organization,
    rule       text        not null check (length(rule) <= 100),
    enabled    boolean     not null,
    -- Null: the rule's own.
    threshold  bigint      check (threshold between 1 and 1000000000),
    updated_at timestamptz not null,
    updated_by text        not null,
    primary key (tenant_id, rule)
);

-- Events that fit a rule and belong to no incident yet, counted by minute. Those of an incident are counted there, and are not here.
create table correlation_count (
    tenant_id   uuid        not null references organization,
    rule        text        not null,
    -- What the rule groups by: an agent, a run, a model, an attack.
    key         text        not null check (length(key) <= 600),
    minute      timestamptz not null,
    -- The nil UUID: none.
    agent_id    uuid        not null,
    count       bigint      not null,
    first_at    timestamptz not null,
    last_at     timestamptz not null,
    received_at timestamptz not null,
    -- At most five events that show it.
    samples     uuid[]      not null,
    primary key (tenant_id, rule, key, minute, agent_id)
);
create index correlation_count_received on correlation_count (tenant_id, received_at);

create table incident_number (
    tenant_id uuid    primary key references organization,
    last      integer not null
);

create function incident_may_become(before text, after text) returns boolean language sql immutable as $$
    -- `stance::incidents::domain::TRANSITIONS`; a test holds the two together.
    select (before, after) in (
        ('OPEN', 'TRIAGED'), ('OPEN', 'CONTAINED'), ('OPEN', 'CLOSED'),
        ('TRIAGED', 'CONTAINED'), ('TRIAGED', 'ERADICATED'), ('TRIAGED', 'CLOSED'), ('TRIAGED', 'OPEN'),
        ('CONTAINED', 'ERADICATED'), ('CONTAINED', 'CLOSED'), ('CONTAINED', 'TRIAGED'), ('CONTAINED', 'OPEN'),
        ('ERADICATED', 'RECOVERED'), ('ERADICATED', 'CLOSED'), ('ERADICATED', 'CONTAINED'), ('ERADICATED', 'TRIAGED'),
        ('RECOVERED', 'CLOSED'), ('RECOVERED', 'ERADICATED'),
        ('CLOSED', 'TRIAGED'))
$$;

create table incident (
    tenant_id    uuid        not null references organization,
    id           uuid        not null,
    number       integer     not null check (number > 0),
    title        text        not null check (length(title) between 1 and 300),
    summary      text        not null check (length(summary) <= 4000),
    -- 0 critical to 4 info.
    severity     smallint    not null check (severity between 0 and 4),
    status       text        not null default 'OPEN' check (status in ('OPEN', 'TRIAGED', 'CONTAINED', 'ERADICATED', 'RECOVERED', 'CLOSED')),
    -- What the last change of status took back would be; null: nothing.
    undo         text        check (undo in ('OPEN', 'TRIAGED', 'CONTAINED', 'ERADICATED', 'RECOVERED')),
    opened_at    timestamptz not null,
    opened_by    text        not null,
    origin       text        not null check (origin in ('PERSON', 'API', 'RULE', 'PLAYBOOK')),
    -- Of a rule: which, in what version, for what group.
    rule         text,
    rule_version integer,
    rule_key     text,
    -- Microseconds from when the last event that it took was received until it was there.
    lag_us       bigint,
    -- Of a playbook: the run.
    run_id       uuid,
    assignee_id  uuid,
    -- Events that belong to it; at most 100 of them are items.
    events       bigint      not null default 0,
    first_event_at timestamptz,
    last_event_at  timestamptz,
    -- When a status was reached, for the first time since it was last taken back.
    triaged_at   timestamptz,
    contained_at timestamptz,
    closed_at    timestamptz,
    root_cause   text        not null default '' check (length(root_cause) <= 4000),
    lessons      text        not null default '' check (length(lessons) <= 4000),
    merged_into  uuid,
    -- EU AI Act, Article 73.
    serious      text        check (serious in ('GENERAL', 'DEATH', 'WIDESPREAD')),
    serious_aware_at timestamptz,
    -- What the report to the authority says so far.
    serious_report jsonb     not null default '{}' check (jsonb_typeof(serious_report) = 'object'),
    primary key (tenant_id, id),
    unique (tenant_id, number),
    foreign key (tenant_id, merged_into) references incident,
    check ((status = 'CLOSED') = (closed_at is not null)),
    check (status <> 'CLOSED' or merged_into is not null or (root_cause <> '' and lessons <> '')),
    check (merged_into is null or (status = 'CLOSED' and merged_into <> id)),
    check ((serious is null) = (serious_aware_at is null)),
    check ((origin = 'RULE') = (rule is not null))
);
create index incident_order on incident (tenant_id, opened_at desc, id desc) include (status, severity, assignee_id);
create index incident_open on incident (tenant_id, severity, id) where status <> 'CLOSED';
create index incident_merged on incident (tenant_id, merged_into) where merged_into is not null;

create function keep_incident() returns trigger language plpgsql as $$
begin
    if old.merged_into is not null and new.status <> old.status then
        raise exception 'a merged incident stays as it is' using errcode = 'check_violation', constraint = 'incident_merged_stays';
    end if;
    if new.status <> old.status and not incident_may_become(old.status, new.status) then
        raise exception 'an incident can not become % when it is %', new.status, old.status
            using errcode = 'check_violation', constraint = 'incident_transition';
    end if;
    if (new.number, new.opened_at, new.opened_by, new.origin) is distinct from (old.number, old.opened_at, old.opened_by, old.origin) then
        raise exception 'how an incident came to be does not change' using errcode = 'check_violation', constraint = 'incident_origin';
    end if;
    return new;
end
$$;
create trigger keep before update on incident for each row execute function keep_incident();

-- What must not open a second incident while this one is open: a rule's group, or a key that the opener gave.
create table incident_key (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    key         text        not null check (length(key) between 1 and 800),
    incident_id uuid        not null,
    released_at timestamptz,
    primary key (tenant_id, id),
    -- The key is taken before the incident is made: who comes second finds the first one's.
    foreign key (tenant_id, incident_id) references incident deferrable initially deferred
);
create unique index incident_key_open on incident_key (tenant_id, key) where released_at is null;
create index incident_key_incident on incident_key (tenant_id, incident_id);

-- What an incident is about.
create table incident_item (
    tenant_id   uuid        not null references organization,
    incident_id uuid        not null,
    kind        text        not null check (kind in ('FINDING', 'EVENT', 'ASSET', 'SESSION', 'CONTAINMENT', 'PLAYBOOK_RUN')),
    ref         uuid        not null,
    -- When the fact was.
    at          timestamptz not null,
    added_at    timestamptz not null,
    added_by    text        not null,
    -- The correlation rule that took it.
    rule        text,
    primary key (tenant_id, incident_id, kind, ref),
    foreign key (tenant_id, incident_id) references incident
);
create index incident_item_ref on incident_item (tenant_id, kind, ref);
-- The same fact never opens two incidents.
create unique index incident_item_once on incident_item (tenant_id, rule, kind, ref, at) where rule is not null;

-- The timeline: lines are added, never changed.
create table incident_entry (
    tenant_id   uuid        not null references organization,
    incident_id uuid        not null,
    id          uuid        not null,
    -- When it was, and when it was written down.
    at          timestamptz not null,
    recorded_at timestamptz not null,
    kind        text        not null check (kind in ('BUILD_TIME', 'RUNTIME', 'STATUS', 'DECISION', 'ACTION', 'CLOCK', 'COMMENT')),
    actor       text        not null,
    text        text        not null check (length(text) between 1 and 4000),
    evidence    jsonb       check (jsonb_typeof(evidence) = 'object' and length(evidence::text) <= 20000),
    key         text        check (length(key) <= 300),
    primary key (tenant_id, incident_id, id),
    unique (tenant_id, incident_id, key),
    foreign key (tenant_id, incident_id) references incident
);
create index incident_entry_order on incident_entry (tenant_id, incident_id, at desc, id desc);

-- How much time there is.
create table incident_clock (
    tenant_id   uuid        not null references organization,
    incident_id uuid        not null,
    kind        text        not null check (kind in ('TRIAGE', 'CONTAIN', 'RESOLVE', 'ARTICLE_73')),
    -- Which targets: `stance-sla/1`, `eu-ai-act@2024-1689`.
    target      text        not null,
    started_at  timestamptz not null,
    due_at      timestamptz not null,
    paused_at   timestamptz,
    paused_seconds bigint   not null default 0,
    done_at     timestamptz,
    -- When it was noticed that it had run out.
    breached_at timestamptz,
    primary key (tenant_id, incident_id, kind),
    foreign key (tenant_id, incident_id) references incident,
    check (due_at > started_at),
    check (paused_at is null or kind <> 'ARTICLE_73'),
    check (paused_at is null or done_at is null)
);
create index incident_clock_due on incident_clock (tenant_id, due_at) where done_at is null and paused_at is null and breached_at is null;

create function keep_clock() returns trigger language plpgsql as $$
begin
    if new.started_at <> old.started_at then
        raise exception 'a clock is never restarted' using errcode = 'check_violation', constraint = 'incident_clock_started';
    end if;
    return new;
end
$$;
create trigger keep before update on incident_clock for each row execute function keep_clock();

create table incident_watcher (
    tenant_id   uuid        not null references organization,
    incident_id uuid        not null,
    user_id     uuid        not null,
    since       timestamptz not null,
    primary key (tenant_id, incident_id, user_id),
    foreign key (tenant_id, incident_id) references incident
);

-- Tickets elsewhere.
create table incident_link (
    tenant_id   uuid        not null references organization,
    incident_id uuid        not null,
    id          uuid        not null,
    title       text        not null check (length(title) between 1 and 300),
    url         text        not null check (url ~ '^https?://' and length(url) <= 2000),
    added_at    timestamptz not null,
    added_by    text        not null,
    primary key (tenant_id, incident_id, id),
    unique (tenant_id, incident_id, url),
    foreign key (tenant_id, incident_id) references incident
);

call protect_tenant_table('job_due');
call protect_tenant_table('correlation_state');
call protect_tenant_table('correlation_setting');
call protect_tenant_table('correlation_count');
call protect_tenant_table('incident_number');
call protect_tenant_table('incident');
call protect_tenant_table('incident_key');
call protect_tenant_table('incident_item');
call protect_tenant_table('incident_entry');
call protect_tenant_table('incident_clock');
call protect_tenant_table('incident_watcher');
call protect_tenant_table('incident_link');
revoke update, delete on incident_entry from stance_app, stance_system;
revoke delete on incident, incident_clock from stance_app, stance_system;
create trigger append_only before update or delete on incident_entry for each row execute function refuse_change();

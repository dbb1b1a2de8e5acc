-- Containment of agents, proven at every enforcement point.

-- A running server, whose inspect API enforces. Servers serve all organizations, so this is of none.
create table server_process (
    id           uuid        primary key,
    -- Machine and process id.
    name         text        not null check (length(name) between 1 and 200),
    started_at   timestamptz not null,
    last_seen_at timestamptz not null
);
grant select on server_process to stance_app;
grant select, insert, update, delete on server_process to stance_system;

-- What a token acts as: it is contained with that agent.
alter table api_token
    add agent_id uuid,
    add foreign key (tenant_id, agent_id) references asset;
create index api_token_agent on api_token (tenant_id, agent_id) where agent_id is not null;

-- Something that can keep an agent from acting: a server's inspect API, what takes orders over HTTP, a sensor that asks for them.
create table enforcement_point (
    tenant_id  uuid        not null references organization,
    id         uuid        not null,
    kind       text        not null check (kind in ('INSPECT_API', 'HTTP', 'SENSOR')),
    name       text        not null check (length(name) between 1 and 200),
    process_id uuid,
    url        text        check (length(url) between 1 and 2000),
    -- What orders are signed with, sealed.
    secret     bytea,
    sensor_id  uuid,
    -- Within so long after the request it has to acknowledge.
    deadline_s integer     not null check (deadline_s between 1 and 3600),
    created_at timestamptz not null,
    created_by text        not null,
    retired_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, sensor_id) references sensor,
    check ((kind = 'INSPECT_API') = (process_id is not null)),
    check ((kind = 'HTTP') = (url is not null) and (kind = 'HTTP') = (secret is not null)),
    check ((kind = 'SENSOR') = (sensor_id is not null))
);
create unique index enforcement_point_process on enforcement_point (tenant_id, process_id) where process_id is not null;
create unique index enforcement_point_name on enforcement_point (tenant_id, name) where retired_at is null and kind <> 'INSPECT_API';
create unique index enforcement_point_sensor on enforcement_point (tenant_id, sensor_id) where retired_at is null and sensor_id is not null;

-- What has to be enforced, after each change: what points are sent, and whose hash they acknowledge.
create table containment_policy (
    tenant_id  uuid        not null references organization,
    -- 1 and up, without gaps.
    revision   bigint      not null check (revision > 0),
    document   text        not null,
    -- SHA-256 of the document's bytes.
    hash       text        not null check (hash ~ '^[0-9a-f]{64}$'),
    created_at timestamptz not null,
    primary key (tenant_id, revision)
);
create unique index containment_policy_hash on containment_policy (tenant_id, hash);

create table containment (
    tenant_id    uuid        not null references organization,
    id           uuid        not null,
    agent_id     uuid        not null,
    grade        text        not null check (grade in ('BLOCK_ALL', 'TOOLS_ONLY', 'EGRESS_ONLY', 'HUMAN_APPROVAL')),
    reason       text        not null check (length(reason) between 1 and 2000),
    status       text        not null default 'REQUESTED'
        check (status in ('REQUESTED', 'DISPATCHED', 'ACKNOWLEDGED', 'PROVEN', 'FAILED', 'RELEASING', 'RELEASED', 'EXPIRED')),
    -- The first policy that has it.
    revision     bigint      not null,
    policy_hash  text        not null check (policy_hash ~ '^[0-9a-f]{64}$'),
    incident_id  uuid,
    -- Whoever asks again with this key means this containment.
    key          text        check (length(key) between 1 and 200),
    requested_at timestamptz not null,
    requested_by text        not null,
    expires_at   timestamptz check (expires_at > requested_at),
    -- When all points had proven it for the first time; when one had failed for the first time.
    proven_at    timestamptz,
    failed_at    timestamptz,
    -- Why it ends, and the first policy without it.
    ending       text        check (ending in ('RELEASE', 'EXPIRY')),
    ending_at    timestamptz,
    ending_by    text,
    ending_reason text       check (length(ending_reason) between 1 and 2000),
    ending_key   text        check (length(ending_key) between 1 and 200),
    ending_revision bigint,
    -- When all points had proven that they let the agent act again.
    released_at  timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, agent_id) references asset,
    foreign key (tenant_id, revision) references containment_policy deferrable initially deferred,
    foreign key (tenant_id, ending_revision) references containment_policy deferrable initially deferred,
    check (status <> 'PROVEN' or proven_at is not null),
    check (status <> 'FAILED' or failed_at is not null),
    check ((status in ('RELEASING', 'RELEASED', 'EXPIRED')) = (ending is not null)),
    check (num_nulls(ending, ending_at, ending_by, ending_reason, ending_revision) in (0, 5)),
    check (ending is distinct from 'EXPIRY' or expires_at is not null),
    check (status <> 'RELEASED' or ending = 'RELEASE'),
    check (status <> 'EXPIRED' or ending = 'EXPIRY'),
    check ((status in ('RELEASED', 'EXPIRED')) = (released_at is not null)),
    check (ending_revision > revision)
);
create unique index containment_key on containment (tenant_id, key) where key is not null;
-- An agent is contained once with each grade.
create unique index containment_of_agent on containment (tenant_id, agent_id, grade) where ending is null;
create index containment_open on containment (tenant_id, id) where released_at is null;
create index containment_agent_time on containment (tenant_id, agent_id, id desc);
create index containment_incident on containment (tenant_id, incident_id, id desc) where incident_id is not null;

-- Which agents it holds, by all their keys: the agent itself and those that it delegates to.
create table containment_agent (
    tenant_id      uuid not null,
    containment_id uuid not null,
    agent_id       uuid not null,
    key            text not null check (length(key) between 1 and 512),
    primary key (tenant_id, containment_id, agent_id, key),
    foreign key (tenant_id, containment_id) references containment,
    foreign key (tenant_id, agent_id) references asset
);
create index containment_agent_agent on containment_agent (tenant_id, agent_id);

-- A tool call that a person let pass under HUMAN_APPROVAL.
create table containment_approval (
    tenant_id      uuid        not null,
    containment_id uuid        not null,
    -- SHA-256 of agent, tool and arguments, as the refusal gave it.
    call           text        not null check (call ~ '^[0-9a-f]{64}$'),
    reason         text        not null check (length(reason) between 1 and 2000),
    approved_at    timestamptz not null,
    approved_by    text        not null,
    expires_at     timestamptz not null check (expires_at > approved_at),
    primary key (tenant_id, containment_id, call),
    foreign key (tenant_id, containment_id) references containment
);

-- How far a point has come with a containment, or with its end.
create table enforcement (
    tenant_id      uuid        not null,
    containment_id uuid        not null,
    point_id       uuid        not null,
    phase          text        not null check (phase in ('CONTAIN', 'RELEASE')),
    status         text        not null default 'REQUESTED'
        check (status in ('REQUESTED', 'DISPATCHED', 'ACKNOWLEDGED', 'PROVEN', 'FAILED', 'GONE')),
    -- The first policy that will do.
    revision       bigint      not null,
    -- What the canary calls of this attempt are told by.
    nonce          uuid        not null,
    attempts       integer     not null default 0,
    -- Until then one process is at it.
    claimed_until  timestamptz,
    requested_at   timestamptz not null,
    dispatched_at  timestamptz,
    acknowledged_at timestamptz,
    acknowledged_hash text     check (acknowledged_hash ~ '^[0-9a-f]{64}$'),
    canary_at      timestamptz,
    proven_at      timestamptz,
    -- The last failure; it stays when the point is proven later.
    failed_at      timestamptz,
    failure        text        check (length(failure) between 1 and 1000),
    primary key (tenant_id, containment_id, point_id, phase),
    foreign key (tenant_id, containment_id) references containment,
    foreign key (tenant_id, point_id) references enforcement_point,
    check (status not in ('DISPATCHED', 'ACKNOWLEDGED', 'PROVEN') or dispatched_at >= requested_at),
    check (status not in ('ACKNOWLEDGED', 'PROVEN') or (acknowledged_at >= dispatched_at and acknowledged_hash is not null)),
    check ((status = 'PROVEN') = (proven_at is not null)),
    check (status <> 'PROVEN' or (canary_at >= acknowledged_at and proven_at >= canary_at)),
    check ((failed_at is null) = (failure is null)),
    check (status <> 'FAILED' or failed_at is not null)
);
create index enforcement_point_open on enforcement (tenant_id, point_id) where status not in ('PROVEN', 'GONE');

call protect_tenant_table('enforcement_point');
call protect_tenant_table('containment_policy');
call protect_tenant_table('containment');
call protect_tenant_table('containment_agent');
call protect_tenant_table('containment_approval');
call protect_tenant_table('enforcement');
revoke update, delete on containment_policy from stance_app;
revoke delete on containment, enforcement from stance_app;

-- A containment moves between the states of being in force as its points do; from there it ends, and what has ended stays so.
create function containment_moves() returns trigger language plpgsql as $$
declare in_force constant text[] := '{REQUESTED,DISPATCHED,ACKNOWLEDGED,PROVEN,FAILED}';
begin
    if tg_op = 'INSERT' then
        if new.status <> 'REQUESTED' then
            raise exception 'a containment begins as REQUESTED' using errcode = 'check_violation';
        end if;
        return new;
    end if;
    if not (old.status = any(in_force) and (new.status = any(in_force) or new.status = 'RELEASING')
        or old.status = 'RELEASING' and new.status in ('RELEASING', 'RELEASED', 'EXPIRED')
        or old.status in ('RELEASED', 'EXPIRED') and old = new) then
        raise exception 'a containment can not go from % to %', old.status, new.status using errcode = 'check_violation';
    end if;
    if (old.agent_id, old.grade, old.requested_at, old.revision, old.policy_hash) is distinct from (new.agent_id, new.grade, new.requested_at, new.revision, new.policy_hash)
        or old.proven_at is distinct from new.proven_at and old.proven_at is not null
        or old.failed_at is distinct from new.failed_at and old.failed_at is not null then
        raise exception 'what was asked for and reached can not be changed' using errcode = 'check_violation';
    end if;
    if new.status <> old.status and new.status in ('PROVEN', 'RELEASED', 'EXPIRED') then
        if (select count(*) filter (where e.status = 'PROVEN') = 0 or count(*) filter (where e.status not in ('PROVEN', 'GONE')) > 0
            from enforcement e where e.tenant_id = new.tenant_id and e.containment_id = new.id
              and e.phase = case when new.status = 'PROVEN' then 'CONTAIN' else 'RELEASE' end) then
            raise exception 'not all points have proven it' using errcode = 'check_violation';
        end if;
    end if;
    return new;
end
$$;
create trigger containment_moves before insert or update on containment for each row execute function containment_moves();

-- A point goes forward, may fail at any step and begin again; only another policy puts one back that had proven. No failure is forgotten.
create function enforcement_moves() returns trigger language plpgsql as $$
declare steps constant text[] := '{REQUESTED,DISPATCHED,ACKNOWLEDGED,PROVEN}';
begin
    if tg_op = 'INSERT' then
        if new.status <> 'REQUESTED' then
            raise exception 'an enforcement begins as REQUESTED' using errcode = 'check_violation';
        end if;
        return new;
    end if;
    if not (new.status = old.status
        or new.status = 'GONE'
        or new.revision > old.revision and new.status = 'REQUESTED'
        or new.status = 'REQUESTED' and old.status = 'GONE'
        or new.status = 'FAILED' and old.status in ('REQUESTED', 'DISPATCHED', 'ACKNOWLEDGED')
        or new.status = any(steps[2:]) and old.status = 'FAILED'
        or array_position(steps, new.status) > array_position(steps, old.status)) then
        raise exception 'an enforcement can not go from % to %', old.status, new.status using errcode = 'check_violation';
    end if;
    if new.revision < old.revision or old.failed_at is not null and (new.failed_at is null or new.failed_at < old.failed_at) then
        raise exception 'what happened can not be taken back' using errcode = 'check_violation';
    end if;
    return new;
end
$$;
create trigger enforcement_moves before insert or update on enforcement for each row execute function enforcement_moves();

-- A containment is not proven while a point that counts is not.
create function proven_by_all() returns trigger language plpgsql as $$
begin
    if exists (select from containment c where c.tenant_id = new.tenant_id and c.id = new.containment_id and c.status = 'PROVEN')
        and exists (select from enforcement e where e.tenant_id = new.tenant_id and e.containment_id = new.containment_id
            and e.point_id = new.point_id and e.phase = 'CONTAIN' and e.status not in ('PROVEN', 'GONE')) then
        raise exception 'a containment is PROVEN only if all its points are' using errcode = 'check_violation';
    end if;
    return null;
end
$$;
create constraint trigger proven_by_all after insert or update on enforcement deferrable initially deferred
    for each row when (new.phase = 'CONTAIN' and new.status not in ('PROVEN', 'GONE')) execute function proven_by_all();

-- The points that count: servers that gave a sign of life since then, and what was registered and is not retired.
create function live_enforcement_point(since timestamptz) returns setof enforcement_point language sql stable as $$
    select p.* from enforcement_point p
    left join server_process s on s.id = p.process_id
    left join sensor n on n.tenant_id = p.tenant_id and n.id = p.sensor_id
    where p.retired_at is null and case p.kind when 'INSPECT_API' then s.last_seen_at > since when 'SENSOR' then n.retired_at is null else true end
$$;

-- The containment that shuts out a token of an agent: one of its reasons, null when there is none.
create function shut_out(of_tenant uuid, of_agent uuid) returns uuid language sql stable as $$
    select c.id from asset named
    join asset part on part.tenant_id = named.tenant_id and part.root_id = named.root_id
    join containment_agent a on a.tenant_id = part.tenant_id and a.agent_id = part.id
    join containment c on c.tenant_id = a.tenant_id and c.id = a.containment_id
    where named.tenant_id = of_tenant and named.id = of_agent and c.grade = 'BLOCK_ALL' and c.ending is null
    limit 1
$$;

-- Roles, tenant protection, identity, audit.
--
-- Every tenant transaction runs as stance_app and sees one tenant only (row level security, forced).
-- Cross-tenant work runs as stance_system. Both are group roles without login, granted to whoever migrates.

do $$
begin
    -- Roles belong to the cluster, so two databases may create them at the same time.
    begin
        if not exists (select from pg_roles where rolname = 'stance_app') then create role stance_app nologin; end if;
    exception when duplicate_object or unique_violation then null;
    end;
    begin
        if not exists (select from pg_roles where rolname = 'stance_system') then create role stance_system nologin; end if;
    exception when duplicate_object or unique_violation then null;
    end;
    if not pg_has_role(current_user, 'stance_app', 'member') then execute format('grant stance_app to %I', current_user); end if;
    if not pg_has_role(current_user, 'stance_system', 'member') then execute format('grant stance_system to %I', current_user); end if;
    execute format('grant temporary on database %I to stance_app', current_database());
end
$$;

grant usage on schema public to stance_app, stance_system;

-- Puts a table under tenant protection. The sub-select makes the setting an InitPlan, evaluated once per query and
-- usable as an index condition; nullif because a setting that was used once comes back as ''.
create procedure protect_tenant_table(target regclass) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format('create policy tenant on %s to stance_app
        using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))
        with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))', target);
    execute format('create policy system on %s to stance_system using (true) with check (true)', target);
    execute format('grant select, insert, update, delete on %s to stance_app, stance_system', target);
end
$$;

-- ---------------------------------------------------------------------------------------------- identity

-- People exist beside organizations; a membership connects them.
create table app_user (
    id            uuid primary key,
    email         text        not null check (email = lower(email) and length(email) between 3 and 254),
    name          text        not null check (length(name) between 1 and 200),
    password_hash text        not null,
    created_at    timestamptz not null,
    last_sign_in_at timestamptz,
    unique (email)
);

create table organization (
    tenant_id  uuid primary key,
    name       text        not null check (length(name) between 1 and 200),
    slug       text        not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    created_at timestamptz not null
);

create table membership (
    tenant_id uuid        not null references organization,
    user_id   uuid        not null references app_user,
    role      text        not null check (role in ('OWNER', 'ADMIN', 'ANALYST', 'RESPONDER', 'AUDITOR', 'VIEWER', 'SENSOR')),
    joined_at timestamptz not null,
    primary key (tenant_id, user_id)
);
create index membership_by_user on membership (user_id);

-- Names and addresses of people are visible to the organizations that they are members of; password hashes to none.
alter table app_user enable row level security;
alter table app_user force row level security;
create policy member on app_user for select to stance_app using (id in (select m.user_id from membership m));
create policy system on app_user to stance_system using (true) with check (true);
grant select (id, email, name, created_at, last_sign_in_at) on app_user to stance_app;
grant select, insert, update, delete on app_user to stance_system;

create table invitation (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    email       text        not null check (email = lower(email) and length(email) between 3 and 254),
    role        text        not null check (role in ('OWNER', 'ADMIN', 'ANALYST', 'RESPONDER', 'AUDITOR', 'VIEWER')),
    token_hash  bytea       not null,
    invited_by  uuid,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    accepted_at timestamptz,
    revoked_at  timestamptz,
    primary key (tenant_id, id)
);
-- Looked up before the tenant is known.
create unique index invitation_token on invitation (token_hash);

create table api_token (
    tenant_id    uuid        not null references organization,
    id           uuid        not null,
    name         text        not null check (length(name) between 1 and 100),
    role         text        not null check (role in ('OWNER', 'ADMIN', 'ANALYST', 'RESPONDER', 'AUDITOR', 'VIEWER', 'SENSOR')),
    scopes       text[]      not null default '{}',
    token_hash   bytea       not null,
    prefix       text        not null,
    created_by   uuid,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    primary key (tenant_id, id)
);
-- Looked up before the tenant is known.
create unique index api_token_hash on api_token (token_hash);

-- Browser sessions, by the hash of their id. Not tenant data: a session may switch organization.
create table session (
    id_hash      bytea primary key,
    id           uuid        not null unique,
    user_id      uuid        references app_user,
    data         jsonb       not null,
    created_at   timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at   timestamptz not null,
    user_agent   text        not null default '',
    address      text        not null default ''
);
create index session_by_user on session (user_id);
create index session_expiry on session (expires_at);
grant select, insert, update, delete on session to stance_system;

-- Failed sign-ins, per account and per address (hashed keys): a bucket that refills with time.
create table sign_in_throttle (
    key        bytea primary key,
    failures   double precision not null,
    updated_at timestamptz      not null
);
grant select, insert, update, delete on sign_in_throttle to stance_system;

call protect_tenant_table('organization');
call protect_tenant_table('membership');
call protect_tenant_table('invitation');
call protect_tenant_table('api_token');

-- ---------------------------------------------------------------------------------------------- audit

-- The head of each tenant's chain; locked to append, so that entries are numbered without gaps.
create table audit_head (
    tenant_id uuid primary key references organization,
    sequence  bigint not null,
    hash      bytea  not null
);

create table audit_entry (
    tenant_id   uuid        not null references organization,
    sequence    bigint      not null check (sequence > 0),
    at          timestamptz not null,
    actor_kind  text        not null check (actor_kind in ('USER', 'TOKEN', 'SYSTEM')),
    actor_id    uuid,
    actor       text        not null,
    action      text        not null,
    target_kind text        not null,
    target_id   text        not null,
    request_id  text        not null,
    -- Text, not jsonb: the hash covers these bytes.
    detail      text        not null,
    previous    bytea       not null,
    hash        bytea       not null,
    primary key (tenant_id, sequence)
);
create index audit_entry_action on audit_entry (tenant_id, action, sequence);

call protect_tenant_table('audit_head');
call protect_tenant_table('audit_entry');
revoke update, delete on audit_entry from stance_app, stance_system;
revoke delete on audit_head from stance_app, stance_system;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'table % is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete on audit_entry for each row execute function refuse_change();
create trigger append_only_truncate before truncate on audit_entry for each statement execute function refuse_change();

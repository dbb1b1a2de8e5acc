-- Assets and how they depend on each other.

create table asset (
    tenant_id    uuid        not null references organization,
    id           uuid        not null,
    kind         text        not null check (kind in ('APPLICATION', 'AGENT', 'MODEL', 'DATASET', 'TOOL', 'MCP_SERVER', 'KNOWLEDGE_BASE', 'PROMPT')),
    external_key text        not null check (length(external_key) between 1 and 512),
    name         text        not null check (length(name) between 1 and 300),
    owner        text        check (length(owner) between 1 and 200),
    environment  text        not null default 'UNKNOWN' check (environment in ('PRODUCTION', 'STAGING', 'DEVELOPMENT', 'UNKNOWN')),
    exposure     text        not null default 'INTERNAL' check (exposure in ('INTERNET', 'INTERNAL', 'ISOLATED')),
    criticality  text        not null default 'MEDIUM' check (criticality in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    lifecycle    text        not null default 'DISCOVERED' check (lifecycle in ('DISCOVERED', 'APPROVED', 'RETIRED')),
    tags         text[]      not null default '{}',
    attributes   jsonb       not null default '{}' check (jsonb_typeof(attributes) = 'object'),
    first_seen   timestamptz not null,
    last_seen    timestamptz not null,
    -- exposure factor × criticality factor of stance-risk/1, kept by the inventory.
    risk_factor  double precision not null,
    -- Residual risk 0 to 1 and grade, kept by scoring; null: unassessed.
    risk         double precision check (risk between 0 and 1),
    grade        text generated always as (case
        when risk is null then null
        when risk < 0.10 then 'A' when risk < 0.30 then 'B' when risk < 0.50 then 'C' when risk < 0.75 then 'D' else 'F' end) stored,
    primary key (tenant_id, id),
    unique (tenant_id, kind, external_key)
);
create index asset_risk_order on asset (tenant_id, coalesce(risk, -1) desc, id desc);
create index asset_name_order on asset (tenant_id, name, id);

create table asset_relation (
    tenant_id  uuid        not null references organization,
    id         uuid        not null,
    from_id    uuid        not null,
    kind       text        not null check (kind in ('USES_MODEL', 'MAY_CALL', 'PROVIDED_BY', 'TRAINED_ON', 'DERIVED_FROM', 'EXPOSES', 'READS_FROM', 'PROMPTED_BY', 'DELEGATES_TO', 'DEPENDS_ON')),
    to_id      uuid        not null,
    source     text        not null,
    first_seen timestamptz not null,
    last_seen  timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, from_id, kind, to_id),
    foreign key (tenant_id, from_id) references asset,
    foreign key (tenant_id, to_id) references asset,
    check (from_id <> to_id)
);
create index asset_relation_to on asset_relation (tenant_id, to_id);

-- What changed on an asset, who changed it.
create table asset_change (
    tenant_id uuid        not null references organization,
    asset_id  uuid        not null,
    id        uuid        not null,
    at        timestamptz not null,
    actor     text        not null,
    summary   text        not null,
    changes   jsonb       not null,
    primary key (tenant_id, asset_id, id),
    foreign key (tenant_id, asset_id) references asset
);

-- When a check of an asset was last made, and by what (completeness).
create table assessment (
    tenant_id uuid        not null references organization,
    asset_id  uuid        not null,
    check_id  text        not null,
    last_at   timestamptz not null,
    source    text        not null,
    primary key (tenant_id, asset_id, check_id),
    foreign key (tenant_id, asset_id) references asset
);

call protect_tenant_table('asset');
call protect_tenant_table('asset_relation');
call protect_tenant_table('asset_change');
call protect_tenant_table('assessment');

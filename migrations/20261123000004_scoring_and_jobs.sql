-- Risk figures and what drives their computation; dead letters.

-- Assets whose risk must be computed anew: one row however many changes.
create table score_dirty (
    tenant_id uuid        not null references organization,
    asset_id  uuid        not null,
    since     timestamptz not null,
    primary key (tenant_id, asset_id),
    foreign key (tenant_id, asset_id) references asset
);

-- Current risk of an asset, per layer and over all ('ALL').
create table asset_risk (
    tenant_id     uuid        not null references organization,
    asset_id      uuid        not null,
    layer         text        not null check (layer in ('ALL', 'DATA', 'MODEL', 'APPLICATION', 'RUNTIME')),
    -- 0 to 1; null: unassessed.
    residual      double precision check (residual between 0 and 1),
    inherent      double precision check (inherent between 0 and 1),
    checks_fresh  integer     not null,
    checks_total  integer     not null,
    open_findings integer     not null,
    -- Inherited terms of layer ALL: [{"from": asset id, "layer", "risk", "path": [..]}]
    inherited     jsonb       not null default '[]',
    formula       text        not null,
    input_hash    bytea       not null,
    computed_at   timestamptz not null,
    primary key (tenant_id, asset_id, layer),
    foreign key (tenant_id, asset_id) references asset
);

create table asset_risk_day (
    tenant_id    uuid not null references organization,
    asset_id     uuid not null,
    layer        text not null,
    day          date not null,
    residual     double precision,
    completeness double precision not null,
    formula      text not null,
    primary key (tenant_id, asset_id, layer, day)
);

-- Current risk of the organization, per layer and over all.
create table posture (
    tenant_id     uuid        not null references organization,
    layer         text        not null check (layer in ('ALL', 'DATA', 'MODEL', 'APPLICATION', 'RUNTIME')),
    residual      double precision check (residual between 0 and 1),
    inherent      double precision check (inherent between 0 and 1),
    checks_fresh  integer     not null,
    checks_total  integer     not null,
    open_findings integer     not null,
    assets        integer     not null,
    assessed      integer     not null,
    formula       text        not null,
    input_hash    bytea       not null,
    computed_at   timestamptz not null,
    primary key (tenant_id, layer)
);

create table posture_day (
    tenant_id    uuid not null references organization,
    layer        text not null,
    day          date not null,
    residual     double precision,
    completeness double precision not null,
    formula      text not null,
    primary key (tenant_id, layer, day)
);

-- Jobs that failed for good; a person can drive them again.
create table dead_letter (
    tenant_id   uuid        not null references organization,
    id          uuid        not null,
    job         text        not null,
    payload     jsonb       not null,
    error       text        not null,
    attempts    integer     not null,
    created_at  timestamptz not null,
    redriven_at timestamptz,
    primary key (tenant_id, id)
);

call protect_tenant_table('score_dirty');
call protect_tenant_table('asset_risk');
call protect_tenant_table('asset_risk_day');
call protect_tenant_table('posture');
call protect_tenant_table('posture_day');
call protect_tenant_table('dead_letter');

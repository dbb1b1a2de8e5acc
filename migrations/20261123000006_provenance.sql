-- Provenance: what each source says of an asset, attribute by attribute, and since when.

create table asset_statement (
    tenant_id   uuid        not null references organization,
    -- The asset that was named; an alias keeps what was said under its key.
    asset_id    uuid        not null,
    -- name, owner, environment, exposure, criticality or lifecycle; `tag:` and the tag; `attribute:` and its key.
    attribute   text        not null,
    -- A TOOL mentions the asset in a report; the others keep the inventory.
    source_kind text        not null check (source_kind in ('USER', 'TOKEN', 'SYSTEM', 'TOOL')),
    -- The person's address, the token's name, the tool's name.
    source      text        not null,
    -- Of the tool.
    version     text        not null default '',
    -- Null: it says that there is none (an owner, tag or attribute that was removed).
    value       jsonb,
    -- The report in which a tool said it first; kept when the report is not.
    report_id   uuid,
    -- Since when it says so: saying the same again writes nothing.
    at          timestamptz not null,
    primary key (tenant_id, asset_id, attribute, source_kind, source),
    foreign key (tenant_id, asset_id) references asset
);
call protect_tenant_table('asset_statement');

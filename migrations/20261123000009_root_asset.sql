-- What an alias means, and where an asset without risk stands in the order, as columns: beside a policy the planner takes no index for an
-- expression like coalesce(…), which it does not know to be leakproof, and read all assets of the organization for each row instead.
alter table asset
    add root_id uuid not null generated always as (coalesce(merged_into, id)) stored,
    -- Assets whose risk is unknown stand below those without risk.
    add risk_order double precision not null generated always as (coalesce(risk, -1)) stored;
drop index asset_risk_order;
create index asset_risk_order on asset (tenant_id, risk_order desc, id desc);
drop index asset_merged;
create index asset_root on asset (tenant_id, root_id);

create or replace function asset_edge() returns table (tenant_id uuid, id uuid, from_id uuid, kind text, to_id uuid, source text,
    first_seen timestamptz, last_seen timestamptz) language sql stable as $$
    select r.tenant_id, r.id, f.root_id, r.kind, t.root_id, r.source, r.first_seen, r.last_seen
    from asset_relation r
    join asset f on f.tenant_id = r.tenant_id and f.id = r.from_id
    join asset t on t.tenant_id = r.tenant_id and t.id = r.to_id
    where f.root_id <> t.root_id
$$;

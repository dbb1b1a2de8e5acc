-- One asset under many keys.

-- The normal form of a key: two keys with the same one name the same asset. Whatever the case and slashes at the end;
-- package URLs without qualifiers; models and data sets of the Hugging Face hub however they are written; addresses without
-- credentials, fragment and default port, repositories without `.git`. Plain names stay what they are, in lower case.
create function asset_identity(kind text, key text) returns text language sql immutable strict parallel safe as $$
    with plain as (
        select lower(btrim(key)) as k
    ), hub as (
        select case when kind in ('MODEL', 'DATASET')
            then regexp_replace(k, '^(hf:(//)?|huggingface:(//)?|(https?://)?(www\.)?(huggingface\.co|hf\.co)/)', 'pkg:huggingface/')
            else k end as k
        from plain
    ), form as (
        select case
            when k ~ '^pkg:huggingface/datasets/' and kind = 'DATASET'
                then 'https://huggingface.co/' || regexp_replace(substr(k, 17), '[?#].*|/(tree|blob|resolve|raw)/.*', '')
            when k ~ '^pkg:huggingface/' and kind = 'DATASET'
                then 'https://huggingface.co/datasets/' || regexp_replace(substr(k, 17), '[?#].*|/(tree|blob|resolve|raw)/.*', '')
            when k ~ '^pkg:huggingface/' then regexp_replace(k, '[?#].*|/(tree|blob|resolve|raw)/.*', '')
            when k ~ '^pkg:' then regexp_replace(regexp_replace(k, '[?#].*', ''), '^pkg:/+', 'pkg:')
            -- user@host:path, as ssh writes it.
            when k ~ '^[a-z0-9_.-]+@[a-z0-9.-]+:[^/]'
                then regexp_replace(regexp_replace(k, '^[^@]+@([^:]+):', 'https://\1/'), '(\.git)?/*$', '')
            when k ~ '^[a-z][a-z0-9+.-]*://[^/]'
                then regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(k,
                    '^(git\+)?(https?|ssh|git)://', case when k ~ '^(git\+)?http://' then 'http://' else 'https://' end),
                    '^([a-z0-9+.-]+://)[^/@]*@', '\1'),
                    '#.*$', ''),
                    '^(http://[^/:]+):80(/|$)|^(https://[^/:]+):443(/|$)', '\1\3\2\4'),
                    '/*(\.git)?/*$', '')
            else k
        end as k
        from hub
    )
    select coalesce(nullif(rtrim(k, '/'), ''), key) from form
$$;

-- What tells assets apart. An asset that was found to be part of another one keeps its row and its key, as an alias: what names it
-- means the other one, and it can be split off again with all that came in under its key.
alter table asset
    add identity text not null generated always as (asset_identity(kind, external_key)) stored,
    add merged_into uuid,
    add merged_at timestamptz,
    add merged_by text,
    add foreign key (tenant_id, merged_into) references asset,
    add check (merged_into <> id),
    add check ((merged_into is null) = (merged_at is null) and (merged_into is null) = (merged_by is null)),
    drop constraint asset_tenant_id_kind_external_key_key,
    add unique (tenant_id, kind, identity);
create index asset_merged on asset (tenant_id, merged_into) where merged_into is not null;

-- How assets depend on each other, with what the named ends became. A function, which the planner dissolves like a view: views
-- that show what their caller may see are only in PostgreSQL 15.
create function asset_edge() returns table (tenant_id uuid, id uuid, from_id uuid, kind text, to_id uuid, source text,
    first_seen timestamptz, last_seen timestamptz) language sql stable as $$
    select r.tenant_id, r.id, coalesce(f.merged_into, f.id), r.kind, coalesce(t.merged_into, t.id), r.source, r.first_seen, r.last_seen
    from asset_relation r
    join asset f on f.tenant_id = r.tenant_id and f.id = r.from_id
    join asset t on t.tenant_id = r.tenant_id and t.id = r.to_id
    where coalesce(f.merged_into, f.id) <> coalesce(t.merged_into, t.id)
$$;

-- A problem is one per asset, whatever key a report named the asset by: the fingerprint says which problem, the asset whose.
-- Scans, relations, history and assessments stay with the asset that was named.
alter table finding
    drop constraint finding_tenant_id_fingerprint_key,
    add unique (tenant_id, asset_id, fingerprint);

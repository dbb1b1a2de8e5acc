-- What a name comes down to: its last part in small letters and digits. Stored, so that an index finds assets that may be the same.
alter table asset add plain_name text not null generated always as (lower(regexp_replace(
    regexp_replace(rtrim(name, '/'), '^.*[/:]|\.git$', '', 'g'), '[^[:alnum:]]+', '', 'g'))) stored;
create index asset_plain_name on asset (tenant_id, kind, plain_name);

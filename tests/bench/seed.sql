-- 1,000,000 findings in 100 organizations, made by the database itself; the same in every run but for the ids of organizations and assets.
-- One organization ($1 in `bench_tenant`) exists already and has 51 of every 100 findings; the other 99 share the rest. The rows of all
-- organizations lie mixed in the tables, as they would if all had imported at the same time.

select setseed(0.5);

insert into bench_tenant select no, gen_random_uuid() from generate_series(1, 99) no;
insert into organization (tenant_id, name, slug, created_at)
select id, 'Organization ' || no, 'organization-' || no, now() from bench_tenant where no > 0;

-- 2,000 assets in the large organization, 100 in each of the others, of all exposures and criticalities.
create temporary table bench_asset as
select t.no as tenant, a.no as no, t.id as tenant_id, gen_random_uuid() as id, gen_random_uuid() as scan_id,
    (array[1, 1, 1.15, 0.8])[1 + a.no % 4] * (array[0.7, 1, 1, 1.15, 1.3])[1 + a.no % 5] as factor
from bench_tenant t, lateral generate_series(0, case t.no when 0 then 1999 else 99 end) a(no);
insert into asset (tenant_id, id, kind, external_key, name, exposure, criticality, first_seen, last_seen, risk_factor, risk)
select tenant_id, id, (array['APPLICATION', 'AGENT', 'MODEL', 'DATASET', 'TOOL', 'MCP_SERVER'])[1 + no % 6],
    'asset-' || no, 'Asset ' || no, (array['INTERNAL', 'INTERNAL', 'INTERNET', 'ISOLATED'])[1 + no % 4],
    (array['LOW', 'MEDIUM', 'MEDIUM', 'HIGH', 'CRITICAL'])[1 + no % 5], now(), now(), factor, random()
from bench_asset;
insert into report (tenant_id, id, status, requested_format, format, tool, tool_version, bytes, sha256, uploaded_by, created_at, finished_at)
select id, id, 'DONE', 'auto', 'sarif', 'acme-scan', '4.2.0', 1, '', 'bench', now(), now() from bench_tenant;
insert into scan (tenant_id, id, tool, asset_id, identity, tool_version, first_seen, last_seen, last_report_id)
select tenant_id, scan_id, 'acme-scan', id, 'bench', '4.2.0', now(), now(), tenant_id from bench_asset;

-- Severities: 3 % critical, 12 % high, 35 % medium, 35 % low, 15 % info. One in five is resolved.
create temporary table bench_finding as
select n, case when n % 100 < 51 then 0 else 1 + n / 100 % 99 end as tenant, md5(n::text) as hash,
    width_bucket(random(), array[0, 0.03, 0.15, 0.5, 0.85]) - 1 as severity, random() < 0.8 as active,
    (random() * 1000000)::int as place
from generate_series(0, 999999) n;
create temporary table bench_row as
select f.*, a.tenant_id, a.id as asset_id, a.scan_id, a.factor, (array[0.9, 0.7, 0.4, 0.15, 0.02])[1 + severity] as base,
    -- Ordered by time as all ids are (UUID version 7): milliseconds, version, variant, random.
    (lpad(to_hex(1760000000000 + n * 1000::bigint), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid as id
from bench_finding f
join bench_asset a on a.tenant = f.tenant and a.no = f.place % case f.tenant when 0 then 2000 else 100 end;

insert into finding (tenant_id, id, fingerprint, asset_id, layer, severity, rule, title, description, remediation, categories,
    base_risk, risk, first_seen, first_report_id, active, resolved_at)
select tenant_id, id, hash::uuid, asset_id, (array['APPLICATION', 'APPLICATION', 'MODEL', 'DATA', 'RUNTIME'])[1 + n % 5], severity,
    'ACME-' || place % 40, 'Finding ' || n || ': model output reaches a place where it is executed',
    'The value of `request_' || n || '` flows from the caller into a place where it has an effect that its author did not plan for. '
        || repeat('See the rule''s page for the reasons and for examples. ', 1 + place % 5),
    'Follow the advice on the rule''s page.',
    (array['owasp-llm@2025:LLM01 atlas@5.6.0:AML.T0051', 'owasp-llm@2025:LLM05 cwe@4:CWE-94', 'owasp-llm@2025:LLM03',
        'owasp-agentic@2026:ASI02 cwe@4:CWE-862 atlas@5.6.0:AML.T0053'])[1 + place % 4],
    base, least(base * factor, 0.99), to_timestamp(1760000000 + n), tenant_id, active, case when not active then now() end
from bench_row order by n;
insert into occurrence (tenant_id, scan_id, finding_id, report_id, content_hash, severity, count, locations, evidence, first_seen, absent_since)
select tenant_id, scan_id, id, tenant_id, hash::uuid, severity, 1,
    jsonb_build_array(jsonb_build_object('uri', 'services/module_' || place % 64 || '/file_' || place % 1024 || '.py', 'line', place % 2048)),
    jsonb_build_object('snippet', 'answer_' || n || ' = client.complete(prompt=SYSTEM + request_' || n || '.text, model=MODEL)'),
    to_timestamp(1760000000 + n), case when not active then now() end
from bench_row order by n;

use super::*;
use crate::{
    jobs::Outcome,
    kernel::{Clock, Ctx, Db, Kind, Permission, testing},
};
use futures::stream;
use proptest::{prelude::*, strategy::ValueTree as _};
use serde_json::{Value, json};
use sqlx::PgPool;
use stance_shared::{ReportId, ReportStatus};
use std::{convert::Infallible, future::Future as _, io::Write as _};

mod aliases;

/// One result of a synthetic SARIF report.
#[derive(Clone, Debug)]
struct Hit {
    rule: String,
    line: u32,
    text: String,
    suppressed: bool,
}

fn hit(rule: &str, line: u32, text: &str) -> Hit {
    Hit { rule: rule.to_owned(), line, text: text.to_owned(), suppressed: false }
}

fn suppressed(rule: &str) -> Hit {
    Hit { suppressed: true, ..hit(rule, 1, "x") }
}

fn sarif(tool: &str, scan: &str, hits: &[Hit]) -> Vec<u8> {
    let results: Vec<Value> = hits
        .iter()
        .map(|hit| {
            let mut result = json!({
                "ruleId": hit.rule,
                "level": "error",
                "message": { "text": hit.text },
                // The tool's own: the same wherever the line moves, whatever the message says.
                "partialFingerprints": { "primaryLocationLineHash": format!("{:0>16}", hit.rule.len() * 1000) },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": format!("src/{}.py", hit.rule) }, "region": { "startLine": hit.line } } }]
            });
            if hit.suppressed {
                result["suppressions"] = json!([{ "kind": "inSource", "justification": "known" }]);
            }
            result
        })
        .collect();
    json!({ "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": tool, "version": "1.0" } },
        // What stands before the last slash is the scan, what stands behind it the run.
        "automationDetails": { "id": format!("{scan}/run") },
        "results": results
    }] })
    .to_string()
    .into_bytes()
}

struct Bench {
    pool: PgPool,
    db: Db,
    ctx: Ctx,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        let ctx = testing::organization(&pool, &Clock::System, "acme").await;
        Self { db: testing::db(&pool), pool, ctx }
    }

    async fn upload(&self, upload: Upload, body: Vec<u8>) -> crate::kernel::Result<ReportId> {
        let chunks: Vec<_> =
            body.chunks(300_000).map(|chunk| Ok::<_, Infallible>(bytes::Bytes::copy_from_slice(chunk))).collect();
        accept(&self.db, &self.ctx, Limits::default(), upload, stream::iter(chunks)).await
    }

    async fn start(&self, asset: &str, body: Vec<u8>) -> ReportId {
        let asset = Some(asset.to_owned()).filter(|asset| !asset.is_empty());
        let upload = Upload { format: "auto".into(), asset, ..Upload::default() };
        self.upload(upload, body).await.unwrap()
    }

    /// Uploads and imports.
    async fn import(&self, asset: &str, body: Vec<u8>) -> Report {
        let id = self.start(asset, body).await;
        assert_eq!(jobs::import(&self.db, &self.ctx, id).await.unwrap(), Outcome::Done);
        get(&self.db, &self.ctx, id).await.unwrap()
    }

    /// `[new, updated, reopened, resolved, unchanged]` of an import.
    async fn counts(&self, asset: &str, body: Vec<u8>) -> [i32; 5] {
        let report = self.import(asset, body).await;
        assert_eq!(report.status, ReportStatus::Done, "{:?}", report.error);
        let Counts { new, updated, reopened, resolved, unchanged, findings, .. } = report.counts;
        assert_eq!(new + updated + reopened + unchanged, findings);
        [new, updated, reopened, resolved, unchanged]
    }

    /// Everything that a repeated import must leave as it was.
    async fn state(&self) -> Value {
        sqlx::query_scalar(
            "select jsonb_build_object(
                 'findings', (select jsonb_agg(to_jsonb(f) order by f.id) from finding f),
                 'occurrences', (select jsonb_agg(to_jsonb(o) order by o.scan_id, o.finding_id) from occurrence o),
                 'decisions', (select jsonb_agg(to_jsonb(d) order by d.id) from decision d),
                 'events', (select count(*) from finding_event))",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    async fn statuses(&self) -> Vec<(String, String)> {
        sqlx::query_as("select rule, status from finding order by rule, status").fetch_all(&self.pool).await.unwrap()
    }

    /// A person's decision on the findings of a rule, as triage stores it.
    async fn decide(&self, rule: &str, kind: &str) {
        let sql = "with made as (
                insert into decision (tenant_id, id, finding_id, kind, reason, expires_at, approver_id, decided_by, decided_at)
                select tenant_id, gen_random_uuid(), id, $2, 'because', case when $2 = 'RISK_ACCEPTED' then now() + interval '9 days' end,
                    case when $2 = 'RISK_ACCEPTED' then gen_random_uuid() end, 'somebody', now()
                from finding where rule = $1 returning id, finding_id)
            update finding f set decision_id = nullif(made.id, case when $2 = 'REOPENED' then made.id end),
                decision_kind = nullif($2, 'REOPENED') from made where f.id = made.finding_id";
        sqlx::query(sql).bind(rule).bind(kind).execute(&self.pool).await.unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn the_same_findings_again_change_nothing_in_whatever_order(pool: PgPool) {
    let bench = Bench::new(pool).await;
    // Two are the same but for their line, two are the same in everything.
    let mut hits = vec![
        hit("a", 1, "x"),
        hit("b", 2, "x"),
        hit("dup", 30, "x"),
        hit("dup", 7, "x"),
        hit("dup", 7, "x"),
        hit("e", 1, "y"),
    ];
    assert_eq!(bench.counts("m", sarif("lint", "", &hits)).await, [6, 0, 0, 0, 0]);
    let before = bench.state().await;
    assert_eq!(bench.counts("m", sarif("lint", "", &hits)).await, [0, 0, 0, 0, 6]);
    assert_eq!(bench.state().await, before);
    hits.reverse();
    assert_eq!(bench.counts("m", sarif("lint", "", &hits)).await, [0, 0, 0, 0, 6]);
    hits.swap(1, 3);
    assert_eq!(bench.counts("m", sarif("lint", "", &hits)).await, [0, 0, 0, 0, 6]);
    assert_eq!(bench.state().await, before);
}

#[sqlx::test(migrations = false)]
async fn a_changed_report_is_new_updated_reopened_resolved_and_unchanged(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let first = [hit("same", 1, "x"), hit("moved", 1, "x"), hit("fixed", 1, "x"), hit("flaky", 1, "x")];
    assert_eq!(bench.counts("m", sarif("lint", "", &first)).await, [4, 0, 0, 0, 0]);
    assert_eq!(bench.counts("m", sarif("lint", "", &first[..3])).await, [0, 0, 0, 1, 3]);
    let second = [hit("same", 1, "x"), hit("moved", 2, "x"), hit("flaky", 1, "x"), hit("fresh", 1, "x")];
    assert_eq!(bench.counts("m", sarif("lint", "", &second)).await, [1, 1, 1, 1, 1]);
    let words =
        |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<(String, String)>>();
    let expected = [("fixed", "RESOLVED"), ("flaky", "OPEN"), ("fresh", "OPEN"), ("moved", "OPEN"), ("same", "OPEN")];
    assert_eq!(bench.statuses().await, words(&expected));
    let events: Vec<(String, String)> = sqlx::query_as(
        "select f.rule, e.kind from finding_event e join finding f on f.id = e.finding_id order by e.at, f.rule, e.kind",
    )
    .fetch_all(&bench.pool)
    .await
    .unwrap();
    let expected = [("flaky", "RESOLVED"), ("fixed", "RESOLVED"), ("flaky", "REOPENED"), ("moved", "UPDATED")];
    assert_eq!(events, words(&expected));
}

#[sqlx::test(migrations = false)]
async fn a_persons_decision_survives_whatever_a_report_says(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let kinds = ["IN_PROGRESS", "FALSE_POSITIVE", "RISK_ACCEPTED", "REOPENED"];
    let all: Vec<Hit> = kinds.iter().map(|kind| hit(kind, 1, "x")).collect();
    bench.import("m", sarif("lint", "", &all)).await;
    for kind in kinds {
        bench.decide(kind, kind).await;
    }
    let decided = |status: &str| -> Vec<(String, String)> {
        let of = |kind: &str| match (status, kind) {
            ("RESOLVED", _) => "RESOLVED".to_owned(),
            (_, "REOPENED") => "OPEN".to_owned(),
            _ => kind.to_owned(),
        };
        let mut rows: Vec<_> = kinds.iter().map(|kind| ((*kind).to_owned(), of(kind))).collect();
        rows.sort();
        rows
    };
    assert_eq!(bench.statuses().await, decided("OPEN"));
    // Unchanged, changed, gone, back, and suppressed in the source.
    let moved: Vec<Hit> = kinds.iter().map(|kind| hit(kind, 9, "y")).collect();
    let hidden: Vec<Hit> = kinds.iter().map(|kind| suppressed(kind)).collect();
    for (body, status) in [(&all, "OPEN"), (&moved, "OPEN"), (&vec![], "RESOLVED"), (&all, "OPEN"), (&hidden, "OPEN")] {
        bench.import("m", sarif("lint", "", body)).await;
        assert_eq!(bench.statuses().await, decided(status));
    }
    let imported: i64 = sqlx::query_scalar("select count(*) from decision where origin is not null")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    assert_eq!(imported, 0, "no suppression overrules a person, not even one who reopened");
}

#[sqlx::test(migrations = false)]
async fn a_reported_suppression_is_a_decision_with_its_origin_until_it_is_lifted(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("m", sarif("lint", "", &[suppressed("a"), hit("b", 1, "x")])).await;
    let words = |a: &str| vec![("a".to_owned(), a.to_owned()), ("b".to_owned(), "OPEN".to_owned())];
    assert_eq!(bench.statuses().await, words("FALSE_POSITIVE"));
    let before = bench.state().await;
    assert_eq!(bench.counts("m", sarif("lint", "", &[hit("b", 1, "x"), suppressed("a")])).await, [0, 0, 0, 0, 2]);
    assert_eq!(bench.state().await, before);
    bench.import("m", sarif("lint", "", &[hit("a", 1, "x"), hit("b", 1, "x")])).await;
    assert_eq!(bench.statuses().await, words("OPEN"));
    let (origin, reason, undone): (String, String, bool) =
        sqlx::query_as("select origin, reason, undone_at is not null from decision")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
    assert_eq!((origin.contains("inSource"), reason.as_str(), undone), (true, "known", true));
}

#[sqlx::test(migrations = false)]
async fn a_vex_statement_decides_on_a_scanners_finding_and_does_not_describe_it(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let scanned = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6",
        "components": [{ "type": "library", "bom-ref": "y", "name": "PyYAML", "purl": "pkg:pypi/PyYAML@5.3" }],
        "vulnerabilities": [{ "id": "CVE-2020-14343", "ratings": [{ "severity": "critical" }], "affects": [{ "ref": "y" }] }] });
    let stated = json!({ "@context": "https://openvex.dev/ns/v0.2.0", "statements": [{
        "vulnerability": { "name": "CVE-2020-14343" }, "status": "not_affected", "justification": "component_not_present",
        "products": [{ "@id": "pkg:oci/portal", "subcomponents": [{ "@id": "pkg:pypi/PyYAML@5.3" }] }] }] });
    for (asset, reports) in [("scanned-first", [&scanned, &stated]), ("stated-first", [&stated, &scanned])] {
        for report in reports {
            bench.import(asset, report.to_string().into_bytes()).await;
        }
        let found: (i16, String, String) = sqlx::query_as(
            "select f.severity, f.status, d.origin from finding f join asset a on a.id = f.asset_id
             join decision d on d.id = f.decision_id where a.external_key = $1",
        )
        .bind(asset)
        .fetch_one(&bench.pool)
        .await
        .unwrap();
        let critical = stance_shared::Severity::Critical.rank();
        assert_eq!(found, (critical, "FALSE_POSITIVE".to_owned(), "OpenVEX status not_affected".to_owned()), "{asset}");
        for report in reports {
            assert_eq!(bench.counts(asset, report.to_string().into_bytes()).await, [0, 0, 0, 0, 1], "{asset}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn absence_counts_only_within_tool_asset_and_scan(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("m", sarif("lint", "one", &[hit("a", 1, "x")])).await;
    for (tool, asset, scan) in [("other", "m", "one"), ("lint", "n", "one"), ("lint", "m", "two")] {
        let counts = bench.counts(asset, sarif(tool, scan, &[])).await;
        assert_eq!(counts, [0; 5], "{tool} {asset} {scan}");
    }
    assert_eq!(bench.statuses().await[0].1, "OPEN");
    assert_eq!(bench.counts("m", sarif("lint", "one", &[])).await, [0, 0, 0, 1, 0]);
}

#[sqlx::test(migrations = false)]
async fn a_finding_is_active_while_one_scan_still_reports_it(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let hits = [hit("a", 1, "x")];
    assert_eq!(bench.counts("m", sarif("lint", "one", &hits)).await, [1, 0, 0, 0, 0]);
    assert_eq!(bench.counts("m", sarif("lint", "two", &hits)).await, [0, 1, 0, 0, 0], "another scan says so too");
    assert_eq!(bench.counts("m", sarif("lint", "one", &[])).await, [0; 5]);
    assert_eq!(bench.statuses().await[0].1, "OPEN");
    assert_eq!(bench.counts("m", sarif("lint", "two", &[])).await, [0, 0, 0, 1, 0]);
    assert_eq!(bench.counts("m", sarif("lint", "one", &hits)).await, [0, 0, 1, 0, 0]);
}

/// A garak report of these probes; of ten outputs each, so many failed.
fn garak(evaluated: &[(&str, u32)]) -> Vec<u8> {
    let probes: Vec<_> = evaluated.iter().map(|(probe, _)| format!("probes.{probe}")).collect();
    let mut lines =
        vec![json!({ "entry_type": "start_run setup", "_config.version": "0.17.1", "plugins.target_type": "test",
        "plugins.target_name": "bot", "run.spec": { "include": probes } })];
    lines.extend(evaluated.iter().map(|(probe, fails)| {
        json!({ "entry_type": "eval", "probe": probe, "detector": "d.D", "passed": 10 - fails, "fails": fails, "nones": 0,
            "total_evaluated": 10, "total_processed": 10 })
    }));
    lines.push(json!({ "entry_type": "completion", "end_time": "2026-11-01T10:05:00", "run": "r" }));
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

fn garak_hitlog(probes: &[&str]) -> Vec<u8> {
    let hit = |probe: &&str| {
        json!({ "goal": "g", "prompt": "p", "output": "o", "trigger": "t", "score": 1.0, "run_id": "r", "attempt_id": "a",
            "attempt_seq": 0, "attempt_idx": 0, "generator": "test bot", "probe": probe, "detector": "d.D" })
    };
    probes.iter().map(|probe| format!("{}\n", hit(probe))).collect::<String>().into_bytes()
}

#[sqlx::test(migrations = false)]
async fn what_a_hitlog_brought_is_gone_when_a_report_evaluated_it_without_failure(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let open = async || -> Vec<String> {
        bench.statuses().await.into_iter().filter(|(_, status)| status == "OPEN").map(|(rule, _)| rule).collect()
    };
    assert_eq!(bench.counts("bot", garak(&[("dan.A", 3), ("xss.B", 1)])).await, [2, 0, 0, 0, 0]);
    assert_eq!(bench.counts("bot", garak_hitlog(&["dan.A", "xss.B"])).await, [0, 2, 0, 0, 0]);
    let rates: Vec<Option<f64>> = sqlx::query_scalar("select attack_success_rate from finding order by rule")
        .fetch_all(&bench.pool)
        .await
        .unwrap();
    assert_eq!(rates, [Some(0.3), Some(0.1)], "a hitlog knows none, and takes none away");
    // A hitlog is silent about what was withstood, so its silence says nothing.
    assert_eq!(bench.counts("bot", garak_hitlog(&["xss.B"])).await, [0, 0, 0, 0, 1]);
    assert_eq!(open().await, ["dan.A/d.D", "xss.B/d.D"]);
    // Other probes prove nothing of these, another asset and another tool neither.
    assert_eq!(bench.counts("bot", garak(&[("lmrc.C", 0)])).await, [0; 5]);
    assert_eq!(bench.counts("other", garak(&[("dan.A", 0)])).await, [0; 5]);
    assert_eq!(open().await, ["dan.A/d.D", "xss.B/d.D"]);
    // One of them again, whatever else the run was asked for.
    assert_eq!(bench.counts("bot", garak(&[("dan.A", 0)])).await, [0, 0, 0, 1, 0]);
    assert_eq!(open().await, ["xss.B/d.D"]);
    assert_eq!(bench.counts("bot", garak(&[("dan.A", 0), ("xss.B", 0)])).await, [0, 0, 0, 1, 0]);
    assert!(open().await.is_empty());
    // In the other order, and hit again.
    assert_eq!(bench.counts("bot", garak_hitlog(&["dan.A"])).await, [0, 0, 1, 0, 0]);
    assert_eq!(bench.counts("bot", garak(&[("dan.A", 2)])).await[3], 0);
    assert_eq!(open().await, ["dan.A/d.D"]);
    assert_eq!(bench.counts("bot", garak(&[("dan.A", 0)])).await, [0, 0, 0, 1, 0]);
}

#[sqlx::test(migrations = false)]
async fn a_run_that_did_not_complete_resolves_nothing(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("m", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let mut partial: Value = serde_json::from_slice(&sarif("lint", "", &[])).unwrap();
    partial["runs"][0]["invocations"] = json!([{ "executionSuccessful": false }]);
    assert_eq!(bench.counts("m", partial.to_string().into_bytes()).await, [0; 5]);
    assert_eq!(bench.statuses().await[0].1, "OPEN");
}

#[sqlx::test(migrations = false)]
async fn an_empty_report_says_so(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let report = bench.import("m", sarif("lint", "", &[])).await;
    assert_eq!((report.status, report.counts.findings), (ReportStatus::Done, 0));
    assert!(report.gaps.iter().any(|gap| gap.class == "empty-report"), "{:?}", report.gaps);
    assert_eq!((report.format.as_deref(), report.tool.as_deref()), (Some("sarif"), Some("lint")));
}

#[sqlx::test(migrations = false)]
async fn a_broken_report_fails_with_its_place_and_changes_nothing(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("m", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let before = bench.state().await;
    let whole = sarif("lint", "", &[hit("b", 1, "x"), hit("c", 1, "x")]);
    let mut wrong: Value = serde_json::from_slice(&whole).unwrap();
    wrong["runs"] = json!("none");
    let cases = [
        (whole[..whole.len() - 40].to_vec(), "TRUNCATED"),
        (wrong.to_string().into_bytes(), "MALFORMED"),
        (b"what is this".to_vec(), "UNKNOWN_FORMAT"),
    ];
    for (body, code) in cases {
        let report = bench.import("m", body).await;
        let error = report.error.unwrap();
        assert_eq!((report.status, error.code.as_str()), (ReportStatus::Failed, code), "{error:?}");
        assert!(code == "UNKNOWN_FORMAT" || error.line == Some(1), "{error:?}");
    }
    assert_eq!(bench.state().await, before);
}

#[sqlx::test(migrations = false)]
async fn hostile_text_is_stored_with_nul_shown(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let text = "a\0b'); drop table finding; -- \u{202e}\u{1f600}\\u0000";
    let report = bench.import("key\u{1f600}", sarif("lint", "", &[hit("a\0a", 1, text)])).await;
    assert_eq!(report.status, ReportStatus::Done, "{:?}", report.error);
    let (description, title): (String, String) =
        sqlx::query_as("select description, title from finding").fetch_one(&bench.pool).await.unwrap();
    assert!(format!("{title}{description}").contains("a\u{fffd}b"), "{title} {description}");
}

#[sqlx::test(migrations = false)]
async fn an_import_that_dies_before_its_commit_runs_again_as_if_nothing_had_been(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let hits: Vec<Hit> = (0..400).map(|i| hit(&"r".repeat(i % 40 + 1), u32::try_from(i).unwrap(), "x")).collect();
    let id = bench.start("m", sarif("lint", "", &hits)).await;
    // Cut off at many places: each poll that is not ready is one.
    for polls in [1, 3, 6, 10, 20, 40] {
        let mut import = Box::pin(jobs::import(&bench.db, &bench.ctx, id));
        let mut left = polls;
        let cut = std::future::poll_fn(|cx| {
            left -= 1;
            if left == 0 || import.as_mut().poll(cx).is_ready() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        });
        cut.await;
        drop(import);
    }

    let report = testing::until("the report is done", async || {
        // The server may still be rolling the last attempt back: it then has the turn.
        jobs::import(&bench.db, &bench.ctx, id).await.unwrap();
        Some(get(&bench.db, &bench.ctx, id).await.unwrap()).filter(|report| report.status == ReportStatus::Done)
    })
    .await;
    assert_eq!((report.status, report.counts.new, report.counts.findings), (ReportStatus::Done, 400, 400));
    let rows: i64 = sqlx::query_scalar("select count(*) from finding").fetch_one(&bench.pool).await.unwrap();
    assert_eq!(rows, 400);
}

#[sqlx::test(migrations = false)]
async fn a_report_that_can_not_be_read_just_now_is_tried_again_and_not_called_broken(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let body = sarif("lint", "", &(0..9000).map(|i| hit(&format!("r{i}"), 1, &"x".repeat(200))).collect::<Vec<_>>());
    assert!(body.len() > 2 * PIECE);
    let id = bench.start("m", body).await;
    // At once, and after the first piece.
    for unreadable in ["true", "piece > 0"] {
        let policy = format!(
            "create policy broken on report_body as restrictive using (case when {unreadable} then 1 / (piece - piece) = 1 else true end)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(policy)).execute(&bench.pool).await.unwrap();
        assert_eq!(jobs::import(&bench.db, &bench.ctx, id).await.unwrap_err().kind, Kind::Internal);
        assert_ne!(get(&bench.db, &bench.ctx, id).await.unwrap().status, ReportStatus::Failed);
        sqlx::raw_sql("drop policy broken on report_body").execute(&bench.pool).await.unwrap();
    }
    jobs::import(&bench.db, &bench.ctx, id).await.unwrap();
    let report = get(&bench.db, &bench.ctx, id).await.unwrap();
    assert_eq!((report.status, report.counts.new), (ReportStatus::Done, 9000));
}

#[sqlx::test(migrations = false)]
async fn a_failed_report_whose_job_is_driven_again_is_imported(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.start("m", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let mut tx = bench.db.begin(&bench.ctx, Permission::ReportImport).await.unwrap();
    jobs::gave_up(&mut tx, id, "It failed.").await.unwrap();
    tx.commit().await.unwrap();
    let failed = get(&bench.db, &bench.ctx, id).await.unwrap();
    assert_eq!((failed.status, failed.error.unwrap().code.as_str()), (ReportStatus::Failed, "INTERNAL"));
    let mut tx = bench.db.begin(&bench.ctx, Permission::JobRedrive).await.unwrap();
    reopen(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(jobs::import(&bench.db, &bench.ctx, id).await.unwrap(), Outcome::Done);
    let report = get(&bench.db, &bench.ctx, id).await.unwrap();
    assert_eq!((report.status, report.counts.new, report.error), (ReportStatus::Done, 1, None));
}

#[sqlx::test(migrations = false)]
async fn reports_of_one_organization_are_merged_in_order_also_when_their_jobs_run_at_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let first = bench.start("m", sarif("lint", "", &[hit("a", 1, "x"), hit("b", 1, "x")])).await;
    let second = bench.start("m", sarif("lint", "", &[hit("b", 1, "x")])).await;
    let run = |id| jobs::import(&bench.db, &bench.ctx, id);
    let (a, b, c, d) = tokio::join!(run(second), run(first), run(first), run(second));
    for outcome in [a, b, c, d] {
        outcome.unwrap();
    }
    run(first).await.unwrap();
    run(second).await.unwrap();
    let report = get(&bench.db, &bench.ctx, second).await.unwrap();
    assert_eq!((report.counts.resolved, report.counts.unchanged), (1, 1));
    let first = get(&bench.db, &bench.ctx, first).await.unwrap();
    assert_eq!(first.counts.new, 2);
}

#[sqlx::test(migrations = false)]
async fn bodies_of_several_pieces_and_compressed_ones_are_read(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let long = "long text ".repeat(200);
    let hits: Vec<Hit> = (0..3000).map(|i| hit(&format!("rule{i}"), 1, &format!("{i} {long}"))).collect();
    let body = sarif("lint", "", &hits);
    assert!(body.len() > 5 * PIECE, "several batches of pieces");
    assert_eq!(bench.counts("m", body.clone()).await, [3000, 0, 0, 0, 0]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&body).unwrap();
    assert_eq!(bench.counts("m", gzip.finish().unwrap()).await, [0, 0, 0, 0, 3000]);
}

#[sqlx::test(migrations = false)]
async fn an_idempotency_key_gives_the_same_report_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let upload = Upload { format: "auto".into(), idempotency_key: Some("k".into()), ..Upload::default() };
    let body = sarif("lint", "", &[hit("a", 1, "x")]);
    let id = bench.upload(upload.clone(), body.clone()).await.unwrap();
    assert_eq!(bench.upload(upload.clone(), body).await.unwrap(), id);
    let error = bench.upload(upload, sarif("lint", "", &[])).await.unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
}

#[sqlx::test(migrations = false)]
async fn bad_uploads_are_refused_and_leave_nothing(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let auto = Upload { format: "auto".into(), ..Upload::default() };
    let error = bench.upload(Upload { format: "nope".into(), ..auto.clone() }, b"x".to_vec()).await.unwrap_err();
    assert!(error.public.contains("sarif"), "{}", error.public);
    assert_eq!(bench.upload(auto.clone(), Vec::new()).await.unwrap_err().kind, Kind::BadInput);
    let limits = Limits { body: 7 << 20, ..Limits::default() };
    let endless = stream::iter((0..99).map(|_| Ok::<_, Infallible>(bytes::Bytes::from(vec![b' '; 1 << 20]))));
    let error = accept(&bench.db, &bench.ctx, limits, auto.clone(), endless).await.unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge);
    let broken =
        stream::iter((0..8).map(|i| {
            if i < 7 { Ok(bytes::Bytes::from(vec![b' '; 1 << 20])) } else { Err(std::io::Error::other("gone")) }
        }));
    let error = accept(&bench.db, &bench.ctx, Limits::default(), auto.clone(), broken).await.unwrap_err();
    assert_eq!(error.kind, Kind::BadInput);
    let left: i64 = sqlx::query_scalar("select count(*) from report").fetch_one(&bench.pool).await.unwrap();
    assert_eq!(left, 0);
    bench.upload(auto.clone(), b"x".to_vec()).await.unwrap();
    let limits = Limits { unfinished: 1, ..Limits::default() };
    let one = stream::iter([Ok::<_, Infallible>(bytes::Bytes::from_static(b"x"))]);
    assert_eq!(accept(&bench.db, &bench.ctx, limits, auto, one).await.unwrap_err().kind, Kind::RateLimited);
}

#[sqlx::test(migrations = false)]
async fn an_asset_is_found_by_its_key_or_made_of_the_kind_that_was_said(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.import("MODEL:llama", sarif("lint", "", &[hit("a", 1, "x")])).await;
    bench.import("llama", sarif("lint", "", &[hit("a", 1, "x")])).await;
    bench.import("shop", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let assets: Vec<(String, String)> =
        sqlx::query_as("select kind, external_key from asset order by 2").fetch_all(&bench.pool).await.unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(assets, [pair("MODEL", "llama"), pair("APPLICATION", "shop")]);
    let checks: i64 = sqlx::query_scalar("select count(*) from assessment").fetch_one(&bench.pool).await.unwrap();
    assert!(checks > 0, "the run's checks are noted");
}

/// A report of Stance's own format: rules by asset.
fn findings(tool: &str, on: &[(&str, &str)]) -> Vec<u8> {
    let reference = |key: &str| json!({ "kind": "AGENT", "key": key });
    let findings: Vec<Value> = on
        .iter()
        .map(|(asset, rule)| {
            json!({ "asset": reference(asset), "rule": rule, "title": rule, "severity": "HIGH", "layer": "APPLICATION" })
        })
        .collect();
    let assessed: Vec<Value> = on.iter().map(|(asset, _)| reference(asset)).collect();
    json!({ "stance": "findings/1", "tool": { "name": tool, "version": "1" }, "complete": true, "assessed": assessed,
        "findings": findings })
    .to_string()
    .into_bytes()
}

#[sqlx::test(migrations = false)]
async fn a_report_that_writes_one_asset_in_two_ways_is_about_one(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let report = || findings("t", &[("Bot", "a"), ("bot/", "a"), ("BOT", "b")]);
    assert_eq!(bench.counts("", report()).await, [3, 0, 0, 0, 0], "the same twice is two, as under one name");
    let before = bench.state().await;
    assert_eq!(bench.counts("", report()).await, [0, 0, 0, 0, 3]);
    assert_eq!(bench.state().await, before);
    let assets: Vec<String> =
        sqlx::query_scalar("select external_key from asset").fetch_all(&bench.pool).await.unwrap();
    assert_eq!(assets.len(), 1, "{assets:?}");
}

#[sqlx::test(migrations = false)]
async fn another_organization_sees_nothing_of_it(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let report = bench.import("m", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let stranger = testing::organization(&bench.pool, &Clock::System, "stranger").await;
    assert_eq!(get(&bench.db, &stranger, report.id).await.unwrap_err().kind, Kind::NotFound);
    assert!(assets(&bench.db, &stranger, &[report.id]).await.unwrap().is_empty());
    let mut tx = bench.db.begin(&stranger, Permission::ReportRead).await.unwrap();
    assert!(super::repo::piece(&bench.db, &stranger, report.id, 0).await.unwrap().is_none());
    let seen: i64 = sqlx::query_scalar("select count(*) from finding").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(seen, 0);
}

/// What a report brought that no finding, asset or gap may keep: nowhere in the database, in no column of any table.
#[sqlx::test(migrations = false)]
async fn no_stored_row_holds_a_configurations_secret_once_it_is_read(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let secret = format!("ghp_{}", "4fQz9LmW2xKc7RtVb8Ns".repeat(2).get(..36).unwrap());
    let config = json!({ "mcpServers": { "github": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-github"],
        "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": secret } } } });
    let rows_with_it = async || {
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind = 'r' and n.nspname in ('public', 'apalis')",
        )
        .fetch_all(&bench.pool)
        .await
        .unwrap();
        let mut found = Vec::new();
        for table in tables {
            // As text, and as a `bytea` shows it.
            let sql = format!("select count(*) from {table} t where t::text like $1 or t::text like $2");
            let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .bind(format!("%{secret}%"))
                .bind(format!("%{}%", hex::encode(&secret)))
                .fetch_one(&bench.pool)
                .await
                .unwrap();
            found.extend((count > 0).then_some(table));
        }
        found
    };
    let whole = config.to_string().into_bytes();
    let id = bench.start("AGENT:claude", whole.clone()).await;
    assert_eq!(rows_with_it().await, ["public.report_body"], "the search finds what waits to be read");
    jobs::import(&bench.db, &bench.ctx, id).await.unwrap();
    let report = get(&bench.db, &bench.ctx, id).await.unwrap();
    assert_eq!(
        (report.status, report.format.as_deref()),
        (ReportStatus::Done, Some("mcp_config")),
        "{:?}",
        report.error
    );
    assert!(report.counts.findings > 0, "the secret is a finding");
    assert_eq!(rows_with_it().await, [""; 0]);

    let broken = bench.import("AGENT:claude", whole[..whole.len() - 3].to_vec()).await;
    assert_eq!(broken.status, ReportStatus::Failed);
    assert_eq!(rows_with_it().await, [""; 0], "a broken one is not kept either");
}

/// Counts against a model: sets of (rule) with content, over random sequences of reports.
#[sqlx::test(migrations = false)]
async fn counts_agree_with_a_model(pool: PgPool) {
    use std::collections::BTreeMap;
    let bench = Bench::new(pool).await;
    let reports = prop::collection::vec(prop::collection::btree_map(0..6_usize, 0..3_u32, 0..6), 12);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let reports: Vec<BTreeMap<usize, u32>> = reports.new_tree(&mut runner).unwrap().current();
    let mut known: BTreeMap<usize, (u32, bool)> = BTreeMap::new();
    for report in reports {
        let hits: Vec<Hit> =
            report.iter().map(|(rule, content)| hit(&format!("rule{rule}"), content + 1, "x")).collect();
        let mut expected = [0; 5];
        for (rule, content) in &report {
            let slot = match known.get(rule) {
                None => 0,
                Some((_, false)) => 2,
                Some((old, true)) if old != content => 1,
                Some(_) => 4,
            };
            expected[slot] += 1;
        }
        for (rule, (_, active)) in &mut known {
            if *active && !report.contains_key(rule) {
                *active = false;
                expected[3] += 1;
            }
        }
        known.extend(report.iter().map(|(rule, content)| (*rule, (*content, true))));
        assert_eq!(bench.counts("m", sarif("lint", "", &hits)).await, expected, "{report:?}");
    }
}

/// Every real report is taken, and a second time changes nothing.
#[sqlx::test(migrations = false)]
async fn real_reports_import_twice_without_change(pool: PgPool) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reports");
    let Ok(index) = std::fs::read_to_string(folder.join("index.json")) else {
        println!("skipped: there are no real reports at {}", folder.display());
        return;
    };
    let bench = Bench::new(pool).await;
    let index: Vec<Value> = serde_json::from_str(&index).unwrap();
    let files = index.iter().filter_map(|entry| entry["file"].as_str());
    let mut taken = 0;
    for file in files.filter(|file| ["sarif", "garak", "modelscan"].iter().any(|tool| file.starts_with(tool))) {
        let Ok(body) = std::fs::read(folder.join(file)) else { continue };
        if body.len() > 3 << 20 {
            continue;
        }
        let first = bench.import("m", body.clone()).await;
        if first.status == ReportStatus::Failed {
            println!("{file}: {:?}", first.error.map(|error| error.code));
            continue;
        }
        let second = bench.import("m", body).await;
        let changed = second.counts.new + second.counts.updated + second.counts.reopened + second.counts.resolved;
        assert_eq!((changed, second.counts.unchanged), (0, first.counts.findings), "{file}");
        taken += 1;
    }
    assert!(taken > 0, "no report was taken");
}

/// The whole way: upload, queue, import, scoring, all by the process's own workers.
#[sqlx::test(migrations = false)]
async fn an_upload_becomes_risk_by_itself(pool: PgPool) {
    let bench = Bench { db: testing::server_db(&pool).await, ..Bench::new(pool).await };
    let tasks = crate::kernel::tasks::Tasks::default();
    let hub = crate::live::Hub::start(&bench.db, &tasks);
    let dispatch = crate::jobs::Dispatch {
        outbound: crate::kernel::outbound::Outbound::for_tests(&Clock::System, false),
        origin: String::new(),
    };
    crate::jobs::start(&bench.db, &Clock::System, dispatch, &tasks);
    let events = hub.subscribe(bench.ctx.tenant);
    let id = bench.start("APPLICATION:shop", sarif("lint", "", &[hit("a", 1, "x")])).await;
    let report = wait(&bench.db, &bench.ctx, id, events, std::time::Duration::from_secs(30)).await.unwrap();
    assert_eq!((report.status, report.counts.new), (ReportStatus::Done, 1));
    let posture = testing::until("there is a figure", async || {
        let posture = crate::scoring::posture(&bench.db, &bench.ctx).await.unwrap();
        posture.all.residual.is_some().then_some(posture)
    })
    .await;
    assert_eq!((posture.assessed, posture.all.open_findings), (1, 1));
    assert!(posture.all.residual.is_some_and(|risk| risk > 0.0), "{posture:?}");
    assert!(tasks.shutdown(std::time::Duration::from_secs(10)).await);
}

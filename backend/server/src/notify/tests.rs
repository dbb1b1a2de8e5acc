use super::{
    channels::{self, Input, MailInput},
    deliveries::{self, Filter},
    deliveries_repo,
    domain::{ChannelState, Delivery, Encryption, FAILING_DAYS},
    jobs, rules, *,
};
use crate::{
    jobs::sweep,
    kernel::{Clock, Ctx, Db, Kind, Role, crypto::Secret, outbound::Outbound, page::Page, tasks::Tasks, testing},
};
use axum::{Router, extract::State, http::HeaderMap, routing::post};
use chrono::Duration;
use sqlx::PgPool;
use stance_shared::{ChannelId, DeliveryId, UserId};
use std::sync::{Arc, Mutex};

/// What came to a receiver, and what it answers next; 200 when nothing else is said.
#[derive(Default)]
struct Inbox {
    answers: Vec<u16>,
    /// `(Idempotency-Key, body)`
    came: Vec<(String, serde_json::Value)>,
}

type Shared = Arc<Mutex<Inbox>>;

async fn receive(State(inbox): State<Shared>, headers: HeaderMap, body: String) -> axum::http::StatusCode {
    let mut inbox = inbox.lock().unwrap();
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    inbox.came.push((key, serde_json::from_str(&body).unwrap()));
    let status = if inbox.answers.is_empty() { 200 } else { inbox.answers.remove(0) };
    axum::http::StatusCode::from_u16(status).unwrap()
}

struct Bench {
    db: Db,
    ctx: Ctx,
    clock: Clock,
    pool: PgPool,
    outbound: Outbound,
    inbox: Shared,
    url: String,
    _tasks: Tasks,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        let clock = testing::clock();
        let ctx = testing::organization(&pool, &clock, "ours").await;
        let (inbox, tasks) = (Shared::default(), Tasks::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(receive)).with_state(inbox.clone());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let outbound = Outbound::for_tests(&clock, true);
        Self { db: testing::db(&pool), ctx, clock, pool, outbound, inbox, url, _tasks: tasks }
    }

    async fn channel(&self) -> ChannelId {
        let input = Input {
            id: None,
            kind: ChannelKind::Webhook,
            name: "hook".into(),
            url: Some(Secret::new(self.url.clone())),
            new_signing_secret: false,
            mail: None,
        };
        let (channel, secret) = channels::save(&self.db, &self.ctx, &self.outbound, &input).await.unwrap();
        assert!(secret.is_some());
        channel.id
    }

    async fn rule(&self, change: impl FnOnce(&mut rules::Input)) -> stance_shared::RuleId {
        let mut input = rule(self.channel().await);
        change(&mut input);
        rules::save(&self.db, &self.ctx, input).await.unwrap().id
    }

    async fn emit(&self, severity: Severity, key: &str) {
        let mut tx = self.db.begin(&self.ctx, Permission::IncidentWrite).await.unwrap();
        emit(&mut tx, notice(severity, key)).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn run(&self) {
        jobs::run(&self.db, &self.ctx, &self.outbound, "https://stance.example").await.unwrap();
    }

    /// What came since the last look: the titles of each message.
    fn came(&self) -> Vec<Vec<String>> {
        let title = |notice: &serde_json::Value| notice["title"].as_str().unwrap().to_owned();
        let came = std::mem::take(&mut self.inbox.lock().unwrap().came);
        came.iter().map(|(_, body)| body["notices"].as_array().unwrap().iter().map(title).collect()).collect()
    }

    fn answers(&self, statuses: &[u16]) {
        self.inbox.lock().unwrap().answers = statuses.to_vec();
    }

    /// Newest first.
    async fn log(&self) -> Vec<Delivery> {
        let page = Page { first: 50, after: None };
        deliveries::list(&self.db, &self.ctx, &Filter::default(), &page).await.unwrap().items
    }
}

fn rule(channel: ChannelId) -> rules::Input {
    rules::Input {
        id: None,
        name: "rule".into(),
        channel,
        topics: vec![Topic::IncidentOpened],
        min_severity: Severity::High,
        members: Vec::new(),
        roles: Vec::new(),
        quiet_from: None,
        quiet_to: None,
        time_zone: None,
        digest_minutes: 0,
        dedup_minutes: 60,
        enabled: true,
    }
}

fn notice(severity: Severity, key: &str) -> Notice<'_> {
    Notice {
        topic: Topic::IncidentOpened,
        severity,
        title: key,
        text: "text",
        link: "/incidents/1",
        permission: Permission::IncidentRead,
        subject: Uuid::nil(),
        key,
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_rule_tells_its_topics_from_its_severity_on_and_a_key_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.rule(|_| {}).await;
    bench.emit(Severity::High, "a").await;
    bench.emit(Severity::Medium, "mild").await;
    bench.emit(Severity::High, "a").await;
    let mut tx = bench.db.begin(&bench.ctx, Permission::IncidentWrite).await.unwrap();
    emit(&mut tx, Notice { topic: Topic::SensorSilent, ..notice(Severity::Critical, "other") }).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = bench.db.begin(&bench.ctx, Permission::IncidentWrite).await.unwrap();
    emit(&mut tx, notice(Severity::High, "rolled back")).await.unwrap();
    tx.rollback().await.unwrap();
    bench.run().await;
    assert_eq!(bench.came(), [["a"]]);
    bench.clock.advance(Duration::minutes(59));
    bench.emit(Severity::High, "a").await;
    bench.run().await;
    assert_eq!(bench.came().len(), 0, "within the rule's time");
    bench.clock.advance(Duration::minutes(1));
    bench.emit(Severity::High, "a").await;
    bench.run().await;
    assert_eq!(bench.came(), [["a"]]);
    let unrouted: i64 =
        sqlx::query_scalar("select count(*) from notice where routed_at is null").fetch_one(&bench.pool).await.unwrap();
    assert_eq!((unrouted, bench.log().await.len()), (0, 2));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn quiet_hours_hold_all_but_what_is_critical_and_end_with_a_digest(pool: PgPool) {
    let bench = Bench::new(pool).await;
    // It is 12:00 in UTC, 13:00 in Berlin.
    bench
        .rule(|rule| {
            rule.quiet_from = Some("13:00".into());
            rule.quiet_to = Some("14:30".into());
            rule.time_zone = Some("Europe/Berlin".into());
        })
        .await;
    bench.emit(Severity::High, "first").await;
    bench.emit(Severity::Critical, "urgent").await;
    bench.run().await;
    assert_eq!(bench.came(), [["urgent"]]);
    bench.clock.advance(Duration::minutes(89));
    bench.emit(Severity::High, "second").await;
    bench.run().await;
    assert_eq!(bench.came().len(), 0);
    assert_eq!(bench.log().await.iter().filter(|message| message.status == Status::Held).count(), 1);
    bench.clock.advance(Duration::minutes(1));
    bench.run().await;
    assert_eq!(bench.came(), [["first", "second"]]);
    bench.emit(Severity::High, "third").await;
    bench.run().await;
    assert_eq!(bench.came(), [["third"]], "it is not quiet any more");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_message_is_tried_with_one_key_until_it_is_given_up_and_can_be_sent_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.rule(|_| {}).await;
    bench.answers(&[500; 9]);
    bench.emit(Severity::High, "a").await;
    let mut tries = 0;
    loop {
        bench.run().await;
        tries += 1;
        let message = bench.log().await.remove(0);
        assert_eq!(message.attempts.len(), tries);
        if message.status == Status::Dead {
            break;
        }
        assert_eq!(message.status, Status::Waiting);
        bench.run().await;
        assert_eq!(bench.log().await[0].attempts.len(), tries, "not before its time");
        bench.clock.advance(message.due_at - bench.clock.now());
    }
    assert_eq!(tries, 9);
    let dead = bench.log().await.remove(0);
    assert_eq!(dead.reason.as_deref(), Some("The receiver answered 500."));
    deliveries::replay(&bench.db, &bench.ctx, dead.id).await.unwrap();
    bench.run().await;
    let log = bench.log().await;
    assert_eq!((log.len(), log[0].status, log[0].attempts.len()), (1, Status::Delivered, 10));
    let came = std::mem::take(&mut bench.inbox.lock().unwrap().came);
    assert_eq!(came.len(), 10);
    assert!(came.iter().all(|(key, body)| *key == dead.id.to_string() && body["notices"] == came[0].1["notices"]));
    let again = deliveries::replay(&bench.db, &bench.ctx, dead.id).await.unwrap_err();
    assert_eq!(again.kind, Kind::Conflict);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_answer_that_will_not_change_is_not_asked_for_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.rule(|_| {}).await;
    bench.answers(&[410]);
    bench.emit(Severity::High, "a").await;
    bench.run().await;
    assert_eq!(bench.log().await[0].status, Status::Dead);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn what_one_sends_nobody_else_sends_until_its_time_is_over(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.rule(|_| {}).await;
    bench.emit(Severity::High, "a").await;
    assert!(jobs::route(&bench.db, &bench.ctx).await.unwrap());
    let claim = async || {
        let mut tx = bench.db.begin(&bench.ctx, Permission::NotificationWrite).await.unwrap();
        let claimed = deliveries_repo::claim(&mut tx, 10, Duration::seconds(90)).await.unwrap();
        tx.commit().await.unwrap();
        claimed.len()
    };
    // This worker dies before it could send.
    assert_eq!((claim().await, claim().await), (1, 0));
    bench.run().await;
    assert_eq!(bench.came().len(), 0);
    bench.clock.advance(Duration::seconds(90));
    bench.run().await;
    assert_eq!(bench.came(), [["a"]]);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_channel_that_fails_for_days_is_switched_off_with_a_reason(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.rule(|_| {}).await;
    let state = async || channels::list(&bench.db, &bench.ctx).await.unwrap().remove(0);
    assert_eq!(state().await.state(), ChannelState::Unused);
    for day in 0..=FAILING_DAYS {
        bench.answers(&[410]);
        bench.emit(Severity::High, &format!("day {day}")).await;
        bench.run().await;
        assert_eq!(state().await.state(), ChannelState::Failing, "day {day}");
        bench.clock.advance(Duration::hours(24));
    }
    bench.answers(&[410]);
    bench.emit(Severity::High, "too much").await;
    bench.run().await;
    let off = state().await;
    assert_eq!(off.state(), ChannelState::Disabled);
    assert!(off.disabled_reason.unwrap().contains("5 days"));
    bench.emit(Severity::High, "unheard").await;
    bench.run().await;
    let dropped = bench.log().await.remove(0);
    assert_eq!(dropped.status, Status::Dropped);
    let refused = deliveries::replay(&bench.db, &bench.ctx, dropped.id).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Conflict);
    channels::set_enabled(&bench.db, &bench.ctx, off.id, true).await.unwrap();
    bench.came();
    deliveries::replay(&bench.db, &bench.ctx, dropped.id).await.unwrap();
    bench.run().await;
    assert_eq!(bench.came(), [["unheard"]]);
    assert_eq!(state().await.state(), ChannelState::Working);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn members_hear_of_what_they_may_read_while_they_are_members(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let mail = MailInput {
        host: "127.0.0.1".into(),
        // Nobody listens there.
        port: 1,
        encryption: Encryption::None,
        username: None,
        password: None,
        from: "stance@ours.example".into(),
        to: String::new(),
    };
    let input = Input {
        id: None,
        kind: ChannelKind::Email,
        name: "mail".into(),
        url: None,
        new_signing_secret: false,
        mail: Some(mail),
    };
    let (channel, _) = channels::save(&bench.db, &bench.ctx, &bench.outbound, &input).await.unwrap();
    let mut people = Vec::new();
    for (name, role) in [("analyst", Role::Analyst), ("viewer", Role::Viewer), ("leaver", Role::Analyst)] {
        let user = testing::user(&bench.pool, &bench.clock, &format!("{name}@ours.example")).await;
        testing::member(&bench.pool, &bench.clock, bench.ctx.tenant, user, role).await;
        people.push(user);
    }
    let refused = rules::save(&bench.db, &bench.ctx, rule(channel.id)).await.unwrap_err();
    assert_eq!(refused.fields[0].field, "members", "nobody to write to");
    let stranger = testing::user(&bench.pool, &bench.clock, "stranger@else.example").await;
    let to = |members: Vec<UserId>| rules::Input { members, ..rule(channel.id) };
    assert_eq!(rules::save(&bench.db, &bench.ctx, to(vec![stranger])).await.unwrap_err().fields[0].field, "members");
    rules::save(&bench.db, &bench.ctx, rules::Input { roles: vec![Role::Viewer], ..to(people.clone()) }).await.unwrap();

    // Viewers read incidents, but no events.
    let mut tx = bench.db.begin(&bench.ctx, Permission::IncidentWrite).await.unwrap();
    emit(&mut tx, Notice { permission: Permission::EventRead, ..notice(Severity::High, "a") }).await.unwrap();
    tx.commit().await.unwrap();
    jobs::route(&bench.db, &bench.ctx).await.unwrap();
    let mut to: Vec<UserId> = bench.log().await.iter().filter_map(|message| message.user).collect();
    to.sort();
    assert_eq!(to, [people[0], people[2]]);
    for (sql, user) in [
        ("delete from membership where user_id = $1", people[2]),
        ("update membership set role = 'VIEWER' where user_id = $1", people[0]),
    ] {
        sqlx::query(sql).bind(user.0).execute(&bench.pool).await.unwrap();
    }
    bench.run().await;
    let log = bench.log().await;
    let reason = |user: UserId| {
        let message = log.iter().find(|message| message.user == Some(user)).unwrap();
        (message.status, message.reason.clone().unwrap())
    };
    assert_eq!(reason(people[2]), (Status::Dropped, "The person is no longer a member.".into()));
    assert_eq!(reason(people[0]), (Status::Dropped, "The person may no longer read it.".into()));
    assert!(log.iter().all(|message| message.attempts.is_empty()), "nothing was sent");
    // Whoever may read the log does not learn from it what they may not read.
    let ids: Vec<DeliveryId> = log.iter().map(|message| message.id).collect();
    let responder = testing::acting_as(&bench.ctx, Role::Auditor);
    assert!(deliveries::contents(&bench.db, &responder, &ids).await.unwrap().values().all(|told| told.len() == 1));
    let narrow = Ctx { scopes: Some([Permission::NotificationRead].into()), ..bench.ctx.clone() };
    assert!(deliveries::contents(&bench.db, &narrow, &ids).await.unwrap().values().all(Vec::is_empty));
    let viewer = testing::acting_as(&bench.ctx, Role::Viewer);
    assert_eq!(channels::list(&bench.db, &viewer).await.unwrap_err().kind, Kind::Forbidden);
    let analyst = testing::acting_as(&bench.ctx, Role::Analyst);
    assert_eq!(channels::delete(&bench.db, &analyst, channel.id).await.unwrap_err().kind, Kind::Forbidden);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn secrets_are_sealed_and_stay_with_their_server(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let id = bench.channel().await;
    let channel = channels::list(&bench.db, &bench.ctx).await.unwrap().remove(0);
    assert!(!format!("{channel:?}").contains("hidden"));
    let audit: String =
        sqlx::query_scalar("select string_agg(detail, ' ') from audit_entry").fetch_one(&bench.pool).await.unwrap();
    assert!(audit.contains("hook") && !audit.contains("hidden") && !audit.contains("whsec"), "{audit}");
    let stored: String =
        sqlx::query_scalar("select c::text from notification_channel c").fetch_one(&bench.pool).await.unwrap();
    assert!(!stored.contains(&hex::encode("hidden")) && !stored.contains("hidden"));

    let keep = Input {
        id: Some(id),
        kind: ChannelKind::Webhook,
        name: "renamed".into(),
        url: None,
        new_signing_secret: false,
        mail: None,
    };
    let (renamed, secret) = channels::save(&bench.db, &bench.ctx, &bench.outbound, &keep).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.target.as_str(), secret), ("renamed", channel.target.as_str(), None));
    let other_kind = Input { kind: ChannelKind::Slack, ..keep.clone() };
    assert_eq!(
        channels::save(&bench.db, &bench.ctx, &bench.outbound, &other_kind).await.unwrap_err().fields[0].field,
        "kind"
    );
    let closed = Outbound::new(crate::kernel::crypto::Vault::closed(), bench.clock.clone(), true).unwrap();
    let fresh = Input {
        id: None,
        url: Some(Secret::new("https://hooks.example.com/".into())),
        name: "new".into(),
        ..keep.clone()
    };
    assert_eq!(channels::save(&bench.db, &bench.ctx, &closed, &fresh).await.unwrap_err().kind, Kind::Unavailable);

    let mail = MailInput {
        host: "mail.example.com".into(),
        port: 587,
        encryption: Encryption::Starttls,
        username: Some("stance".into()),
        password: Some(Secret::new("hunter2".into())),
        from: "stance@example.com".into(),
        to: "a@example.com, b@example.com".into(),
    };
    let input = |id: Option<ChannelId>, mail: MailInput| Input {
        id,
        kind: ChannelKind::Email,
        name: "mail".into(),
        url: None,
        new_signing_secret: false,
        mail: Some(mail),
    };
    let save = async |input: Input| channels::save(&bench.db, &bench.ctx, &bench.outbound, &input).await;
    let (made, _) = save(input(None, mail.clone())).await.unwrap();
    let same = MailInput { password: None, ..mail.clone() };
    save(input(Some(made.id), MailInput { from: "other@example.com".into(), ..same.clone() })).await.unwrap();
    for (change, field) in [
        (MailInput { host: "evil.example.com".into(), ..same.clone() }, "password"),
        (MailInput { encryption: Encryption::None, ..same.clone() }, "encryption"),
        (MailInput { host: "169.254.169.254".into(), ..mail.clone() }, "host"),
        (MailInput { host: "mail.example.com/x".into(), ..mail.clone() }, "host"),
        (MailInput { port: 70_000, ..mail.clone() }, "port"),
        (MailInput { from: "nobody".into(), ..mail.clone() }, "from"),
        (MailInput { to: "a@example.com,\r\nBcc: x".into(), ..mail.clone() }, "to"),
    ] {
        let refused = save(input(Some(made.id), change)).await.unwrap_err();
        assert_eq!(refused.fields[0].field, field);
    }
    let strict = Outbound::for_tests(&bench.clock, false);
    let private = Input { url: Some(Secret::new(bench.url.clone())), ..fresh };
    let refused = channels::save(&bench.db, &bench.ctx, &strict, &private).await.unwrap_err();
    assert_eq!(refused.fields[0].field, "url");
    assert!(!refused.public.contains("hidden"));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_sweep_finds_what_no_job_is_about(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.rule(|_| {}).await;
    bench.answers(&[500]);
    bench.emit(Severity::High, "a").await;
    let jobs = async || -> i64 {
        sqlx::query_scalar("select count(*) from apalis.jobs where metadata->'job' = 'notify'")
            .fetch_one(&bench.pool)
            .await
            .unwrap()
    };
    assert_eq!(jobs().await, 1);
    sqlx::query("delete from apalis.jobs").execute(&bench.pool).await.unwrap();
    bench.clock.advance(Duration::seconds(5));
    sweep::once(&bench.db, &bench.clock).await.unwrap();
    sweep::once(&bench.db, &bench.clock).await.unwrap();
    assert_eq!(jobs().await, 1, "it has a job now");
    bench.run().await;
    sqlx::query("delete from apalis.jobs").execute(&bench.pool).await.unwrap();
    sweep::once(&bench.db, &bench.clock).await.unwrap();
    assert_eq!(jobs().await, 0, "the retry is not due yet");
    bench.clock.advance(Duration::seconds(10));
    sweep::once(&bench.db, &bench.clock).await.unwrap();
    assert_eq!(jobs().await, 1);
    bench.run().await;
    assert_eq!(bench.log().await[0].status, Status::Delivered);
    bench.clock.advance(Duration::days(super::domain::KEPT_DAYS + 1));
    sweep::once(&bench.db, &bench.clock).await.unwrap();
    sweep::once(&bench.db, &bench.clock).await.unwrap();
    for table in ["notice", "notification_delivery", "notification_content", "notification_seen"] {
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&bench.pool)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

#[test]
fn texts_are_cut_and_lose_their_control_characters() {
    assert_eq!(cut(" a\u{1b}[31m\nb ", 300, false), "a [31m b");
    assert_eq!(cut("a\nb\0", 300, true), "a\nb");
    assert_eq!(cut(&"ä".repeat(400), 300, false).chars().count(), 300);
}

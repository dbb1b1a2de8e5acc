use super::*;
use sqlx::Row as _;

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_token_is_shown_once_and_stored_as_a_hash(pool: PgPool) {
    let world = World::new(pool).await;
    let (made, secret) = tokens::create(&world.db, &world.owner, token(Role::Analyst)).await.unwrap();
    assert!(secret.starts_with("stance_") && secret.len() >= 7 + 43, "{}", secret.len());
    assert!(secret.starts_with(&made.prefix) && made.prefix.len() == 12);
    let row = sqlx::query("select token_hash, t::text as everything from api_token t where id = $1")
        .bind(made.id.0)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(row.get::<Vec<u8>, _>("token_hash"), crate::kernel::crypto::sha256(&secret));
    assert!(!row.get::<String, _>("everything").contains(&secret[12..]));
    let (action, detail) = world.log(world.owner.tenant).await.remove(0);
    assert_eq!(action, "token.created");
    assert!(!detail.contains(&secret[12..]));
    let ctx = world.by_token(&secret).await.unwrap();
    assert_eq!((ctx.role, ctx.actor.kind(), ctx.actor.label()), (Role::Analyst, "TOKEN", "ci"));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn tokens_end_by_time_and_by_revocation(pool: PgPool) {
    let world = World::new(pool).await;
    let soon = NewToken { expires_at: Some(world.clock.now() + Duration::hours(1)), ..token(Role::Viewer) };
    let (_, expiring) = tokens::create(&world.db, &world.owner, soon).await.unwrap();
    let (made, revoked) = tokens::create(&world.db, &world.owner, token(Role::Viewer)).await.unwrap();
    assert!(world.by_token(&expiring).await.is_some() && world.by_token(&revoked).await.is_some());
    let gone = tokens::revoke(&world.db, &world.owner, made.id).await.unwrap();
    assert_eq!(gone.revoked_at, Some(world.clock.now()));
    assert_eq!(world.last_action().await, "token.revoked");
    assert!(world.by_token(&revoked).await.is_none());
    world.clock.advance(Duration::hours(1));
    assert!(world.by_token(&expiring).await.is_none());
    let again = tokens::revoke(&world.db, &world.owner, made.id).await.unwrap();
    assert_eq!(again.revoked_at, gone.revoked_at, "the first time stays");
    for nonsense in ["", "stance_", "stance_x", &revoked[7..], &format!("stance_{}", "x".repeat(300))] {
        assert!(world.by_token(nonsense).await.is_none());
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn scopes_narrow_a_token_and_are_checked(pool: PgPool) {
    let world = World::new(pool).await;
    let scoped =
        |scopes: &[&str], role| NewToken { scopes: scopes.iter().map(|s| (*s).into()).collect(), ..token(role) };
    let (_, secret) = tokens::create(&world.db, &world.owner, scoped(&["report:import"], Role::Sensor)).await.unwrap();
    let ctx = world.by_token(&secret).await.unwrap();
    assert!(ctx.may(Permission::ReportImport) && !ctx.may(Permission::EventIngest));
    for wrong in ["report:burn", "member:invite", "REPORT:IMPORT", ""] {
        let input = scoped(&["report:import", wrong], Role::Sensor);
        let error = tokens::create(&world.db, &world.owner, input).await.unwrap_err();
        assert_eq!(error.fields[0].field, "scopes[1]");
        assert!(error.public.contains("report:import"), "names the allowed ones: {}", error.public);
    }
    let past = NewToken { expires_at: Some(world.clock.now()), ..token(Role::Viewer) };
    assert_eq!(field(tokens::create(&world.db, &world.owner, past).await), "expiresAt");
    let unnamed = NewToken { name: " ".into(), ..token(Role::Viewer) };
    assert_eq!(field(tokens::create(&world.db, &world.owner, unnamed).await), "name");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn last_use_is_noted_at_most_once_a_minute(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (made, secret) = tokens::create(&world.db, &world.owner, token(Role::Viewer)).await.unwrap();
    let start = world.clock.now();
    for (wait, noted) in [(0, 0), (59, 0), (1, 60)] {
        world.clock.advance(Duration::seconds(wait));
        world.by_token(&secret).await.unwrap();
        world.settle().await;
        let row = tokens::get(&world.db, &world.owner, made.id).await.unwrap().unwrap();
        assert_eq!(row.last_used_at, Some(start + Duration::seconds(noted)));
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn sessions_are_stored_hashed_and_end_by_idleness_and_by_age(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ctx = world.session(0x1234_5678_9abc_def0, &world.owner).await;
    assert_eq!((ctx.tenant, ctx.user()), (world.owner.tenant, world.owner.user()));
    let row: String = sqlx::query_scalar("select s::text from session s").fetch_one(&world.pool).await.unwrap();
    assert!(!row.contains("123456789abcdef0") && row.contains(&hex::encode(sessions::id_hash(0x1234_5678_9abc_def0))));
    // Used every six days it lives on, but not beyond thirty.
    for day in [6, 12, 18, 24] {
        world.clock.advance(Duration::days(6));
        assert!(world.by_session(0x1234_5678_9abc_def0).await.is_some(), "day {day}");
        world.settle().await;
    }
    world.clock.advance(Duration::days(6));
    assert!(world.by_session(0x1234_5678_9abc_def0).await.is_none(), "day 30");

    world.session(2, &world.owner).await;
    world.clock.advance(Duration::days(7));
    assert!(world.by_session(2).await.is_none(), "idle");
    assert!(sessions::load(&world.db, &world.clock, 2).await.unwrap().is_none());
    assert_eq!(sessions::sweep(&world.db, &world.clock).await.unwrap(), 2);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_ended_session_does_not_come_back_by_being_saved(pool: PgPool) {
    let world = World::new(pool).await;
    let ctx = world.session(1, &world.owner).await;
    sessions::revoke(&world.db, &ctx, ctx.session.unwrap()).await.unwrap();
    sessions::save(&world.db, &world.clock, 1, &json!({"user": ctx.user(), "tenant": ctx.tenant})).await.unwrap();
    assert!(world.by_session(1).await.is_none());
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn people_see_and_end_their_own_sessions_only(pool: PgPool) {
    let world = World::new(pool).await;
    let bob = world.join("bob@acme.example", Role::Viewer).await;
    let ana = world.session(1, &world.owner).await;
    let second = world.session(2, &world.owner).await;
    let bobs = world.session(3, &bob).await;
    assert_eq!(sessions::list(&world.db, &ana).await.unwrap().len(), 2);
    assert_eq!(kind(sessions::revoke(&world.db, &ana, bobs.session.unwrap()).await), Kind::NotFound);
    sessions::revoke(&world.db, &ana, second.session.unwrap()).await.unwrap();
    assert!(world.by_session(2).await.is_none());
    world.session(4, &world.owner).await;
    assert_eq!(sessions::sign_out_everywhere(&world.db, &ana).await.unwrap(), 1);
    assert_eq!(world.last_action().await, "session.all_revoked");
    assert!(world.by_session(4).await.is_none());
    assert!(world.by_session(1).await.is_some() && world.by_session(3).await.is_some());
    let by_token = world.by_token(&world.token(Role::Owner).await).await.unwrap();
    assert!(sessions::list(&world.db, &by_token).await.unwrap().is_empty());
    assert_eq!(kind(sessions::sign_out_everywhere(&world.db, &by_token).await), Kind::Forbidden);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_password_is_changed_by_whoever_knows_it_and_other_sessions_end(pool: PgPool) {
    let world = World::new(pool).await;
    let ana = world.session(1, &world.owner).await;
    world.session(2, &world.owner).await;
    let change = |current: &str, new: &str| {
        let (current, new) = (current.to_owned(), new.to_owned());
        account::change_password(&world.db, &ana, current, new)
    };
    assert_eq!(field(change("wrong password", "a good new password").await), "current");
    assert_eq!(field(change(PASSWORD, "short").await), "new");
    assert_eq!(field(change(PASSWORD, PASSWORD).await), "new");
    assert!(world.by_session(2).await.is_some());
    change(PASSWORD, "a good new password").await.unwrap();
    assert!(world.by_session(1).await.is_some() && world.by_session(2).await.is_none());
    assert_eq!(world.last_action().await, "user.password_changed");
    assert_eq!(kind(world.sign_in("ana@acme.example", PASSWORD).await), Kind::Unauthenticated);
    world.sign_in("ana@acme.example", "a good new password").await.unwrap();
    let by_token = world.by_token(&world.token(Role::Owner).await).await.unwrap();
    let by_token = account::change_password(&world.db, &by_token, PASSWORD.into(), "another good one".into()).await;
    assert_eq!(kind(by_token), Kind::Forbidden);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn guessing_the_current_password_is_throttled(pool: PgPool) {
    let world = World::new(pool).await;
    let guess = || account::change_password(&world.db, &world.owner, "wrong password".into(), "a good new one".into());
    for _ in 0..10 {
        assert_eq!(field(guess().await), "current");
    }
    assert_eq!(kind(guess().await), Kind::RateLimited);
}

use super::*;

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn set_up_works_once_also_when_two_do_it_at_the_same_moment(pool: PgPool) {
    let (db, clock) = (testing::db(&pool), testing::clock());
    assert!(!entry::is_set_up(&db).await.unwrap());
    let client = client();
    let (one, two) = tokio::join!(
        entry::set_up(&db, &clock, &client, "one", organization("One", "a@one.example")),
        entry::set_up(&db, &clock, &client, "two", organization("Two", "b@two.example")),
    );
    assert!(one.is_ok() != two.is_ok());
    assert_eq!(kind(if one.is_ok() { two } else { one }), Kind::Conflict);
    assert!(entry::is_set_up(&db).await.unwrap());
    let left: (i64, i64) =
        sqlx::query_as("select (select count(*) from organization), (select count(*) from app_user)")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(left, (1, 1));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn set_up_names_what_is_wrong(pool: PgPool) {
    let (db, clock) = (testing::db(&pool), testing::clock());
    let mut cases = Vec::new();
    for (wrong, input) in [
        ("organization", NewOrganization { organization: " ".into(), ..organization("x", "a@x.example") }),
        ("email", organization("x", "nobody")),
        ("name", NewOrganization { name: "a\nb".into(), ..organization("x", "a@x.example") }),
        ("password", NewOrganization { password: "short".into(), ..organization("x", "a@x.example") }),
    ] {
        cases.push((wrong.to_owned(), field(entry::set_up(&db, &clock, &client(), "r", input).await)));
    }
    assert!(cases.iter().all(|(wrong, named)| wrong == named), "{cases:?}");
    assert!(!entry::is_set_up(&db).await.unwrap());
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn bootstrap_makes_more_organizations_but_takes_no_foreign_account(pool: PgPool) {
    let world = World::new(pool).await;
    let second = entry::bootstrap(&world.db, &world.clock, organization("Acme", "ana@acme.example")).await.unwrap();
    assert_eq!(Some(second.user), world.owner.user(), "the account is the one that there is");
    let slugs: Vec<String> = sqlx::query_scalar("select slug from organization").fetch_all(&world.pool).await.unwrap();
    assert!(slugs.contains(&"acme".into()) && slugs.iter().any(|slug| slug.starts_with("acme-")), "{slugs:?}");
    let stolen = NewOrganization { password: "another password".into(), ..organization("Third", "ana@acme.example") };
    assert_eq!(kind(entry::bootstrap(&world.db, &world.clock, stolen).await), Kind::Conflict);
    let owner = world.by_token(&second.api_token).await.unwrap();
    assert_eq!((owner.tenant, owner.role), (second.organization, Role::Owner));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn sign_in_takes_the_right_password_and_is_audited(pool: PgPool) {
    let world = World::new(pool).await;
    let entered = world.sign_in(" Ana@ACME.example ", PASSWORD).await.unwrap();
    assert_eq!((Some(entered.user), entered.tenant), (world.owner.user(), world.owner.tenant));
    assert_eq!(world.last_action().await, "session.started");
    let seen = members::list(&world.db, &world.owner).await.unwrap();
    assert_eq!(seen[0].last_sign_in_at, Some(world.clock.now()));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn known_and_unknown_accounts_answer_alike_after_the_same_work(pool: PgPool) {
    let world = World::new(pool).await;
    let mut answers = Vec::new();
    for (email, guess) in [
        ("ana@acme.example", "guess at a known account"),
        ("nobody@acme.example", "guess at an unknown account"),
        ("not an address", "guess at nonsense"),
    ] {
        let error = world.sign_in(email, guess).await.unwrap_err();
        answers.push((error.kind, error.public, error.fields.len(), error.retry_after));
        let checked = password::tests::CHECKED.lock().unwrap().iter().filter(|tried| *tried == guess).count();
        assert_eq!(checked, 1, "{email}: the hasher ran");
    }
    assert_eq!(answers[0].0, Kind::Unauthenticated);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_failed_sign_in_is_audited_in_each_of_the_persons_organizations(pool: PgPool) {
    let mut world = World::new(pool).await;
    let second = entry::bootstrap(&world.db, &world.clock, organization("Beta", "ana@acme.example")).await.unwrap();
    let other = entry::bootstrap(&world.db, &world.clock, organization("Gamma", "gil@gamma.example")).await.unwrap();
    let before = world.log(other.organization).await;
    world.sign_in("ana@acme.example", "wrong password").await.unwrap_err();
    world.sign_in("nobody@acme.example", "wrong password").await.unwrap_err();
    world.settle().await;
    for tenant in [world.owner.tenant, second.organization] {
        let (action, detail) = world.log(tenant).await.remove(0);
        assert_eq!(action, "session.refused");
        assert!(detail.contains("192.0.2.7") && !detail.contains("wrong password"), "{detail}");
    }
    assert_eq!(world.log(other.organization).await, before);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_account_is_throttled_then_free_again(pool: PgPool) {
    let world = World::new(pool).await;
    for email in ["ana@acme.example", "nobody@acme.example"] {
        for _ in 0..10 {
            assert_eq!(kind(world.sign_in(email, "wrong password").await), Kind::Unauthenticated);
        }
        let refused = world.sign_in(email, PASSWORD).await.unwrap_err();
        assert_eq!(refused.kind, Kind::RateLimited, "also the right password, and also for {email}");
        let wait = refused.retry_after.unwrap().as_secs();
        assert!((1..=60).contains(&wait), "{wait} s");
    }
    world.clock.advance(Duration::seconds(60));
    world.sign_in("ana@acme.example", PASSWORD).await.unwrap();
    // The right password emptied the bucket.
    for _ in 0..10 {
        assert_eq!(kind(world.sign_in("ana@acme.example", "wrong password").await), Kind::Unauthenticated);
    }
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_refused_attempt_takes_no_place_from_others_at_the_address(pool: PgPool) {
    let world = World::new(pool).await;
    let attempt = async |account: &str| {
        crate::identity::repo::throttle::enter(&world.db, &world.clock, account, "192.0.2.7").await
    };
    let mut refused = 0;
    for _ in 0..80 {
        refused += u32::from(attempt("stubborn@x").await.is_err());
    }
    assert_eq!(refused, 70);
    for n in 0..40 {
        attempt(&format!("{n}@x")).await.unwrap();
    }
    assert_eq!(attempt("one-more@x").await.unwrap_err().kind, Kind::RateLimited);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn guesses_at_the_same_time_all_count(pool: PgPool) {
    let world = World::new(pool).await;
    let guesses = futures::future::join_all((0..15).map(|_| world.sign_in("ana@acme.example", "wrong password"))).await;
    let refused = guesses.into_iter().filter(|guess| guess.as_ref().err().unwrap().kind == Kind::RateLimited).count();
    assert_eq!(refused, 5);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_address_is_throttled_over_many_accounts(pool: PgPool) {
    let world = World::new(pool).await;
    for n in 0..50 {
        // As the throttle sees it; without the hasher's work.
        crate::identity::repo::throttle::enter(&world.db, &world.clock, &format!("{n}@x"), "192.0.2.7").await.unwrap();
    }
    assert_eq!(kind(world.sign_in("ana@acme.example", PASSWORD).await), Kind::RateLimited);
    let elsewhere = Client { address: "192.0.2.8".into(), ..client() };
    entry::sign_in(&world.db, &world.clock, &world.tasks, &elsewhere, "r", "ana@acme.example", PASSWORD.into())
        .await
        .unwrap();
    world.clock.advance(Duration::seconds(7));
    world.sign_in("ana@acme.example", PASSWORD).await.unwrap();
    world.clock.advance(Duration::hours(2));
    sessions::sweep(&world.db, &world.clock).await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from sign_in_throttle").fetch_one(&world.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_new_person_joins_by_an_invitation_that_works_once(pool: PgPool) {
    let world = World::new(pool).await;
    let (invitation, token) =
        members::invite(&world.db, &world.owner, "Bob@acme.example", Role::Analyst).await.unwrap();
    let preview = entry::invitation_preview(&world.db, &world.clock, &token).await.unwrap().unwrap();
    assert_eq!((preview.organization.as_str(), preview.has_account, preview.role), ("Acme", false, Role::Analyst));
    assert_eq!(field(world.accept(&token, "short").await), "password");
    world.accept(&token, PASSWORD).await.unwrap();
    let bob = world.person(world.owner.tenant, "bob@acme.example").await;
    assert_eq!(bob.role, Role::Analyst);
    world.sign_in("bob@acme.example", PASSWORD).await.unwrap();
    assert_eq!(kind(world.accept(&token, PASSWORD).await), Kind::NotFound);
    assert!(members::invitations(&world.db, &world.owner).await.unwrap().is_empty());
    assert!(!members::revoke_invitation(&world.db, &world.owner, invitation.id).await.unwrap());
    let stored: Vec<u8> = sqlx::query_scalar("select token_hash from invitation").fetch_one(&world.pool).await.unwrap();
    assert_eq!(stored, crate::kernel::crypto::sha256(&token));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_account_joins_with_its_own_password_only(pool: PgPool) {
    let world = World::new(pool).await;
    entry::bootstrap(&world.db, &world.clock, organization("Gamma", "gil@gamma.example")).await.unwrap();
    world.clock.advance(Duration::minutes(1));
    let (_, token) = members::invite(&world.db, &world.owner, "gil@gamma.example", Role::Viewer).await.unwrap();
    assert!(entry::invitation_preview(&world.db, &world.clock, &token).await.unwrap().unwrap().has_account);
    assert_eq!(kind(world.accept(&token, "a new and different one").await), Kind::Unauthenticated);
    world.accept(&token, PASSWORD).await.unwrap();
    let gil = world.person(world.owner.tenant, "gil@gamma.example").await;
    let names: Vec<String> =
        entry::memberships(&world.db, &gil).await.unwrap().into_iter().map(|m| m.organization.name).collect();
    assert_eq!(names, ["Gamma", "Acme"]);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn invitations_end_by_time_by_revocation_and_by_a_newer_one(pool: PgPool) {
    let world = World::new(pool).await;
    let invite = || members::invite(&world.db, &world.owner, "bob@acme.example", Role::Viewer);
    let (_, first) = invite().await.unwrap();
    let (second_row, second) = invite().await.unwrap();
    assert_eq!(kind(world.accept(&first, PASSWORD).await), Kind::NotFound);
    assert!(members::revoke_invitation(&world.db, &world.owner, second_row.id).await.unwrap());
    assert_eq!(world.last_action().await, "invitation.revoked");
    assert_eq!(kind(world.accept(&second, PASSWORD).await), Kind::NotFound);
    let (_, third) = invite().await.unwrap();
    world.clock.advance(members::INVITATION_LIFE);
    assert_eq!(kind(world.accept(&third, PASSWORD).await), Kind::NotFound);
    assert!(members::invitations(&world.db, &world.owner).await.unwrap().is_empty());
    assert_eq!(kind(world.accept("", PASSWORD).await), Kind::NotFound);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn nobody_switches_to_an_organization_that_is_not_theirs(pool: PgPool) {
    let world = World::new(pool).await;
    let second = entry::bootstrap(&world.db, &world.clock, organization("Beta", "ana@acme.example")).await.unwrap();
    let foreign = entry::bootstrap(&world.db, &world.clock, organization("Gamma", "gil@gamma.example")).await.unwrap();
    let switch = |to| entry::switch_organization(&world.db, &world.owner, to);
    assert_eq!(switch(second.organization).await.unwrap().tenant, second.organization);
    let (refused, missing) = (switch(foreign.organization).await, switch(TenantId(world.clock.new_id())).await);
    let (refused, missing) = (refused.unwrap_err(), missing.unwrap_err());
    assert_eq!((refused.kind, &refused.public), (Kind::NotFound, &missing.public));
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn somebody_without_organization_is_told_so_after_the_right_password(pool: PgPool) {
    let world = World::new(pool).await;
    let bob = world.join("bob@acme.example", Role::Viewer).await;
    members::remove(&world.db, &world.owner, bob.user().unwrap()).await.unwrap();
    assert_eq!(kind(world.sign_in("bob@acme.example", PASSWORD).await), Kind::Forbidden);
    assert_eq!(kind(world.sign_in("bob@acme.example", "wrong password").await), Kind::Unauthenticated);
}

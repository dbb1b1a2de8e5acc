use super::*;

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn the_last_owner_stays_also_when_two_owners_leave_at_the_same_moment(pool: PgPool) {
    let world = World::new(pool).await;
    let (db, owner) = (&world.db, &world.owner);
    let ana = owner.user().unwrap();
    assert_eq!(kind(members::change_role(db, owner, ana, Role::Admin).await), Kind::Conflict);
    assert_eq!(kind(members::remove(db, owner, ana).await), Kind::Conflict);
    let bob = world.join("bob@acme.example", Role::Owner).await;
    let (one, two) = tokio::join!(
        members::change_role(db, owner, ana, Role::Viewer),
        members::remove(db, &bob, bob.user().unwrap()),
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let owners: i64 = sqlx::query_scalar("select count(*) from membership where role = 'OWNER'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(owners, 1);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn only_owners_make_change_and_remove_owners(pool: PgPool) {
    let world = World::new(pool).await;
    let db = &world.db;
    let admin = world.join("adam@acme.example", Role::Admin).await;
    let viewer = world.join("vera@acme.example", Role::Viewer).await;
    let other = world.join("olga@acme.example", Role::Owner).await;
    let (vera, olga) = (viewer.user().unwrap(), other.user().unwrap());
    let refused = [
        members::change_role(db, &admin, vera, Role::Owner).await.err(),
        members::change_role(db, &admin, olga, Role::Viewer).await.err(),
        members::remove(db, &admin, olga).await.err(),
        members::invite(db, &admin, "new@acme.example", Role::Owner).await.err(),
        tokens::create(db, &admin, token(Role::Owner)).await.err(),
    ];
    for error in refused {
        let error = error.unwrap();
        assert_eq!((error.kind, error.public.as_str()), (Kind::Forbidden, "This needs the permission owner:grant."));
    }
    assert_eq!(members::change_role(db, &admin, vera, Role::Admin).await.unwrap().role, Role::Admin);
    assert_eq!(world.last_action().await, "member.role_changed");
    members::change_role(db, &world.owner, vera, Role::Owner).await.unwrap();
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_narrow_token_can_not_widen_itself_through_people_or_tokens(pool: PgPool) {
    let world = World::new(pool).await;
    let bob = world.join("bob@acme.example", Role::Viewer).await.user().unwrap();
    let scopes = ["member:update", "member:invite", "token:create"].map(str::to_owned).to_vec();
    let narrow = NewToken { scopes, ..token(Role::Admin) };
    let secret = tokens::create(&world.db, &world.owner, narrow).await.unwrap().1;
    let narrow = world.by_token(&secret).await.unwrap();
    assert_eq!(kind(members::change_role(&world.db, &narrow, bob, Role::Admin).await), Kind::Forbidden);
    assert_eq!(kind(members::invite(&world.db, &narrow, "x@acme.example", Role::Admin).await), Kind::Forbidden);
    assert_eq!(kind(tokens::create(&world.db, &narrow, token(Role::Viewer)).await), Kind::Forbidden);
    let same = NewToken { scopes: vec!["token:create".into()], ..token(Role::Admin) };
    tokens::create(&world.db, &narrow, same).await.unwrap();
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn each_use_case_needs_its_permission(pool: PgPool) {
    let world = World::new(pool).await;
    let (db, ana) = (&world.db, world.owner.user().unwrap());
    let (invitation, _) = members::invite(db, &world.owner, "new@acme.example", Role::Viewer).await.unwrap();
    let (made, _) = tokens::create(db, &world.owner, token(Role::Viewer)).await.unwrap();
    let before = world.log(world.owner.tenant).await.len();
    for role in Role::ALL.iter().copied().filter(|role| !matches!(role, Role::Owner | Role::Admin)) {
        let ctx = testing::acting_as(&world.owner, role);
        let outcomes = [
            ("organization:update", members::update_organization(db, &ctx, "x").await.err()),
            ("member:invite", members::invite(db, &ctx, "x@x.example", Role::Viewer).await.err()),
            ("member:invite", members::revoke_invitation(db, &ctx, invitation.id).await.err()),
            ("member:update", members::change_role(db, &ctx, ana, Role::Viewer).await.err()),
            ("member:remove", members::remove(db, &ctx, ana).await.err()),
            ("token:create", tokens::create(db, &ctx, token(Role::Sensor)).await.err()),
            ("token:revoke", tokens::revoke(db, &ctx, made.id).await.err()),
        ];
        for (permission, error) in outcomes {
            let error = error.unwrap_or_else(|| panic!("{role:?} did {permission}"));
            assert_eq!(error.public, format!("This needs the permission {permission}."), "{role:?}");
        }
        let may_read = role == Role::Auditor;
        assert_eq!(members::invitations(db, &ctx).await.is_ok(), may_read, "{role:?}");
        assert_eq!(tokens::list(db, &ctx).await.is_ok(), may_read, "{role:?}");
        assert_eq!(members::list(db, &ctx).await.is_ok(), role != Role::Sensor, "{role:?}");
    }
    assert_eq!(world.log(world.owner.tenant).await.len(), before, "nothing happened");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn foreign_things_answer_as_missing_ones(pool: PgPool) {
    let world = World::new(pool).await;
    let db = &world.db;
    let other = entry::bootstrap(db, &world.clock, organization("Gamma", "gil@gamma.example")).await.unwrap();
    let gil = world.person(other.organization, "gil@gamma.example").await;
    let (invitation, _) = members::invite(db, &gil, "x@gamma.example", Role::Viewer).await.unwrap();
    let (foreign_token, _) = tokens::create(db, &gil, token(Role::Viewer)).await.unwrap();
    let id = world.clock.new_id();
    let pairs = [
        (
            members::change_role(db, &world.owner, other.user, Role::Viewer).await.err(),
            members::change_role(db, &world.owner, UserId(id), Role::Viewer).await.err(),
        ),
        (
            members::remove(db, &world.owner, other.user).await.err(),
            members::remove(db, &world.owner, UserId(id)).await.err(),
        ),
        (
            members::revoke_invitation(db, &world.owner, invitation.id).await.err(),
            members::revoke_invitation(db, &world.owner, id.into()).await.err(),
        ),
        (
            tokens::revoke(db, &world.owner, foreign_token.id).await.err(),
            tokens::revoke(db, &world.owner, id.into()).await.err(),
        ),
    ];
    for (foreign, missing) in pairs {
        let (foreign, missing) = (foreign.unwrap(), missing.unwrap());
        assert_eq!((foreign.kind, &foreign.public), (Kind::NotFound, &missing.public));
    }
    assert!(members::people(db, &world.owner, &[other.user]).await.unwrap().is_empty());
    assert_eq!(members::list(db, &world.owner).await.unwrap().len(), 1);
    assert_eq!(members::invitations(db, &gil).await.unwrap().len(), 1, "still open");
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_removed_member_is_out_at_once_with_the_tokens_that_they_made(pool: PgPool) {
    let world = World::new(pool).await;
    let adam = world.join("adam@acme.example", Role::Admin).await;
    world.session(7, &adam).await;
    let direct = tokens::create(&world.db, &adam, token(Role::Admin)).await.unwrap().1;
    let by_token = world.by_token(&direct).await.unwrap();
    let indirect = tokens::create(&world.db, &by_token, token(Role::Viewer)).await.unwrap().1;
    let owners = world.token(Role::Viewer).await;
    members::remove(&world.db, &world.owner, adam.user().unwrap()).await.unwrap();
    assert_eq!(world.last_action().await, "member.removed");
    assert!(world.by_session(7).await.is_none());
    assert!(world.by_token(&direct).await.is_none());
    assert!(world.by_token(&indirect).await.is_none(), "a token made by a token is its maker's");
    assert!(world.by_token(&owners).await.is_some());
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn a_changed_role_counts_at_once_also_for_tokens(pool: PgPool) {
    let world = World::new(pool).await;
    let adam = world.join("adam@acme.example", Role::Admin).await;
    assert_eq!(world.session(7, &adam).await.role, Role::Admin);
    let strong = tokens::create(&world.db, &adam, token(Role::Admin)).await.unwrap().1;
    let weak = tokens::create(&world.db, &adam, token(Role::Viewer)).await.unwrap().1;
    members::change_role(&world.db, &world.owner, adam.user().unwrap(), Role::Analyst).await.unwrap();
    assert_eq!(world.by_session(7).await.unwrap().role, Role::Analyst);
    assert!(world.by_token(&strong).await.is_none());
    assert!(world.by_token(&weak).await.is_some());
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn people_are_no_sensors_and_members_are_invited_once(pool: PgPool) {
    let world = World::new(pool).await;
    let ana = world.owner.user().unwrap();
    assert_eq!(field(members::invite(&world.db, &world.owner, "x@acme.example", Role::Sensor).await), "role");
    assert_eq!(field(members::change_role(&world.db, &world.owner, ana, Role::Sensor).await), "role");
    assert_eq!(field(members::invite(&world.db, &world.owner, "x", Role::Viewer).await), "email");
    let member = members::invite(&world.db, &world.owner, "ANA@acme.example", Role::Viewer).await;
    assert_eq!(kind(member), Kind::Conflict);
}

#[sqlx::test(migrator = "crate::kernel::db::MIGRATOR")]
async fn an_organization_is_renamed_and_keeps_its_slug(pool: PgPool) {
    let world = World::new(pool).await;
    let renamed = members::update_organization(&world.db, &world.owner, " Acme Industries ").await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.slug.as_str()), ("Acme Industries", "acme"));
    assert_eq!(world.last_action().await, "organization.updated");
    assert_eq!(field(members::update_organization(&world.db, &world.owner, "").await), "name");
}

//! Coming in: set-up, sign-in, invitations, another organization.

use super::{
    authenticate::aside,
    domain::{self, Client, Email, Membership, Organization, Person},
    password,
    repo::{self, Account},
    tokens,
};
use crate::{
    audit,
    kernel::{
        Actor, Clock, Ctx, Db, Error, Kind, Permission, Result, Role, SystemTx, crypto::sha256, db::SystemReason,
        tasks::Tasks, text,
    },
};
use serde_json::{Value, json};
use stance_shared::{TenantId, UserId};

/// A new organization and its owner.
pub struct NewOrganization {
    pub organization: String,
    pub email: String,
    /// The owner's name; the part of the address before the `@` when empty.
    pub name: String,
    pub password: String,
}

/// What [`bootstrap`] made.
pub struct Bootstrapped {
    pub organization: TenantId,
    pub user: UserId,
    /// An API token of an owner; shown once.
    pub api_token: String,
}

/// Who came in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    pub user: UserId,
    pub tenant: TenantId,
}

/// Whether there is an organization; until then the set-up form works.
///
/// # Errors
/// When the database fails.
pub async fn is_set_up(db: &Db) -> Result<bool> {
    let mut tx = db.begin_system(SystemReason::Bootstrap).await?;
    repo::any_organization(tx.conn()).await
}

/// The first-run form: makes the first organization with its owner, and lets them in.
///
/// # Errors
/// `CONFLICT` when there is an organization, also one made at the same moment; `BAD_INPUT` naming the field.
pub async fn set_up(
    db: &Db,
    clock: &Clock,
    client: &Client,
    request_id: &str,
    input: NewOrganization,
) -> Result<Entered> {
    let checked = check(input).await?;
    let mut tx = db.begin_system(SystemReason::Bootstrap).await?;
    repo::lock_set_up(tx.conn()).await?;
    if repo::any_organization(tx.conn()).await? {
        return Err(Error::conflict("Stance is set up already. Sign in, or ask for an invitation."));
    }
    let (ctx, mut tx) = create(tx, clock, request_id, checked).await?;
    let user = super::sessions::person(&ctx)?;
    audit::record(&mut tx, session_started(user, client)).await?;
    tx.commit().await?;
    Ok(Entered { user, tenant: ctx.tenant })
}

/// `stance admin bootstrap`: makes an organization, its owner and an API token. Whoever can run it holds the database, so
/// it also works when there are organizations. An account that exists becomes owner if the password is its own.
///
/// # Errors
/// `BAD_INPUT` naming the field; `CONFLICT` when the account exists with another password.
pub async fn bootstrap(db: &Db, clock: &Clock, input: NewOrganization) -> Result<Bootstrapped> {
    let checked = check(input).await?;
    let mut tx = db.begin_system(SystemReason::Bootstrap).await?;
    repo::lock_set_up(tx.conn()).await?;
    let request_id = clock.new_id().to_string();
    let (ctx, mut tx) = create(tx, clock, &request_id, checked).await?;
    let user = super::sessions::person(&ctx)?;
    let token = tokens::NewToken {
        name: "bootstrap".into(),
        role: Role::Owner,
        scopes: Vec::new(),
        expires_at: None,
        agent: None,
    };
    let (_, api_token) = tokens::create_in(&mut tx, token).await?;
    tx.commit().await?;
    Ok(Bootstrapped { organization: ctx.tenant, user, api_token })
}

struct Checked {
    organization: String,
    email: Email,
    name: String,
    password: String,
    password_hash: String,
}

/// Checks the input and hashes the password, before any transaction is open.
async fn check(input: NewOrganization) -> Result<Checked> {
    let organization = text::line("organization", &input.organization, 200)?;
    let email = Email::parse(&input.email)?;
    let name = match input.name.trim() {
        "" => text::line("name", email.local_part(), 200)?,
        name => text::line("name", name, 200)?,
    };
    password::check("password", &input.password, &email, &organization)?;
    let password_hash = password::hash(input.password.clone()).await?;
    Ok(Checked { organization, email, name, password: input.password, password_hash })
}

async fn create(
    mut tx: SystemTx,
    clock: &Clock,
    request_id: &str,
    input: Checked,
) -> Result<(Ctx, crate::kernel::TenantTx)> {
    let now = clock.now();
    let mut organization = Organization {
        id: TenantId(clock.new_id()),
        slug: domain::slug(&input.organization),
        name: input.organization,
        created_at: now,
    };
    if !repo::insert_organization(tx.conn(), &organization).await? {
        let random: String = hex::encode(rand::random::<[u8; 4]>());
        organization.slug = format!("{}-{random}", organization.slug);
        if !repo::insert_organization(tx.conn(), &organization).await? {
            return Err(Error::conflict("The organization's name is taken."));
        }
    }
    let person = Person { id: UserId(clock.new_id()), email: input.email.as_str().to_owned(), name: input.name };
    let account = Account { person, password_hash: input.password_hash };
    let person = if repo::insert_account(tx.conn(), &account, now).await? {
        account.person
    } else {
        let there = repo::account_by_email(tx.conn(), input.email.as_str()).await?;
        let there = there.ok_or_else(|| Error::conflict("The account was changed at the same moment. Try again."))?;
        if !password::verify(Some(there.password_hash), input.password).await? {
            return Err(Error::conflict("There is an account with this e-mail address and another password."));
        }
        there.person
    };
    repo::insert_membership(tx.conn(), organization.id, person.id, Role::Owner, now).await?;
    let ctx = context(&person, organization.id, Role::Owner, clock, request_id);
    let mut tx = tx.into_tenant(&ctx, Permission::OrganizationUpdate).await?;
    let entry = audit::Entry {
        action: "organization.created",
        target_kind: "organization",
        target_id: organization.id.to_string(),
        detail: json!({ "name": organization.name, "owner": person.email }),
    };
    audit::record(&mut tx, entry).await?;
    Ok((ctx, tx))
}

fn context(person: &Person, tenant: TenantId, role: Role, clock: &Clock, request_id: &str) -> Ctx {
    Ctx {
        tenant,
        actor: Actor::User { id: person.id, label: person.email.clone() },
        role,
        scopes: None,
        session: None,
        request_id: request_id.to_owned(),
        clock: clock.clone(),
    }
}

fn session_started(user: UserId, client: &Client) -> audit::Entry<'static> {
    audit::Entry {
        action: "session.started",
        target_kind: "user",
        target_id: user.to_string(),
        detail: json!({ "address": client.address, "userAgent": client.user_agent }),
    }
}

/// What a wrong password, an unknown account and nonsense are answered with: the same.
fn wrong() -> Error {
    Error::new(Kind::Unauthenticated, "E-mail address or password is wrong.")
}

/// Checks e-mail address and password. The organization is the given one, or the one that the person joined first.
///
/// # Errors
/// `UNAUTHENTICATED`, the same for unknown accounts; `RATE_LIMITED`; `FORBIDDEN` for members of no organization.
pub async fn sign_in(
    db: &Db,
    clock: &Clock,
    tasks: &Tasks,
    client: &Client,
    request_id: &str,
    email: &str,
    password: String,
) -> Result<Entered> {
    // What can not be an account takes the same way as one that does not exist.
    let key = email.trim().to_lowercase();
    repo::throttle::enter(db, clock, &key, &client.address).await?;
    let account = match Email::parse(email) {
        Ok(email) => {
            let mut tx = db.begin_system(SystemReason::Identity).await?;
            repo::account_by_email(tx.conn(), email.as_str()).await?
        }
        Err(_) => None,
    };
    let too_long = password.chars().count() > password::LONGEST;
    let password = if too_long { String::new() } else { password };
    let right = password::verify(account.as_ref().map(|a| a.password_hash.clone()), password).await?;
    let Some(account) = account.filter(|_| right) else {
        failed(db, clock, tasks, client, request_id, key);
        return Err(wrong());
    };
    repo::throttle::leave(db, &key, &client.address).await?;

    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let Some(first) = repo::memberships(tx.conn(), account.person.id).await?.into_iter().next() else {
        return Err(Error::new(Kind::Forbidden, "You are a member of no organization. Ask for an invitation."));
    };
    enter(tx, &account.person, &first, clock, client, request_id).await
}

async fn enter(
    mut tx: SystemTx,
    person: &Person,
    membership: &Membership,
    clock: &Clock,
    client: &Client,
    request_id: &str,
) -> Result<Entered> {
    repo::signed_in(tx.conn(), person.id, clock.now()).await?;
    let tenant = membership.organization.id;
    let ctx = context(person, tenant, membership.role, clock, request_id);
    let mut tx = tx.into_tenant(&ctx, Permission::AccountManage).await?;
    audit::record(&mut tx, session_started(person.id, client)).await?;
    tx.commit().await?;
    Ok(Entered { user: person.id, tenant })
}

/// Notes a failed sign-in, beside the answer: so that its time does not tell whether the account exists.
fn failed(db: &Db, clock: &Clock, tasks: &Tasks, client: &Client, request_id: &str, email: String) {
    let (db, clock, client, request_id) = (db.clone(), clock.clone(), client.clone(), request_id.to_owned());
    aside(tasks, async move {
        let mut tx = db.begin_system(SystemReason::Identity).await?;
        let Some(account) = repo::account_by_email(tx.conn(), &email).await? else {
            tracing::info!(address = ?client.address, "sign-in failed: no such account");
            return Ok(());
        };
        let memberships = repo::memberships(tx.conn(), account.person.id).await?;
        drop(tx);
        for membership in memberships {
            let mut ctx = Ctx::system(membership.organization.id, "sign-in", clock.clone());
            ctx.request_id.clone_from(&request_id);
            let mut tx = db.begin(&ctx, Permission::AccountManage).await?;
            let entry = audit::Entry {
                action: "session.refused",
                target_kind: "user",
                target_id: account.person.id.to_string(),
                detail: json!({ "email": account.person.email, "address": client.address, "userAgent": client.user_agent }),
            };
            audit::record(&mut tx, entry).await?;
            tx.commit().await?;
        }
        Ok(())
    });
}

/// What the page of an invitation shows to whoever has its token.
pub struct InvitationPreview {
    pub organization: String,
    pub email: String,
    pub role: Role,
    /// Whether the address has an account: then its password is asked for, else a name and a new password.
    pub has_account: bool,
}

/// The open invitation of a token; `None` when there is none, or it was accepted, revoked or has expired.
///
/// # Errors
/// When the database fails.
pub async fn invitation_preview(db: &Db, clock: &Clock, token: &str) -> Result<Option<InvitationPreview>> {
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let Some(invitation) = repo::lock_invitation_of_token(tx.conn(), &sha256(token), clock.now()).await? else {
        return Ok(None);
    };
    let organization = repo::organization(tx.conn(), invitation.tenant_id).await?;
    let has_account = repo::account_by_email(tx.conn(), &invitation.email).await?.is_some();
    Ok(organization.map(|organization| InvitationPreview {
        organization: organization.name,
        email: invitation.email,
        role: invitation.role,
        has_account,
    }))
}

/// Becomes a member by an invitation: with the password of the account that the address has, or as a new account.
///
/// # Errors
/// `NOT_FOUND` for a token that is not open; `UNAUTHENTICATED` for a wrong password of an account; `RATE_LIMITED`;
/// `BAD_INPUT` naming `name` or `password` for a new account.
pub async fn accept_invitation(
    db: &Db,
    clock: &Clock,
    client: &Client,
    request_id: &str,
    token: &str,
    name: &str,
    password: String,
) -> Result<Entered> {
    let no_such = || Error::not_found("open invitation");
    let preview = invitation_preview(db, clock, token).await?.ok_or_else(no_such)?;
    let email = Email::parse(&preview.email)?;
    // Passwords are worked on before the transaction that holds the invitation.
    let new = if preview.has_account {
        repo::throttle::enter(db, clock, email.as_str(), &client.address).await?;
        let mut tx = db.begin_system(SystemReason::Identity).await?;
        let account = repo::account_by_email(tx.conn(), email.as_str()).await?;
        drop(tx);
        if !password::verify(account.map(|account| account.password_hash), password).await? {
            return Err(wrong());
        }
        repo::throttle::leave(db, email.as_str(), &client.address).await?;
        None
    } else {
        let name = text::line("name", name, 200)?;
        password::check("password", &password, &email, &preview.organization)?;
        let person = Person { id: UserId(clock.new_id()), email: email.as_str().to_owned(), name };
        Some(Account { person, password_hash: password::hash(password).await? })
    };

    let now = clock.now();
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let invitation = repo::lock_invitation_of_token(tx.conn(), &sha256(token), now).await?.ok_or_else(no_such)?;
    let person = match new {
        Some(account) => {
            if !repo::insert_account(tx.conn(), &account, now).await? {
                // Made at the same moment by somebody else: never let in without that account's password.
                return Err(Error::conflict("The account was made at the same moment. Try again with its password."));
            }
            account.person
        }
        None => repo::account_by_email(tx.conn(), email.as_str()).await?.ok_or_else(no_such)?.person,
    };
    repo::accept_invitation(tx.conn(), &invitation, now).await?;
    let joined = repo::insert_membership(tx.conn(), invitation.tenant_id, person.id, invitation.role, now).await?;
    if !joined {
        return Err(Error::conflict("You are a member already. Sign in."));
    }
    repo::signed_in(tx.conn(), person.id, now).await?;
    let ctx = context(&person, invitation.tenant_id, invitation.role, clock, request_id);
    let mut tx = tx.into_tenant(&ctx, Permission::AccountManage).await?;
    let entry = audit::Entry {
        action: "invitation.accepted",
        target_kind: "invitation",
        target_id: invitation.id.to_string(),
        detail: json!({ "email": person.email, "role": invitation.role.as_str() }),
    };
    audit::record(&mut tx, entry).await?;
    audit::record(&mut tx, session_started(person.id, client)).await?;
    tx.commit().await?;
    Ok(Entered { user: person.id, tenant: ctx.tenant })
}

/// The asking person's organizations, the one that they joined first first; none for tokens.
///
/// # Errors
/// When the database fails.
pub async fn memberships(db: &Db, ctx: &Ctx) -> Result<Vec<Membership>> {
    let Some(user) = ctx.user() else { return Ok(Vec::new()) };
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    repo::memberships(tx.conn(), user).await
}

/// Checks that the asking person may go to another of their organizations.
///
/// # Errors
/// `NOT_FOUND` when they are not a member of it.
pub async fn switch_organization(db: &Db, ctx: &Ctx, to: TenantId) -> Result<Entered> {
    let user = super::sessions::person(ctx)?;
    let mut tx = db.begin_system(SystemReason::Identity).await?;
    let there = repo::memberships(tx.conn(), user).await?.into_iter().find(|m| m.organization.id == to);
    let there = there.ok_or_else(|| Error::not_found("organization"))?;
    let ctx = Ctx { tenant: to, role: there.role, ..ctx.clone() };
    let mut tx = tx.into_tenant(&ctx, Permission::AccountManage).await?;
    let entry = audit::Entry {
        action: "session.switched",
        target_kind: "user",
        target_id: user.to_string(),
        detail: Value::Null,
    };
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(Entered { user, tenant: to })
}

/// Notes that the person signed out; the session itself is ended by its holder.
///
/// # Errors
/// When the database fails.
pub async fn signed_out(db: &Db, ctx: &Ctx) -> Result<()> {
    let target_id = ctx.session.map(|id| id.to_string()).unwrap_or_default();
    let mut tx = db.begin(ctx, Permission::AccountManage).await?;
    audit::record(
        &mut tx,
        audit::Entry { action: "session.ended", target_kind: "session", target_id, detail: Value::Null },
    )
    .await?;
    tx.commit().await
}

use super::{
    Client, account, authenticate_session, authenticate_token,
    entry::{self, Entered, NewOrganization},
    members, password, sessions,
    tokens::{self, NewToken},
};
use crate::{
    audit,
    kernel::{Clock, Ctx, Db, Error, Kind, Permission, Result, Role, page::Page, tasks::Tasks, testing},
};
use chrono::Duration;
use serde_json::json;
use sqlx::PgPool;
use stance_shared::{TenantId, UserId};

mod coming_in;
mod people;
mod tokens_and_sessions;

const PASSWORD: &str = "tinkerbell moss 41";

/// An organization `acme` whose owner `ana@acme.example` can sign in.
struct World {
    pool: PgPool,
    db: Db,
    clock: Clock,
    tasks: Tasks,
    owner: Ctx,
}

impl World {
    async fn new(pool: PgPool) -> Self {
        let (db, clock) = (testing::db(&pool), testing::clock());
        let made = entry::bootstrap(&db, &clock, organization("Acme", "ana@acme.example")).await.unwrap();
        let tasks = Tasks::default();
        let owner = authenticate_token(&db, &clock, &tasks, &made.api_token, "test").await.unwrap().unwrap();
        let world = Self { pool, db, clock, tasks, owner };
        let owner = world.person(made.organization, "ana@acme.example").await;
        Self { owner, ..world }
    }

    /// The context of a member, as the database has it.
    async fn person(&self, tenant: TenantId, email: &str) -> Ctx {
        let (id, role): (uuid::Uuid, String) = sqlx::query_as(
            "select u.id, m.role from app_user u join membership m on m.user_id = u.id where tenant_id = $1 and email = $2",
        )
        .bind(tenant.0)
        .bind(email)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        let actor = crate::kernel::Actor::User { id: UserId(id), label: email.to_owned() };
        Ctx { tenant, actor, role: role.parse().unwrap(), ..Ctx::system(tenant, "test", self.clock.clone()) }
    }

    /// Makes somebody a member with [`PASSWORD`].
    async fn join(&self, email: &str, role: Role) -> Ctx {
        let (_, token) = members::invite(&self.db, &self.owner, email, role).await.unwrap();
        self.accept(&token, PASSWORD).await.unwrap();
        self.person(self.owner.tenant, email).await
    }

    async fn accept(&self, token: &str, password: &str) -> Result<Entered> {
        entry::accept_invitation(&self.db, &self.clock, &client(), "test", token, "Somebody", password.into()).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<Entered> {
        entry::sign_in(&self.db, &self.clock, &self.tasks, &client(), "test", email, password.into()).await
    }

    /// Starts a session with the given secret id; returns its context.
    async fn session(&self, id: i128, of: &Ctx) -> Ctx {
        let data = json!({
            "user": of.user().unwrap(), "tenant": of.tenant, "address": "192.0.2.7", "userAgent": "Browser",
        });
        sessions::create(&self.db, &self.clock, id, &data).await.unwrap();
        self.by_session(id).await.unwrap()
    }

    async fn by_session(&self, id: i128) -> Option<Ctx> {
        authenticate_session(&self.db, &self.clock, &self.tasks, id, "test").await.unwrap()
    }

    async fn by_token(&self, secret: &str) -> Option<Ctx> {
        authenticate_token(&self.db, &self.clock, &self.tasks, secret, "test").await.unwrap()
    }

    async fn token(&self, role: Role) -> String {
        tokens::create(&self.db, &self.owner, token(role)).await.unwrap().1
    }

    /// Waits for what was left to do beside the answers.
    async fn settle(&mut self) {
        assert!(std::mem::take(&mut self.tasks).shutdown(std::time::Duration::from_secs(10)).await);
    }

    /// The organization's audit log, newest first, as `action target`.
    async fn log(&self, tenant: TenantId) -> Vec<(String, String)> {
        let ctx = Ctx::system(tenant, "test", self.clock.clone());
        let page = Page { first: 100, after: None };
        let entries = audit::list(&self.db, &ctx, &audit::Filter::default(), &page).await.unwrap();
        assert!(audit::verify(&self.db, &ctx, audit::NEWEST).await.unwrap().valid());
        entries.items.into_iter().map(|entry| (entry.action, entry.detail)).collect()
    }

    /// The newest audit entry's action.
    async fn last_action(&self) -> String {
        self.log(self.owner.tenant).await.remove(0).0
    }
}

fn client() -> Client {
    Client { address: "192.0.2.7".into(), user_agent: "Browser".into() }
}

fn organization(name: &str, email: &str) -> NewOrganization {
    NewOrganization { organization: name.into(), email: email.into(), name: "Ana".into(), password: PASSWORD.into() }
}

fn token(role: Role) -> NewToken {
    NewToken { name: "ci".into(), role, scopes: Vec::new(), expires_at: None, agent: None }
}

fn kind<T>(result: Result<T>) -> Kind {
    result.err().map(|error| error.kind).expect("an error")
}

fn field<T>(result: Result<T>) -> String {
    let error: Error = result.err().expect("an error");
    error.fields.first().map(|field| field.field.clone()).unwrap_or_default()
}

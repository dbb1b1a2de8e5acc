//! API tokens: made here, shown once, revoked here.

use leptos::{ev, prelude::*};

use crate::{
    browser,
    components::{self as c, none},
    format,
    gql::{CreateApiToken, RevokeApiToken, Role, Tokens, create_api_token, revoke_api_token, tokens as data},
    icons::{self, icon},
    load::load,
    state,
};

pub fn tokens() -> AnyView {
    load::<Tokens>("The tokens", c::table_skeleton, || data::Variables {}, content)
}

fn content(data: data::ResponseData) -> AnyView {
    let viewer = state::viewer();
    let may_revoke = viewer.can("token:revoke");
    let create = viewer.can("token:create").then(|| create(&data.roles));
    let count =
        i64::try_from(data.api_tokens.iter().filter(|token| token.revoked_at.is_none()).count()).unwrap_or_default();
    let empty = data.api_tokens.is_empty();
    let rows = data.api_tokens.into_iter().map(|token| {
        let id = token.id.clone();
        let live = token.revoked_at.is_none();
        let revoke = (may_revoke && live).then(|| {
            view! { <button class="btn quiet sm" type="button" aria-label=format!("Revoke {}", c::clean(&token.name)) on:click=move |_| {
                state::act::<RevokeApiToken>(revoke_api_token::Variables { id: id.clone() }, None, |_| { state::toast("The token no longer works", None); state::refresh(); });
            }>"Revoke"</button> }
        });
        let expires = match (&token.revoked_at, &token.expires_at) {
            (Some(at), _) => view! { "revoked "{c::day(at)} }.into_any(),
            (None, Some(at)) => c::day(at),
            (None, None) => "never".into_any(),
        };
        let scopes = if token.scopes.is_empty() { token.role.label().to_owned() } else { format!("{}: {}", token.role.label(), token.scopes.join(", ")) };
        let used = token.last_used_at.as_deref().map_or_else(|| "never".into_any(), c::ago);
        let by = token.created_by.as_ref().map(|user| c::cut(&user.name));
        view! { <tr class="row"><td>{c::cut(&token.name)}</td><td class="p1"><span class="id">{token.prefix.clone()}"…"</span></td><td class="p2" title=scopes.clone()>{scopes.clone()}</td><td class="p3 muted">{by}</td><td class="p1 muted">{used}</td><td class="muted">{expires}</td><td class="num">{revoke}</td></tr> }
    });
    let table = if empty {
        c::empty("No tokens yet", "A token lets a scanner, a pipeline or a sensor send what it finds.", none())
    } else {
        view! {
            <div class="tbl"><table><thead><tr>{c::head("Name", "", "")}{c::head("Starts with", "p1 w", "136px")}{c::head("May", "p2", "")}{c::head("Made by", "p3 w", "128px")}{c::head("Used", "p1 w", "96px")}{c::head("Expires", "w", "140px")}<th class="w" style="--w:84px"><span class="vh">"Actions"</span></th></tr></thead>
            <tbody>{rows.collect_view()}</tbody></table></div>
        }
        .into_any()
    };
    view! { {create}{c::section("h-tokens", "API tokens", format!("{} in force", format::count(count)), none(), table)} }.into_any()
}

fn create(roles: &[data::TokensRoles]) -> AnyView {
    let error = RwSignal::new(String::new());
    let made = RwSignal::new(None::<(String, String)>);
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let values = browser::form(&event);
        let Some(role) = values.get("role").and_then(|role| role.parse().ok()) else { return };
        let scopes: Vec<String> = values.all("scope").map(str::to_owned).collect();
        let expires_at = values.get("until").map(|day| format!("{day}T23:59:59Z"));
        let variables = create_api_token::Variables {
            name: values.text("name"),
            role,
            scopes: (!scopes.is_empty()).then_some(scopes),
            expires_at,
        };
        state::act::<CreateApiToken>(variables, Some(error), move |done| {
            made.set(Some((done.create_api_token.token.name, done.create_api_token.secret)))
        });
    };
    let secret = move || {
        made.get().map(|(name, secret)| {
            let label = format!("The token {}, shown only now. Put it where the secret belongs; Stance keeps a hash of it.", c::clean(&name));
            view! { <div class="secret" role="status"><p>{label}</p>{c::command(secret)}<div class="actions"><button class="btn sm" type="button" on:click=move |_| { made.set(None); state::refresh(); }>"Done"</button></div></div> }
        })
    };
    let options = roles
        .iter()
        .filter(|r| r.role != Role::Owner)
        .map(|r| view! { <option value=r.role.as_str() selected=r.role == Role::Sensor>{r.role.label()}</option> })
        .collect_view();
    let summary = roles.iter().find(|r| r.role == Role::Sensor).map(|r| r.summary.clone());
    let today = format::iso_day(c::now());
    let form = view! {
        <form class="form-line" method="post" on:submit=submit>
            <div class="field"><label for="f-token">"Name"</label><input class="input" id="f-token" name="name" placeholder="ci-support-agent" required maxlength="100"/></div>
            <div class="field slim"><label for="f-token-role">"Role"</label><select class="input" id="f-token-role" name="role">{options}</select></div>
            <div class="field slim"><label for="f-token-until">"Expires (optional)"</label><input class="input" id="f-token-until" name="until" type="date" min=today/></div>
            <button class="btn primary">{icon(icons::PLUS)}"Create token"</button>
        </form>
        <p class="sub">"Sensor: "{summary}</p>
        <p class="err" role="alert">{error}</p>
        {secret}
    };
    c::section("h-create", "New token", none(), none(), form.into_any())
}

//! The viewer's password and sessions.

use leptos::{ev, prelude::*};

use crate::{
    browser,
    components::{self as c, none},
    format,
    gql::{
        ChangePassword, RevokeSession, Sessions, SignOutEverywhere, change_password, revoke_session, sessions as data,
        sign_out_everywhere,
    },
    load::load,
    state,
};

pub fn account() -> AnyView {
    view! { {load::<Sessions>("The sessions", c::table_skeleton, || data::Variables {}, |data| content(data.viewer))} }
        .into_any()
}

fn content(viewer: data::SessionsViewer) -> AnyView {
    let Some(user) = viewer.user else {
        return c::empty("A token has no password", "Sign in as a person.", none());
    };
    let rows = viewer.sessions.into_iter().map(|session| {
        let id = session.id.clone();
        let end = if session.current {
            view! { <span class="muted">"this one"</span> }.into_any()
        } else {
            view! { <button class="btn quiet sm" type="button" on:click=move |_| {
                state::act::<RevokeSession>(revoke_session::Variables { id: id.clone() }, None, |_| { state::toast("Signed out there", None); state::refresh(); });
            }>"Sign out"</button> }
            .into_any()
        };
        view! { <tr class="row"><td title=c::clean(&session.user_agent)>{c::text(&format::user_agent(&session.user_agent))}</td><td class="p1"><span class="id">{c::clean(&session.address)}</span></td><td class="p2 muted">{c::day(&session.created_at)}</td><td class="muted">{c::ago(&session.last_seen_at)}</td><td class="num">{end}</td></tr> }
    });
    let everywhere = view! {
        <button class="btn sm" type="button" on:click=move |_| {
            state::act::<SignOutEverywhere>(sign_out_everywhere::Variables {}, None, |done| {
                state::toast(format!("{} ended", format::counted(done.sign_out_everywhere, "other session", "other sessions")), None);
                state::refresh();
            });
        }>"Sign out everywhere else"</button>
    };
    let table = view! {
        <div class="tbl"><table><thead><tr>{c::head("Browser", "", "")}{c::head("Address", "p1 w", "160px")}{c::head("Since", "p2 w", "112px")}{c::head("Last seen", "w", "104px")}<th class="w" style="--w:96px"><span class="vh">"Actions"</span></th></tr></thead>
        <tbody>{rows.collect_view()}</tbody></table></div>
    };
    view! {
        {password(user.email)}
        {c::section("h-sessions", "Sessions", none(), everywhere.into_any(), table.into_any())}
    }
    .into_any()
}

fn password(email: String) -> AnyView {
    let error = RwSignal::new(String::new());
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let values = browser::form(&event);
        if values.get("new") != values.get("again") {
            error.set("The two new passwords are not the same.".into());
            return;
        }
        let variables = change_password::Variables { current: values.text("current"), new: values.text("new") };
        state::act::<ChangePassword>(variables, Some(error), move |_| {
            browser::reset(&event);
            state::toast("The password is changed", None);
            state::refresh();
        });
    };
    let form = view! {
        <form class="form" method="post" on:submit=submit>
            <input type="hidden" autocomplete="username" value=email/>
            {c::field("current", "Current password", "password", "current-password", true)}
            <div class="row2">{c::field("new", "New password, at least 12 characters", "password", "new-password", true)}{c::field("again", "New password again", "password", "new-password", true)}</div>
            <p class="err" role="alert">{error}</p>
            <div class="actions"><button class="btn primary">"Change password"</button></div>
        </form>
    };
    c::section("h-password", "Password", none(), none(), form.into_any())
}

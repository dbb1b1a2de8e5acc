//! Members, their roles, and invitations.

use leptos::{ev, prelude::*};

use crate::{
    browser,
    components::{self as c, none},
    format,
    gql::{
        ChangeRole, Invitations, InviteMember, Members, RemoveMember, RevokeInvitation, Role, change_role, invitations,
        invite_member, members as data, remove_member, revoke_invitation,
    },
    icons::{self, icon},
    load::load,
    state,
};

pub fn members() -> AnyView {
    let waiting = state::viewer().can("invitation:read").then(|| {
        load::<Invitations>("The invitations", none, || invitations::Variables {}, |data| waiting(data.invitations))
    });
    view! { {load::<Members>("The members", c::table_skeleton, || data::Variables {}, content)}{waiting} }.into_any()
}

/// Roles that a person can have, as choices.
fn roles(roles: &[data::MembersRoles], owner: bool) -> Vec<(String, String)> {
    let people = roles.iter().filter(|r| r.role != Role::Sensor && (owner || r.role != Role::Owner));
    people.map(|r| (r.role.as_str().to_owned(), r.role.label().to_owned())).collect()
}

fn content(data: data::ResponseData) -> AnyView {
    let viewer = state::viewer();
    let may_change = viewer.can("member:update");
    let may_remove = viewer.can("member:remove");
    let choices = roles(&data.roles, viewer.can("owner:grant"));
    let count = i64::try_from(data.members.len()).unwrap_or_default();
    let rows = data.members.into_iter().map(|member| {
        let id = member.user.id.clone();
        let name = c::clean(&member.user.name);
        let change = {
            let id = id.clone();
            move |event: ev::Event| {
                let Ok(role) = event_target_value(&event).parse() else { return };
                state::act::<ChangeRole>(change_role::Variables { user: id.clone(), role }, None, move |done| {
                    state::toast(format!("The role is now {}", done.change_role.role.label()), None);
                    state::refresh();
                });
            }
        };
        let grantable = choices.iter().any(|(word, _)| word == member.role.as_str());
        let role = if may_change && grantable {
            let options = choices.iter().map(|(word, label)| view! { <option value=word.clone() selected=word == member.role.as_str()>{label.clone()}</option> }).collect_view();
            view! { <select class="input" aria-label=format!("Role of {name}") on:change=change>{options}</select> }.into_any()
        } else {
            member.role.label().into_any()
        };
        let own = viewer.user.as_ref() == Some(&id);
        let remove = (may_remove && !own && grantable).then(|| {
            view! { <button class="btn quiet icon sm" type="button" aria-label=format!("Remove {name}") title="Remove" on:click=move |_| {
                state::act::<RemoveMember>(remove_member::Variables { user: id.clone() }, None, |_| { state::toast("Removed from the organization", None); state::refresh(); });
            }>{icon(icons::TRASH_2)}</button> }
        });
        let last = member.last_sign_in_at.as_deref().map_or_else(|| view! { <span class="muted">"never"</span> }.into_any(), c::ago);
        view! {
            <tr class="row"><td><span class="cell"><span class="avatar" aria-hidden="true">{format::initials(&member.user.name)}</span>{c::cut(&member.user.name)}{own.then(|| view! { <span class="muted">"you"</span> })}</span></td>
                <td class="p1">{c::cut(&member.user.email)}</td><td>{role}</td><td class="p2 muted">{c::day(&member.joined_at)}</td><td class="p2 muted">{last}</td><td class="num">{remove}</td></tr>
        }
    });
    let table = view! {
        <div class="tbl"><table><thead><tr>{c::head("Name", "", "")}{c::head("E-mail", "p1", "")}{c::head("Role", "w", "136px")}{c::head("Joined", "p2 w", "112px")}{c::head("Signed in", "p2 w", "104px")}<th class="w" style="--w:52px"><span class="vh">"Actions"</span></th></tr></thead>
        <tbody>{rows.collect_view()}</tbody></table></div>
    };
    let summaries =
        data.roles.iter().map(|r| view! { <dt>{r.role.label()}</dt><dd>{r.summary.clone()}</dd> }).collect_view();
    let invite = viewer.can("member:invite").then(|| invite(roles(&data.roles, viewer.can("owner:grant"))));
    view! {
        {c::section("h-members", "Members", format::counted(count, "person", "people"), none(), table.into_any())}
        {invite}
        {c::section("h-roles", "Roles", none(), none(), view! { <dl class="facts">{summaries}</dl> }.into_any())}
    }
    .into_any()
}

fn invite(roles: Vec<(String, String)>) -> AnyView {
    let error = RwSignal::new(String::new());
    let made = RwSignal::new(None::<(String, String)>);
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let values = browser::form(&event);
        let Some(role) = values.get("role").and_then(|role| role.parse().ok()) else { return };
        state::act::<InviteMember>(
            invite_member::Variables { email: values.text("email"), role },
            Some(error),
            move |done| {
                made.set(Some((done.invite_member.invitation.email, done.invite_member.url)));
            },
        );
    };
    let link = move || {
        made.get().map(|(email, url)| {
            let label = format!("Link for {}, shown only now. Send it to this person; whoever has it can join.", c::clean(&email));
            view! { <div class="secret" role="status"><p>{label}</p>{c::command(url)}<div class="actions"><button class="btn sm" type="button" on:click=move |_| { made.set(None); state::refresh(); }>"Done"</button></div></div> }
        })
    };
    let form = view! {
        <form class="form-line" method="post" on:submit=submit>
            <div class="field"><label for="f-invite">"E-mail"</label><input class="input" id="f-invite" name="email" type="email" required maxlength="254"/></div>
            <div class="field slim"><label for="f-role">"Role"</label><select class="input" id="f-role" name="role">
                {roles.into_iter().map(|(word, label)| view! { <option value=word.clone() selected=word == "ANALYST">{label}</option> }).collect_view()}</select></div>
            <button class="btn primary">{icon(icons::USER_PLUS)}"Invite"</button>
        </form>
        <p class="err" role="alert">{error}</p>
        {link}
    };
    c::section("h-invite", "Invite", none(), none(), form.into_any())
}

fn waiting(invitations: Vec<invitations::InvitationsInvitations>) -> AnyView {
    if invitations.is_empty() {
        return none();
    }
    let may_revoke = state::viewer().can("member:invite");
    let rows = invitations.into_iter().map(|invitation| {
        let id = invitation.id.clone();
        let revoke = may_revoke.then(|| {
            view! { <button class="btn quiet sm" type="button" on:click=move |_| {
                state::act::<RevokeInvitation>(revoke_invitation::Variables { id: id.clone() }, None, |_| { state::toast("The invitation is taken back", None); state::refresh(); });
            }>"Take back"</button> }
        });
        let by = invitation.invited_by.as_ref().map(|user| c::text(&user.name));
        view! { <tr class="row"><td>{c::cut(&invitation.email)}</td><td>{invitation.role.label()}</td><td class="p1 muted">{by}</td><td class="p2 muted">{c::ago(&invitation.created_at)}</td><td class="muted">{c::day(&invitation.expires_at)}</td><td class="num">{revoke}</td></tr> }
    });
    let table = view! {
        <div class="tbl"><table><thead><tr>{c::head("E-mail", "", "")}{c::head("Role", "w", "104px")}{c::head("By", "p1 w", "144px")}{c::head("Sent", "p2 w", "104px")}{c::head("Expires", "w", "112px")}<th class="w" style="--w:104px"><span class="vh">"Actions"</span></th></tr></thead>
        <tbody>{rows.collect_view()}</tbody></table></div>
    };
    c::section("h-waiting", "Open invitations", none(), none(), table.into_any())
}

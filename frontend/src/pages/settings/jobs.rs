//! Jobs that failed for good, and driving them again.

use leptos::prelude::*;

use crate::{
    components::{self as c, none},
    format,
    gql::{DeadLetters, RedriveDeadLetter, dead_letters as data, redrive_dead_letter},
    icons::{self, icon},
    load::load,
    state,
};

pub fn jobs() -> AnyView {
    load::<DeadLetters>("The failed jobs", c::table_skeleton, || data::Variables {}, |data| content(data.dead_letters))
}

fn content(letters: Vec<data::DeadLettersDeadLetters>) -> AnyView {
    if letters.is_empty() {
        return c::section(
            "h-jobs",
            "Failed jobs",
            none(),
            none(),
            c::empty(
                "No job has failed for good",
                "Jobs are tried again by themselves; one that fails every time stands here with its error.",
                none(),
            ),
        );
    }
    let may_redrive = state::viewer().can("job:redrive");
    let count = i64::try_from(letters.len()).unwrap_or_default();
    let rows = letters.into_iter().map(|letter| {
        let id = letter.id.clone();
        let redrive = match letter.redriven_at.as_deref() {
            Some(at) => view! { <span class="muted">"again "{c::ago(at)}</span> }.into_any(),
            None if may_redrive => view! { <button class="btn sm" type="button" on:click=move |_| {
                state::act::<RedriveDeadLetter>(redrive_dead_letter::Variables { id: id.clone() }, None, |_| { state::toast("The job runs again", None); state::refresh(); });
            }>{icon(icons::ROTATE_CCW)}"Run again"</button> }.into_any(),
            None => none(),
        };
        view! { <tr class="row"><td><span class="id">{c::clean(&letter.job)}</span></td><td>{c::cut(&letter.error)}</td><td class="num p1">{format::count(letter.attempts)}</td><td class="p1 muted">{c::ago(&letter.created_at)}</td><td class="num">{redrive}</td></tr> }
    });
    let table = view! {
        <div class="tbl"><table><thead><tr>{c::head("Job", "w", "180px")}{c::head("Error", "", "")}{c::head("Attempts", "num p1 w", "80px")}{c::head("Failed", "p1 w", "112px")}<th class="w" style="--w:128px"><span class="vh">"Actions"</span></th></tr></thead>
        <tbody>{rows.collect_view()}</tbody></table></div>
    };
    c::section("h-jobs", "Failed jobs", format::count(count), none(), table.into_any())
}

//! Buttons and fields.

use leptos::prelude::*;

use crate::icons::{self, icon};

/// A button that copies a text.
pub fn copy_button(text: String, label: &'static str) -> AnyView {
    view! { <button class="btn quiet icon sm" type="button" aria-label=label data-copy=text>{icon(icons::COPY)}</button> }.into_any()
}

/// A labelled text field; `kind` is the input's type, `autocomplete` may be empty.
pub fn field(
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    required: bool,
) -> AnyView {
    let id = format!("f-{name}");
    let autocomplete = (!autocomplete.is_empty()).then_some(autocomplete);
    view! {
        <div class="field"><label for=id.clone()>{label}</label>
        <input class="input" id=id name=name type=kind autocomplete=autocomplete required=required/></div>
    }
    .into_any()
}

/// A labelled choice of `(value, label)`; the value that is `selected` is chosen.
pub fn choice(name: &'static str, label: &'static str, options: Vec<(String, String)>, selected: &str) -> AnyView {
    let id = format!("f-{name}");
    let options = options
        .into_iter()
        .map(|(value, label)| view! { <option value=value.clone() selected=value == selected>{label}</option> })
        .collect_view();
    view! { <div class="field"><label for=id.clone()>{label}</label><select class="input" id=id name=name>{options}</select></div> }.into_any()
}

/// A checkbox in a form whose values go into the address.
pub fn check(name: &'static str, value: &'static str, label: &'static str, checked: bool) -> AnyView {
    view! { <label class="check"><input type="checkbox" name=name value=value checked=checked/>{label}</label> }
        .into_any()
}

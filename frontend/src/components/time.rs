//! Times, relative to the clock of the page.

use leptos::prelude::*;

use crate::format;

/// The present of the page that is being rendered, in seconds since 1970. The server's clock while rendering and hydrating, so that both give the same text.
#[derive(Clone, Copy)]
pub struct Now(pub i64);

/// The present: the server's while the page is the server's, the browser's after the first request of the browser.
#[must_use]
pub fn now() -> i64 {
    #[cfg(feature = "hydrate")]
    if let Some(now) = crate::browser::own_clock() {
        return now;
    }
    use_context::<Now>().map_or(0, |now| now.0)
}

/// How long ago a time of the API was, with the full time as its title. An unreadable time is shown as it came.
pub fn ago(time: &str) -> AnyView {
    timed(time, |t| format::ago(now(), t))
}

/// How long ago, without the word: for columns whose head says that it is an age.
pub fn age(time: &str) -> AnyView {
    timed(time, |t| format::span(now() - t))
}

/// The day of a time.
pub fn day(time: &str) -> AnyView {
    timed(time, format::day)
}

/// The clock of today, the day of other days: for a column of times.
pub fn stamp(time: &str) -> AnyView {
    timed(time, |t| if format::iso_day(t) == format::iso_day(now()) { format::clock(t) } else { format::day_month(t) })
}

fn timed(time: &str, show: impl Fn(i64) -> String) -> AnyView {
    match format::seconds(time) {
        Some(t) => view! { <time datetime=time.to_owned() title=format::date_time(t)>{show(t)}</time> }.into_any(),
        None => time.to_owned().into_any(),
    }
}

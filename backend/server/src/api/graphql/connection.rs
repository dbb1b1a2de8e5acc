//! Lists as Relay connections over keyset pages.

use crate::kernel::{self, page};
use async_graphql::{Object, OutputType, SimpleObject, TypeName};
use futures::future::BoxFuture;
use serde::Serialize;
use std::borrow::Cow;

/// Counts a list's rows; runs only when `totalCount` is asked for.
type Count = Box<dyn Fn() -> BoxFuture<'static, kernel::Result<i64>> + Send + Sync>;

/// One page of a list of `T`.
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    has_next: bool,
    has_previous: bool,
    count: Count,
}

/// A row with the cursor that the list goes on after.
pub struct Edge<T> {
    node: T,
    cursor: String,
}

/// Where a page lies in its list.
#[derive(SimpleObject)]
pub struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

impl<T> Connection<T> {
    /// A page of rows, each made a node and a sort key; `count` gives the length of the whole list.
    pub fn new<R, K: Serialize, F>(
        page: &page::Page<K>,
        slice: page::Slice<R>,
        key: impl Fn(&R) -> K,
        node: impl Fn(R) -> T,
        count: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = kernel::Result<i64>> + Send + 'static,
    {
        Self {
            has_next: slice.has_next,
            has_previous: page.after.is_some(),
            edges: slice
                .items
                .into_iter()
                .map(|row| Edge { cursor: page::cursor(&key(&row)), node: node(row) })
                .collect(),
            count: Box::new(move || Box::pin(count())),
        }
    }
}

#[Object(name_type)]
impl<T: OutputType> Connection<T> {
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.clone()),
        }
    }

    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    async fn nodes(&self) -> Vec<&T> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// The length of the whole list; costs a count, so ask only when it is shown.
    async fn total_count(&self) -> async_graphql::Result<i64> {
        Ok((self.count)().await?)
    }
}

#[Object(name_type)]
impl<T: OutputType> Edge<T> {
    async fn node(&self) -> &T {
        &self.node
    }

    async fn cursor(&self) -> &str {
        &self.cursor
    }
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", <T as OutputType>::type_name()).into()
    }
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", <T as OutputType>::type_name()).into()
    }
}

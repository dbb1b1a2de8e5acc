//! Keyset pages: a cursor is the sort key and id of the last row, never an offset.

use super::{Error, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

/// The largest page.
pub const MAX_PAGE: i64 = 100;

/// How much of a list, from where. `K` is the sort key with the id.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// 1 to [`MAX_PAGE`].
    pub first: i64,
    /// Rows after this one.
    pub after: Option<K>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Slice<T> {
    pub items: Vec<T>,
    pub has_next: bool,
}

impl<K: DeserializeOwned> Page<K> {
    /// Reads `first` (default 50) and an opaque cursor.
    ///
    /// # Errors
    /// `BAD_INPUT` when `first` is outside 1..=100 or the cursor was not made by this list.
    pub fn parse(first: Option<i32>, after: Option<&str>) -> Result<Self> {
        let first = i64::from(first.unwrap_or(50));
        if !(1..=MAX_PAGE).contains(&first) {
            return Err(Error::field("first", format!("must be 1 to {MAX_PAGE}")));
        }
        let after = match after {
            None => None,
            Some(cursor) => Some(
                URL_SAFE_NO_PAD
                    .decode(cursor)
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                    .ok_or_else(|| Error::field("after", "is not a cursor of this list"))?,
            ),
        };
        Ok(Self { first, after })
    }
}

impl<K> Page<K> {
    /// Refuses a cursor of the same list sorted otherwise.
    ///
    /// # Errors
    /// `BAD_INPUT`, when there is a cursor and `fits` says no.
    pub fn sorted(&self, fits: impl FnOnce(&K) -> bool) -> Result<()> {
        if self.after.as_ref().is_none_or(fits) {
            return Ok(());
        }
        Err(Error::field("after", "is a cursor of a list that was sorted otherwise"))
    }

    /// How many rows to fetch: one more than asked for tells whether there is a next page.
    #[must_use]
    pub const fn limit(&self) -> i64 {
        self.first + 1
    }

    /// Cuts what [`Self::limit`] fetched.
    #[must_use]
    pub fn slice<T>(&self, mut items: Vec<T>) -> Slice<T> {
        let first = usize::try_from(self.first).unwrap_or(usize::MAX);
        let has_next = items.len() > first;
        items.truncate(first);
        Slice { items, has_next }
    }
}

/// An opaque cursor for a sort key.
#[must_use]
pub fn cursor(key: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_foreign_ones_are_refused() {
        let key = (0.25_f64, uuid::Uuid::nil());
        let page = Page::<(f64, uuid::Uuid)>::parse(Some(10), Some(&cursor(&key))).unwrap();
        assert_eq!(page.after, Some(key));
        let error = Page::<(f64, uuid::Uuid)>::parse(None, Some("%%%")).unwrap_err();
        assert_eq!(error.fields[0].field, "after");
    }

    #[test]
    fn a_cursor_of_another_order_is_refused() {
        let page = |after| Page::<i64> { first: 1, after };
        assert!(page(None).sorted(|_| false).is_ok() && page(Some(1)).sorted(|key| *key == 1).is_ok());
        assert_eq!(page(Some(2)).sorted(|key| *key == 1).unwrap_err().fields[0].field, "after");
    }

    #[test]
    fn first_is_bounded() {
        assert!(Page::<i64>::parse(Some(0), None).is_err());
        assert!(Page::<i64>::parse(Some(101), None).is_err());
        assert_eq!(Page::<i64>::parse(Some(2), None).unwrap().slice(vec![1, 2, 3]).items, [1, 2]);
    }
}

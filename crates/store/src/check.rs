//! Rules that every engine applies in the same way.

use crate::{Page, StoreError, Table};
use ferrohub_model::limits;

/// Checks a key: 1 to `limits::STORE_KEY_BYTES` bytes, no NUL.
///
/// # Errors
/// [`StoreError::TooLarge`] or [`StoreError::Invalid`].
pub fn check_key(table: &Table, key: &str) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::Invalid(format!("an empty key in table {:?}", table.name)));
    }
    check_text(table, "a key", key, limits::STORE_KEY_BYTES)
}

/// Whether a row may have this key. A look-up of any other finds nothing.
pub fn may_be_key(key: &str) -> bool {
    (1..=limits::STORE_KEY_BYTES).contains(&key.len()) && !key.contains('\0')
}

/// Whether a column may have this value, or one that starts with it. A look-up of any other finds nothing.
pub fn may_be_value(value: &str) -> bool {
    value.len() <= limits::STORE_COLUMN_BYTES && !value.contains('\0')
}

/// The position of the declared `column`.
///
/// # Errors
/// [`StoreError::Invalid`].
pub fn column_of(table: &Table, column: &str) -> Result<usize, StoreError> {
    table
        .column_index(column)
        .ok_or_else(|| StoreError::Invalid(format!("table {:?} declares no column {column:?}", table.name)))
}

/// The position of the `column` that is declared unique.
///
/// # Errors
/// [`StoreError::Invalid`].
pub fn unique_column_of(table: &Table, column: &str) -> Result<usize, StoreError> {
    let index = column_of(table, column)?;
    if table.columns[index].unique {
        return Ok(index);
    }
    Err(StoreError::Invalid(format!("column {column:?} of table {:?} is not unique", table.name)))
}

/// Checks that `column` is declared and `value` can be written there, and gives the column's position.
///
/// # Errors
/// [`StoreError::TooLarge`] or [`StoreError::Invalid`].
pub fn check_column(table: &Table, column: &str, value: &str) -> Result<usize, StoreError> {
    check_text(table, column, value, limits::STORE_COLUMN_BYTES)?;
    column_of(table, column)
}

/// Checks that `column` is declared unique and `value` can be written there, and gives the column's position.
///
/// # Errors
/// [`StoreError::TooLarge`] or [`StoreError::Invalid`].
pub fn check_unique_column(table: &Table, column: &str, value: &str) -> Result<usize, StoreError> {
    check_text(table, column, value, limits::STORE_COLUMN_BYTES)?;
    unique_column_of(table, column)
}

/// Checks a page's limit: 1 to `limits::STORE_PAGE`. More is refused rather than cut, because a
/// short page means to the caller that there is nothing after it.
///
/// # Errors
/// [`StoreError::Invalid`].
pub fn check_page(page: &Page) -> Result<(), StoreError> {
    if (1..=limits::STORE_PAGE).contains(&page.limit) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("a page of {} rows; 1 to {} are allowed", page.limit, limits::STORE_PAGE)))
}

fn check_text(table: &Table, what: &str, text: &str, limit: usize) -> Result<(), StoreError> {
    if text.len() > limit {
        return Err(StoreError::TooLarge(format!(
            "{what} of {} bytes in table {:?}; at most {limit} are taken",
            text.len(),
            table.name
        )));
    }
    // PostgreSQL cannot hold NUL in text, and an engine may use it to mark the successor of a key.
    if text.contains('\0') {
        return Err(StoreError::Invalid(format!("{what} with NUL in table {:?}", table.name)));
    }
    Ok(())
}

/// The least text above every text that starts with `prefix`; `None` when there is none. UTF-8
/// compares as its code points do, so the last code point that can grow is raised by one.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Surrogates are no characters: U+D7FF is followed by U+E000.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text_that_does_not_start_with_it() {
        assert_eq!(prefix_end("a"), Some("b".into()));
        assert_eq!(prefix_end("a%"), Some("a&".into()));
        assert_eq!(prefix_end("\u{D7FF}"), Some("\u{E000}".into()));
        assert_eq!(prefix_end("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(prefix_end("\u{10FFFF}"), None);
        assert_eq!(prefix_end(""), None);
        assert!(prefix_end("é").is_some_and(|end| *"éz\u{10FFFF}" < *end && *"ê" >= *end));
    }
}

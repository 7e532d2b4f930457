//! The checksum of a row: what is read is what was written, or it is damage.

use crc32c::{crc32c, crc32c_append};

/// The checksum over all that is stored of a row. Columns count with their names, in whatever order, and those without a value
/// not at all: so a column that a later program adds changes nothing for the rows that are there.
pub(crate) fn of<'a>(
    key: &str,
    version: i64,
    schema: u32,
    doc: &str,
    columns: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> i64 {
    let head = crc32c_append(crc32c_append(crc32c(key.as_bytes()), &version.to_le_bytes()), &schema.to_le_bytes());
    let row = i64::from(crc32c_append(head, doc.as_bytes()));
    let column = |(name, value): (&str, Option<&str>)| {
        value.map_or(0, |value| i64::from(crc32c_append(crc32c(name.as_bytes()), value.as_bytes())))
    };
    columns.map(column).fold(row, i64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counts_and_what_is_not_there_does_not() {
        let one = |columns: &[(&'static str, Option<&'static str>)]| of("k", 1, 1, "{}", columns.iter().copied());
        let whole = one(&[("a", Some("x")), ("b", None)]);
        assert_eq!(whole, one(&[("c", None), ("a", Some("x"))]));
        let mut seen = vec![
            whole,
            one(&[("a", Some("y"))]),
            one(&[("b", Some("x"))]),
            one(&[("a", None)]),
            of("l", 1, 1, "{}", std::iter::empty()),
            of("k", 2, 1, "{}", std::iter::empty()),
            of("k", 1, 2, "{}", std::iter::empty()),
            of("k", 1, 1, "[]", std::iter::empty()),
        ];
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}

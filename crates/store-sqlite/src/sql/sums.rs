//! The checksums of rows: made anew, and held against the rows.

use super::{FIXED_COLUMNS, Statements};
use crate::checksum;
use ferrohub_store::StoreError;
use rusqlite::{Connection, params};

impl Statements {
    /// Sums up to `count` rows behind a rowid anew, as they are; gives the rowid of the last one.
    pub(crate) fn sum_rows(&self, connection: &Connection, behind: i64, count: i64) -> rusqlite::Result<Option<i64>> {
        let mut last = None;
        let mut select = connection.prepare_cached(&self.every)?;
        let mut update = connection.prepare_cached(&self.set_sum)?;
        // Another program's values are not summed, and are not left: nothing would tell that they are right.
        let mut clear = match self.foreign.is_empty() {
            true => None,
            false => {
                let values: Vec<String> = self.foreign.iter().map(|name| format!("\"c_{name}\" = NULL")).collect();
                let sql = format!("UPDATE t_{} SET {} WHERE rowid = ?1", self.table.name, values.join(", "));
                Some(connection.prepare_cached(&sql)?)
            }
        };
        let mut rows = select.query(params![behind, count])?;
        while let Some(row) = rows.next()? {
            let rowid: i64 = row.get(0)?;
            let columns = (0..self.table.columns.len()).map(|index| row.get(5 + index));
            let columns: Vec<Option<String>> = columns.collect::<rusqlite::Result<_>>()?;
            let (key, doc): (String, String) = (row.get(1)?, row.get(4)?);
            let sum = checksum::of(&key, row.get(2)?, row.get(3)?, &doc, self.named(&columns));
            update.execute(params![rowid, sum])?;
            if let Some(clear) = &mut clear {
                clear.execute([rowid])?;
            }
            last = Some(rowid);
        }
        Ok(last)
    }

    /// Holds up to `count` rows behind a rowid against their checksums; gives the rowid of the last, and what is wrong.
    pub(crate) fn check_rows(
        &self,
        connection: &Connection,
        behind: i64,
        count: i64,
    ) -> Result<(Option<i64>, Vec<String>), StoreError> {
        let (mut last, mut wrong) = (None, Vec::new());
        let mut select = connection.prepare_cached(&self.checked).map_err(|error| self.failed(&error))?;
        let mut rows = select.query(params![behind, count]).map_err(|error| self.failed(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.failed(&error))? {
            last = Some(
                row.get(FIXED_COLUMNS + self.table.columns.len() + self.foreign.len())
                    .map_err(|error| self.failed(&error))?,
            );
            // What is no text any more is damage as well.
            match self
                .raw(row)
                .map_err(|error| StoreError::Damaged(format!("reading table {:?}: {error}", self.table.name)))
                .and_then(|found| self.whole(found))
            {
                Ok(_) => {}
                Err(StoreError::Damaged(text)) => wrong.push(text),
                Err(error) => return Err(error),
            }
        }
        Ok((last, wrong))
    }
}

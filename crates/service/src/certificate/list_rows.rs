//! How revocation lists lie in their tables: one row each, and further rows for what does not fit there.

use crate::platform::{Change, Platform};
use crate::tables::{REVOCATION_LIST_PARTS, REVOCATION_LISTS};
use ferrohub_model::certificate_authority::{RevocationList, RevocationListPart};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{REVOCATION_LIST_PART_BYTES, REVOCATION_LIST_PARTS as MOST};
use ferrohub_store::{Put, Row};
use std::sync::Arc;
use uuid::Uuid;

/// The row of a list as it was read, which says what the parts are.
pub(super) struct Head {
    row: Option<Arc<Row>>,
    /// The list; its text only where it has no parts.
    pub(super) list: Option<Arc<RevocationList>>,
}

/// The row of an authority's list.
pub(super) async fn head(platform: &Platform, id: Uuid) -> Result<Head> {
    let row = platform.store.get(&REVOCATION_LISTS, &id.to_string()).await?;
    let list = row.as_ref().map(|row| row.parse::<RevocationList>()).transpose()?;
    Ok(Head { row, list })
}

/// The list of which `list` is the row; `None` where another one took its place meanwhile.
pub(super) async fn text(platform: &Platform, id: Uuid, list: &RevocationList) -> Result<Option<Vec<u8>>> {
    if list.parts == 0 {
        return Ok(Some(list.der.clone()));
    }
    let keys: Vec<String> = (0..list.parts).map(|nth| part_key(id, nth)).collect();
    let mut der = Vec::new();
    for row in platform.store.get_many(&REVOCATION_LIST_PARTS, &keys).await? {
        let Some(row) = row else { return Ok(None) };
        let part = row.parse::<RevocationListPart>()?;
        if part.number != list.number {
            return Ok(None);
        }
        der.extend_from_slice(&part.der);
    }
    Ok(Some(der))
}

impl Head {
    /// Expects that the row is still the one that was read.
    pub(super) fn expect(&self, id: Uuid, change: &mut Change) {
        match &self.row {
            Some(row) => change.unit.expect_version(&REVOCATION_LISTS, row.key.clone(), row.version),
            None => change.unit.expect_absent(&REVOCATION_LISTS, id.to_string()),
        };
    }

    /// Adds to `change` that `der` is now the list, with what `list` says of it.
    ///
    /// # Errors
    /// For a list of more than [`MOST`] parts.
    pub(super) fn replace(&self, id: Uuid, list: RevocationList, der: &[u8], change: &mut Change) -> Result<()> {
        let had = self.list.as_ref().map_or(0, |list| list.parts);
        let parts: Vec<&[u8]> = match der.len() <= REVOCATION_LIST_PART_BYTES {
            true => Vec::new(),
            false => der.chunks(REVOCATION_LIST_PART_BYTES).collect(),
        };
        if parts.len() > MOST {
            return Err(Error::internal(format!(
                "the revocation list of '{id}' has {} bytes; at most {} are kept",
                der.len(),
                MOST * REVOCATION_LIST_PART_BYTES
            )));
        }
        let number = list.number;
        let der = if parts.is_empty() { der.to_vec() } else { Vec::new() };
        let list = RevocationList { der, parts: u16::try_from(parts.len()).unwrap_or(u16::MAX), ..list };
        change.unit.put(Put::new(&REVOCATION_LISTS, id.to_string(), Vec::new(), &list)?);
        for (nth, part) in (0..).zip(&parts) {
            let part = RevocationListPart { number, der: part.to_vec() };
            change.unit.put(Put::new(&REVOCATION_LIST_PARTS, part_key(id, nth), Vec::new(), &part)?);
        }
        for nth in list.parts..had {
            change.unit.delete(&REVOCATION_LIST_PARTS, part_key(id, nth));
        }
        Ok(())
    }
}

fn part_key(id: Uuid, nth: u16) -> String {
    format!("{id}/{nth:05}")
}

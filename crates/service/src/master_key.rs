//! The master key of an installation whose server is stopped: looked at, and exchanged for another.
//!
//! An exchange leaves every data key as it is and wraps it anew. First each gets a second wrapping, beside the one that
//! it has; then one commit changes the check value; then the former wrappings go. Cut off before that commit, the former
//! master key opens everything, after it the new one does, and the same exchange goes on where it was (ADR 0035).

use crate::keyring::{Next, WrappedKey};
use crate::tables::{DATA_KEYS, META};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::random::Random;
use ferrohub_pki::seal::MasterKey;
use ferrohub_store::{Pages, Put, Row, Store, UnitOfWork};

/// Name in [`META`] of the value by which a wrong master key is noticed.
pub(crate) const CHECK: &str = "master-check";
/// Data keys that one commit wraps: ours.
const ROWS: usize = 200;

/// The check value of the master key that the installation was sealed with; `None` before the first start.
///
/// # Errors
/// When the store cannot be read.
pub async fn check_value(store: &dyn Store) -> Result<Option<String>> {
    let row = store.get(&META, CHECK).await?;
    Ok(row.map(|row| row.parse::<String>()).transpose()?.map(|value| String::clone(&value)))
}

/// Has `key` open every data key. Gives how many there are.
///
/// # Errors
/// `Conflict` where it is not the master key of this installation; `NotFound` where there is none; `Internal` where a data
/// key does not open.
pub async fn verify(store: &dyn Store, key: &MasterKey) -> Result<usize> {
    let check = check_value(store).await?.ok_or_else(|| Error::not_found("There is no installation in the store."))?;
    key.verify_check_value(&check)?;
    let mut count = 0;
    let mut pages = Pages::scan(store, &DATA_KEYS, "", ROWS);
    while let Some(rows) = pages.next().await? {
        for row in rows {
            row.parse::<WrappedKey>()?.open(key)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Exchanges the master key `from` for `to`, or goes on where such an exchange was cut off. Nobody else may use the
/// installation meanwhile. Gives how many data keys are wrapped by `to`.
///
/// # Errors
/// `Conflict` where the installation is sealed with neither key; as [`verify`].
pub async fn exchange(store: &dyn Store, from: &MasterKey, to: &MasterKey, random: &dyn Random) -> Result<usize> {
    let row = store.get(&META, CHECK).await?;
    let row = row.ok_or_else(|| Error::not_found("There is no installation in the store."))?;
    let check = to.check_value();
    if *row.parse::<String>()? != check {
        from.verify_check_value(&row.parse::<String>()?)?;
        change(store, |stored| with_next(stored, from, to, &check, random)).await?;
        let mut unit = UnitOfWork::new();
        unit.expect_version(&META, CHECK, row.version);
        unit.put(Put::new(&META, CHECK, Vec::new(), &check)?);
        store.commit(unit).await?;
    }
    change(store, |stored| Ok(without_former(stored, &check))).await?;
    verify(store, to).await
}

/// The data key wrapped by `to` as well; `None` where it is already.
fn with_next(
    stored: &WrappedKey,
    from: &MasterKey,
    to: &MasterKey,
    check: &str,
    random: &dyn Random,
) -> Result<Option<WrappedKey>> {
    if stored.next.as_ref().is_some_and(|next| next.check == check) {
        return Ok(None);
    }
    let key = stored.open(from)?;
    let wrapped = STANDARD.encode(to.wrap(stored.id, &key, random)?);
    Ok(Some(WrappedKey { next: Some(Next { check: check.to_owned(), wrapped }), ..stored.clone() }))
}

/// The data key under the new master key alone; `None` where it is already.
fn without_former(stored: &WrappedKey, check: &str) -> Option<WrappedKey> {
    let next = stored.next.as_ref()?;
    // What an earlier exchange left that was given up.
    let wrapped = if next.check == check { next.wrapped.clone() } else { stored.wrapped.clone() };
    Some(WrappedKey { id: stored.id, wrapped, next: None })
}

/// Writes what `work` makes of every data key.
async fn change(store: &dyn Store, work: impl Fn(&WrappedKey) -> Result<Option<WrappedKey>>) -> Result<()> {
    let mut pages = Pages::scan(store, &DATA_KEYS, "", ROWS);
    while let Some(rows) = pages.next().await? {
        let (mut unit, mut changes) = (UnitOfWork::new(), 0);
        for row in &rows {
            if let Some(changed) = work(&*row.parse::<WrappedKey>()?)? {
                replace(&mut unit, row, &changed)?;
                changes += 1;
            }
        }
        if changes > 0 {
            store.commit(unit).await?;
        }
    }
    Ok(())
}

fn replace(unit: &mut UnitOfWork, row: &Row, changed: &WrappedKey) -> Result<()> {
    unit.expect_version(&DATA_KEYS, row.key.clone(), row.version);
    unit.put(Put::new(&DATA_KEYS, row.key.clone(), Vec::new(), changed)?);
    Ok(())
}

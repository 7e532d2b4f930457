//! The time on whose word things are deleted. A clock that stands wrong when the server starts, or jumps while it runs, must
//! not delete what was acknowledged: settled time follows the clock only as fast as time that was really lived through allows.

use crate::platform::{Change, Platform};
use crate::tables::META;
use ferrohub_model::clock::Moment;
use ferrohub_model::error::Result;
use ferrohub_store::{Put, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How much faster than lived time settled time may catch up, so that an installation that is switched off most of the day
/// keeps up, while a clock that is a week ahead takes almost two days to do harm: ours.
const CATCH_UP: i32 = 4;
/// From this lag on, the clock's jump is spoken of: ours.
const NOTEWORTHY: SignedDuration = SignedDuration::from_hours(1);
/// Key of the row in [`META`].
const KEY: &str = "settled-time";

/// The stored form: up to when deletions were made, for all processes and the next start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Settled {
    at: Timestamp,
}

/// Settled time as it was when a process looked last, and never ahead of the clock; the clock's, where none looked yet. For whoever decides
/// what has ended without waiting for it.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn stood(platform: &Platform) -> Result<Timestamp> {
    let (now, row) = (platform.now(), platform.store.get(&META, KEY).await?);
    Ok(row.map(|row| row.parse::<Settled>()).transpose()?.map_or(now, |settled| settled.at.min(now)))
}

/// Settled time as one process knows it.
#[derive(Debug, Default)]
pub(crate) struct SettledTime {
    /// The version of the row at the last look, and when that was, in time that nobody can set.
    looked: Option<(u64, Moment)>,
}

impl SettledTime {
    /// Settled time now: never ahead of the clock, and never further ahead of where it stood than the time that has passed since
    /// the last look allows. The first look of a process finds it where it stood; a new installation's stands where the clock does.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) async fn look(&mut self, platform: &Platform) -> Result<Timestamp> {
        let (now, moment) = (platform.now(), platform.clock.monotonic());
        let row = platform.store.get(&META, KEY).await?;
        let version = row.as_ref().map_or(0, |row| row.version);
        // Where another process went on meanwhile, the time that was lived through is counted there.
        let before = self.looked.replace((version, moment));
        let since = before.filter(|(seen, _)| *seen == version);
        let lived = since.map_or(SignedDuration::ZERO, |(_, before)| {
            SignedDuration::try_from(moment.since(before)).unwrap_or(SignedDuration::MAX)
        });
        let mut change = Change::new();
        let settled = match &row {
            Some(row) => {
                let stood = row.parse::<Settled>()?.at;
                change.unit.expect_version(&META, KEY, row.version);
                let reach = stood.checked_add(lived.saturating_mul(CATCH_UP)).unwrap_or(Timestamp::MAX);
                // A clock that was set back takes nothing away again.
                now.min(reach).max(stood.min(now))
            }
            None => {
                change.unit.expect_absent(&META, KEY);
                now
            }
        };
        let lag = now.duration_since(settled);
        if lag > NOTEWORTHY {
            tracing::warn!(
                clock = %now,
                settled = %settled,
                "the clock is ahead of the time up to which this installation has run. Until that is made up, what is past its retention is kept longer; if the clock is wrong, set it right: nothing is lost so far"
            );
        }
        let further = row.as_ref().map_or(Ok(true), |row| row.parse::<Settled>().map(|was| was.at < settled))?;
        if further {
            change.unit.put(Put::new(&META, KEY.to_owned(), Vec::new(), &Settled { at: settled })?);
            match platform.commit(change).await {
                Ok(committed) => self.looked = committed.versions.first().map(|version| (*version, moment)),
                // Another process was faster, and its word counts.
                Err(error) if error.is_conflict() => {}
                // A full disk: it is for what goes now that there will be room. The next look counts from the last one that was written.
                Err(StoreError::Unwritable(_)) => self.looked = before.or(self.looked),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(settled)
    }
}

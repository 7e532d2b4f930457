//! Serial numbers: reserved on disk before anything is signed under them, a block at a time.

use crate::platform::{Change, Platform};
use crate::tables::SERIAL_BLOCKS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::SERIALS_PER_BLOCK;
use ferrohub_pki::issue::{Serial, SerialBlock};
use ferrohub_store::{ConflictKind, Put, StoreError};
use serde_json::json;
use std::collections::HashSet;
use tokio::sync::Mutex;

/// Draws of a block or of a number before something is wrong with the generator: ours (two equal ones of 62 bits do not
/// happen).
const DRAWS: usize = 4;

/// The block from which this process takes serial numbers. A block is nobody else's and is never taken up again after a
/// restart; its row stays for good, so no number can come twice whatever is cut off when.
#[derive(Default)]
pub struct Serials {
    open: Mutex<Option<OpenBlock>>,
}

struct OpenBlock {
    block: SerialBlock,
    given: HashSet<Serial>,
}

impl Serials {
    /// A serial number that is reserved on disk and that nobody gets again.
    ///
    /// # Errors
    /// When a new block cannot be committed; internal, when the generator repeats itself.
    pub(super) async fn next(&self, platform: &Platform) -> Result<Serial> {
        let mut open = self.open.lock().await;
        if open.as_ref().is_none_or(|block| block.given.len() >= SERIALS_PER_BLOCK) {
            *open = Some(OpenBlock { block: reserve(platform).await?, given: HashSet::new() });
        }
        let open = open.as_mut().ok_or_else(|| Error::internal("no block of serial numbers is open"))?;
        for _ in 0..DRAWS {
            let serial = Serial::in_block(open.block, platform.random.as_ref());
            if open.given.insert(serial) {
                return Ok(serial);
            }
        }
        Err(repeats())
    }
}

/// Commits a block that nobody has.
async fn reserve(platform: &Platform) -> Result<SerialBlock> {
    for _ in 0..DRAWS {
        let block = SerialBlock::random(platform.random.as_ref());
        let mut change = Change::new();
        change.unit.expect_absent(&SERIAL_BLOCKS, block.to_hex());
        let reserved = json!({"reserved": platform.now()});
        change.unit.put(Put::new(&SERIAL_BLOCKS, block.to_hex(), Vec::new(), &reserved)?);
        match platform.commit(change).await {
            Ok(_) => return Ok(block),
            Err(StoreError::Conflict { kind: ConflictKind::Absent, .. }) => {
                tracing::warn!("a block of serial numbers was taken; drawing again");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(repeats())
}

fn repeats() -> Error {
    Error::internal("no free serial number: the random generator repeats itself")
}

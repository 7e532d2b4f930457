//! Trying again what met a newer version of a row.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::CONFLICT_RETRIES;

/// Counts the attempts of one change. Each attempt reads, builds its unit anew and submits it with
/// [`Platform::try_commit`](crate::platform::Platform::try_commit):
///
/// ```ignore
/// let mut attempts = Attempts::new();
/// loop {
///     attempts.begin(|| contended(id))?;
///     … read, check, build `change` …
///     if platform.try_commit(change).await? {
///         return Ok(…);
///     }
/// }
/// ```
pub(crate) struct Attempts(usize);

impl Attempts {
    /// None made yet.
    pub(crate) fn new() -> Self {
        Self(0)
    }

    /// Begins the next attempt.
    ///
    /// # Errors
    /// `contended` after [`CONFLICT_RETRIES`] of them.
    pub(crate) fn begin(&mut self, contended: impl FnOnce() -> Error) -> Result<()> {
        if self.0 >= CONFLICT_RETRIES {
            return Err(contended());
        }
        self.0 += 1;
        Ok(())
    }

    /// Whether the attempt that was begun is not the first: what was read before is old.
    pub(crate) fn again(&self) -> bool {
        self.0 > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_end() {
        let mut attempts = Attempts::new();
        for number in 0..CONFLICT_RETRIES {
            attempts.begin(|| Error::conflict("x")).unwrap();
            assert_eq!(attempts.again(), number > 0);
        }
        assert_eq!(attempts.begin(|| Error::conflict("x")).unwrap_err().message, "x");
    }
}

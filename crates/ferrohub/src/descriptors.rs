//! File descriptors: store, log and connections share them, and connections must leave some to the others.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for store, log, listeners and the runtime: ours (an idle server has about 30 open).
const RESERVE: u64 = 256;
/// Fewer than these do not carry a server: ours.
const LEAST: u64 = 128;
/// Connections below which an operator should hear how to get more: ours.
const FEW_CONNECTIONS: usize = 2_000;

/// Raises the limit of open files as far as the server can use it and the system lets it; gives the
/// connections that it then may hold at once.
///
/// # Errors
/// `Invalid` where the limit is too low to serve at all.
pub(crate) fn connections() -> Result<usize> {
    let limit = raise();
    if limit < LEAST {
        return Err(Error::invalid(format!(
            "This process may open {limit} files, and a server needs at least {LEAST}: raise the limit with 'ulimit -n 65536', \
             or LimitNOFILE= in a systemd unit."
        )));
    }
    let connections = within(limit);
    if connections < FEW_CONNECTIONS {
        tracing::warn!(
            open_files = limit,
            connections,
            "the limit of open files allows few connections; raise it with 'ulimit -n 65536', or LimitNOFILE= in a systemd unit"
        );
    }
    Ok(connections)
}

/// The connections that fit beside what the rest of the server opens.
fn within(limit: u64) -> usize {
    let reserve = RESERVE.min(limit / 2);
    usize::try_from(limit.saturating_sub(reserve)).unwrap_or(usize::MAX).min(most())
}

/// All that the four kinds of ports could take.
fn most() -> usize {
    limits::CONNECTIONS * 4
}

/// The soft limit after it was raised towards the hard one.
fn raise() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let usable = u64::try_from(most()).unwrap_or(u64::MAX).saturating_add(RESERVE);
    // None stands for "no limit".
    let soft = now.current.unwrap_or(usable);
    let wanted = now.maximum.unwrap_or(usable).min(usable);
    if wanted <= soft {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, soft, wanted, "the limit of open files could not be raised");
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_store_and_log() {
        assert_eq!(within(1024), 768);
        assert_eq!(within(LEAST), 64);
        assert_eq!(within(u64::MAX), limits::CONNECTIONS * 4);
    }

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let limit = raise();
        let after = getrlimit(Resource::Nofile);
        assert!(after.current.unwrap_or(u64::MAX) >= before);
        assert!(limit <= after.current.unwrap_or(u64::MAX));
        let usable = u64::try_from(most()).unwrap() + RESERVE;
        assert!(limit >= after.maximum.unwrap_or(u64::MAX).min(usable), "{limit} of {after:?}");
    }
}

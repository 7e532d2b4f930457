//! `ferrohub activity export` and `ferrohub audit export`: a log as JSON lines, oldest first, through the server's HTTPS API.

mod file;

use crate::cli::LogExportArgs;
use crate::config::{Variables, default_data_dir};
use crate::output::{notice, print};
use crate::owner::Owner;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::time::rfc3339;
use file::RotatedFile;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Azure Monitor's api-version of the activity log.
const VERSION: &str = "2015-04-01";
/// Time that is asked for at once: ours. Less where it holds too much.
const SPAN: SignedDuration = SignedDuration::from_hours(6);
/// Pages that are held at once, of 200 events: ours.
const PAGES: usize = 50;
/// Pause between two looks with `--follow`: ours.
const FOLLOW_PAUSE: Duration = Duration::from_secs(2);
/// What is younger may not be written yet (the worker writes the audit log every two seconds): ours.
const SETTLED: SignedDuration = SignedDuration::from_secs(6);
/// The shortest time between two events.
const TICK: SignedDuration = SignedDuration::from_nanos(100);

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// What was done to resources.
    Activity,
    /// Sign-ins, keys read, certificates, refusals.
    Audit,
}

impl Log {
    /// Where it is, in a subscription.
    fn path(self) -> &'static str {
        match self {
            Self::Activity => "providers/Microsoft.Insights/eventtypes/management/values",
            Self::Audit => "providers/Ferrohub/auditEvents",
        }
    }
}

/// Writes the events; with `--follow` until the process is stopped or nobody reads.
///
/// # Errors
/// The server's error, a time that is none, a file that cannot be written.
pub(crate) async fn run(log: Log, args: &LogExportArgs, variables: &Variables) -> Result<()> {
    // Whoever sees the file, or waits a moment, is told of what happens from then on.
    let now = SystemClock.now();
    let data_dir = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    let mut lines = match &args.out {
        Some(path) => Lines::File(RotatedFile::open(path, args.rotate_mb.map(|mb| mb * 1024 * 1024), args.keep)?),
        None => Lines::Output,
    };
    let mut reader = Reader { owner: Owner::sign_in(&data_dir).await?, log, filter: args.filter.clone() };
    let mut from = moment(args.since.as_deref(), "--since")?.unwrap_or_else(|| before(now, i64::from(args.days)));
    let until = moment(args.until.as_deref(), "--until")?;
    loop {
        let end = until.unwrap_or_else(|| match args.follow {
            true => SystemClock.now().saturating_sub(SETTLED).unwrap_or(now),
            false => SystemClock.now(),
        });
        match reader.export(&mut from, end, &mut lines).await {
            Ok(()) if !args.follow => return lines.end(),
            Ok(()) => SystemClock.sleep(FOLLOW_PAUSE).await,
            Err(error) if args.follow && error.kind == ErrorKind::Unavailable => {
                notice(&format!("{} Waiting for the server.", error.message));
                reader.owner = wait_for_server(&data_dir).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn wait_for_server(data_dir: &Path) -> Result<Owner> {
    loop {
        SystemClock.sleep(FOLLOW_PAUSE).await;
        match Owner::sign_in(data_dir).await {
            Err(error) if error.kind == ErrorKind::Unavailable => {}
            outcome => return outcome,
        }
    }
}

/// Where lines go.
enum Lines {
    Output,
    File(RotatedFile),
}

impl Lines {
    fn write(&mut self, line: &str) -> Result<()> {
        match self {
            Self::Output => print(line),
            Self::File(file) => file.write(line),
        }
    }

    fn end(self) -> Result<()> {
        match self {
            Self::Output => Ok(()),
            Self::File(file) => file.end(),
        }
    }
}

/// Reads a log in the order of time.
struct Reader {
    owner: Owner,
    log: Log,
    filter: Option<String>,
}

impl Reader {
    /// Writes what lies from `from` up to `end`; `from` moves behind what was written.
    async fn export(&self, from: &mut Timestamp, end: Timestamp, lines: &mut Lines) -> Result<()> {
        let mut span = SPAN;
        while *from <= end {
            let until = from.saturating_add(span).unwrap_or(end).min(end);
            match self.events(*from, until).await? {
                Some(events) => {
                    for event in events.iter().rev() {
                        lines.write(&event.to_string())?;
                    }
                    *from = until.saturating_add(TICK).unwrap_or(end);
                    span = SPAN.min(span * 2);
                }
                // Too much for one piece.
                None => span = (until.duration_since(*from) / 2).max(TICK),
            }
        }
        Ok(())
    }

    /// The events of a span of time, newest first; `None` where they are more than are held at once.
    async fn events(&self, from: Timestamp, until: Timestamp) -> Result<Option<Vec<Value>>> {
        let mut filter = format!("eventTimestamp ge '{}' and eventTimestamp le '{}'", rfc3339(from), rfc3339(until));
        if let Some(more) = &self.filter {
            filter = format!("{filter} and {more}");
        }
        let filter = utf8_percent_encode(&filter, NON_ALPHANUMERIC);
        let mut path = format!("/subscriptions/{}/{}?$filter={filter}", self.owner.subscription(), self.log.path());
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let page = self.owner.get(&path, VERSION).await?.unwrap_or(Value::Null);
            if let Some(Value::Array(events)) = page.get("value") {
                found.extend(events.iter().cloned());
            }
            match page["nextLink"].as_str().and_then(rest_of_link) {
                Some(next) => path = next,
                None => return Ok(Some(found)),
            }
        }
        // A piece that cannot be smaller is taken as it is.
        Ok(if until.duration_since(from) <= TICK { Some(found) } else { None })
    }
}

/// Path and query of a page link, without its api-version, which every request brings.
fn rest_of_link(link: &str) -> Option<String> {
    let uri: http::Uri = link.parse().ok()?;
    let own = |pair: &&str| !pair.starts_with("api-version=") && !pair.starts_with("api%2Dversion=");
    let query: Vec<&str> = uri.query()?.split('&').filter(own).collect();
    Some(format!("{}?{}", uri.path(), query.join("&")))
}

fn moment(text: Option<&str>, flag: &str) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let day = || format!("{text}T00:00:00Z").parse().ok();
    text.parse().ok().or_else(day).map(Some).ok_or_else(|| {
        Error::invalid(format!("{flag} is '{text}', which is no time such as 2026-01-31T12:00:00Z or 2026-01-31."))
    })
}

fn before(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_links() {
        assert_eq!(moment(Some("2026-01-31"), "--since").unwrap(), Some("2026-01-31T00:00:00Z".parse().unwrap()));
        assert_eq!(
            moment(Some("2026-01-31T01:00:00+01:00"), "--since").unwrap(),
            Some("2026-01-31T00:00:00Z".parse().unwrap())
        );
        assert!(moment(Some("yesterday"), "--until").unwrap_err().message.contains("--until is 'yesterday'"));
        let link = "https://localhost:1/subscriptions/s/x?api%2Dversion=1&%24filter=a&$skipToken=b";
        assert_eq!(rest_of_link(link).unwrap(), "/subscriptions/s/x?%24filter=a&$skipToken=b");
    }
}

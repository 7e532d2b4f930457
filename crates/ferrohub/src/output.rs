//! What people read on stdout: progress lines and tables of names. Logs go to stderr.

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::{Clock, Moment};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::terminal::escaped_except;
use std::io::{ErrorKind as Fault, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// Code of the error that ends a program whose reader has gone away; nobody is told of it.
pub(crate) const CLOSED: &str = "OutputClosed";

/// Writes a line that the program exists for to stdout.
///
/// # Errors
/// [`CLOSED`] where the reader is gone, otherwise a sentence on why the line is lost.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| lost(&error))
}

fn lost(error: &std::io::Error) -> Error {
    let code = if error.kind() == Fault::BrokenPipe { CLOSED } else { "OutputLost" };
    Error::new(ErrorKind::Internal, code, format!("Cannot write to standard output: {error}."))
}

/// Writes a line to stderr: for a person beside the output, not in it.
pub(crate) fn notice(text: &str) {
    // A stderr that is closed takes no notice. What a service says may hold what a device chose.
    let _ = writeln!(std::io::stderr(), "ferrohub: {}", escaped_except(text, &['\n', '\t']));
}

/// The error, with what to look at first where a server did not answer.
pub(crate) fn asking_for_the_server(error: Error) -> Error {
    match error.message.starts_with("Cannot reach") {
        true => {
            Error { message: format!("{} Is the server running? 'ferrohub serve' starts it.", error.message), ..error }
        }
        false => error,
    }
}

/// Writes a line of progress to stdout; the work goes on where nobody reads it.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Address and port as one text, with brackets around an IPv6 address.
pub(crate) fn endpoint(address: &str, port: u16) -> String {
    address.parse().map_or_else(|_| format!("{address}:{port}"), |ip| SocketAddr::new(ip, port).to_string())
}

/// What a step achieved, with a word about it.
pub(crate) struct Done<T> {
    /// The value.
    pub(crate) value: T,
    /// Such as `found` or `version 3`; may be empty.
    pub(crate) note: String,
}

impl<T> Done<T> {
    /// A value without a note.
    pub(crate) fn new(value: T) -> Self {
        Self { value, note: String::new() }
    }

    /// A value with a note.
    pub(crate) fn with(value: T, note: impl Into<String>) -> Self {
        Self { value, note: note.into() }
    }
}

/// Numbered steps, one line each, with their times.
pub(crate) struct Progress {
    started: Moment,
    steps: u32,
}

impl Progress {
    /// No step yet.
    pub(crate) fn new() -> Self {
        Self { started: SystemClock.monotonic(), steps: 0 }
    }

    /// Runs one step and prints its line: `  3  role definition ferrohub-quickstart … 12 ms`.
    ///
    /// # Errors
    /// That of the step, after the line said so.
    pub(crate) async fn step<T>(&mut self, what: &str, work: impl Future<Output = Result<Done<T>>>) -> Result<T> {
        self.steps += 1;
        let begun = SystemClock.monotonic();
        partial(&format!("{:>3}  {what} … ", self.steps));
        match work.await {
            Ok(done) => {
                let note = if done.note.is_empty() { String::new() } else { format!("{}, ", done.note) };
                line(&format!("{note}{}", duration(since(begun))));
                Ok(done.value)
            }
            Err(error) => {
                line(&format!("failed after {}", duration(since(begun))));
                Err(error)
            }
        }
    }

    /// Steps so far.
    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }

    /// Time since the first step.
    pub(crate) fn elapsed(&self) -> Duration {
        since(self.started)
    }
}

/// The time since `begun` on the machine's clock.
pub(crate) fn since(begun: Moment) -> Duration {
    SystemClock.monotonic().since(begun)
}

/// `12 ms`, `0.4 ms` or `1.25 s`.
pub(crate) fn duration(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        ms if ms < 1.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

fn partial(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::error::Error;

    #[test]
    fn who_cannot_reach_a_server_is_asked_for_it() {
        let asked = asking_for_the_server(Error::unavailable("Cannot reach h at 127.0.0.1:1: refused.", 1));
        assert!(asked.message.ends_with("'ferrohub serve' starts it."), "{asked}");
        assert_eq!(asking_for_the_server(Error::invalid("No.")).message, "No.");
    }

    #[test]
    fn durations() {
        assert_eq!(duration(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_millis(1250)), "1.25 s");
    }

    #[test]
    fn only_a_reader_that_left_is_passed_over() {
        assert_eq!(lost(&Fault::BrokenPipe.into()).code, CLOSED);
        let full = lost(&Fault::StorageFull.into());
        assert!(full.code != CLOSED && full.message.contains("standard output"), "{full}");
    }

    #[test]
    fn endpoints() {
        assert_eq!(endpoint("127.0.0.1", 1), "127.0.0.1:1");
        assert_eq!(endpoint("::1", 1), "[::1]:1");
        assert_eq!(endpoint("hub.example", 1), "hub.example:1");
    }

    #[tokio::test]
    async fn steps_are_counted_and_failures_pass_through() {
        let mut progress = Progress::new();
        let value = progress.step("one", async { Ok(Done::with(7, "found")) }).await.unwrap();
        let failed = progress.step("two", async { Err::<Done<()>, _>(Error::invalid("no")) }).await;
        assert_eq!((value, failed.unwrap_err().message.as_str(), progress.steps()), (7, "no", 2));
    }
}

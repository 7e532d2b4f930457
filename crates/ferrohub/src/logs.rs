//! Log lines on stderr. What clients send is in them, so whatever a terminal or a reader of lines would obey is written as an
//! escape, here, where every line is made. JSON escapes what would end a line or reach a terminal by itself.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::terminal::acts;
use serde::Deserialize;
use std::fmt as text;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the whole process. Without a format: text on a terminal, else JSON.
///
/// # Errors
/// `Invalid` where the filter is malformed; `Internal` where logging was started before.
pub(crate) fn start(format: Option<LogFormat>, level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Error::invalid(format!("The log filter '{level}' is not valid: {error}.")))?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(terminal).fmt_fields(Escaped).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).finish().try_init(),
    };
    started.map_err(|error| Error::internal(format!("logging: {error}")))
}

/// The fields of a line or a span as the library writes them, without colours, and without anything that acts on a terminal.
struct Escaped;

impl<'w> FormatFields<'w> for Escaped {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> text::Result {
        let mut plain = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut plain), fields)?;
        write_escaped(&mut writer, &plain)
    }
}

/// Writes `plain` with every control character as Rust writes it in a text: `\n`, `\u{1b}`.
fn write_escaped(writer: &mut impl text::Write, plain: &str) -> text::Result {
    let mut kept = 0;
    for (at, character) in plain.char_indices().filter(|(_, character)| acts(*character)) {
        writer.write_str(&plain[kept..at])?;
        match character {
            '\n' | '\r' | '\t' => write!(writer, "{}", character.escape_default())?,
            _ => write!(writer, "{}", character.escape_unicode())?,
        }
        kept = at + character.len_utf8();
    }
    writer.write_str(&plain[kept..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_client_writes_no_lines_and_no_colours() {
        let kept = Kept::default();
        let lines = fmt().with_writer(kept.clone()).with_ansi(false).fmt_fields(Escaped).finish();
        let evil = "a\nforged\r\u{1b}[31mred\u{7}\u{9b}2J\u{202e}\u{2028}\0é";
        tracing::subscriber::with_default(lines, || {
            let span = tracing::info_span!("request", path = evil, host = %evil);
            let _within = span.enter();
            tracing::info!(user = evil, agent = ?evil, device = %evil, "said {evil}");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        assert!(text.ends_with('\n') && !text.trim_end_matches('\n').chars().any(acts), "{text:?}");
        assert!(text.contains("a\\nforged\\r\\u{1b}[31mred\\u{7}\\u{9b}2J\\u{202e}\\u{2028}\\u{0}é"), "{text:?}");
    }

    #[test]
    fn what_is_shown_stays_as_it_is() {
        let mut text = String::new();
        write_escaped(&mut text, "Gerät №1 \\ 日本 \"q\"").unwrap();
        assert_eq!(text, "Gerät №1 \\ 日本 \"q\"");
    }
}

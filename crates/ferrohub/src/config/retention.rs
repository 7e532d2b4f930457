//! For how long logs are kept.

use super::{Variables, text};
use ferrohub_model::error::{Error, Result};
use ferrohub_service::platform::Retention;
use serde::Deserialize;
use std::ops::RangeInclusive;

/// Days for which a log may be kept: ours.
const DAYS: RangeInclusive<u32> = 1..=3650;

/// The part of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionFile {
    activity_days: Option<u32>,
    audit_days: Option<u32>,
}

/// Days from the variables, else from the file, else the usual ones.
///
/// # Errors
/// `Invalid` naming the variable or key that is wrong.
pub(super) fn read(variables: &Variables, file: &RetentionFile) -> Result<Retention> {
    let days = |name: &str, key: &str, file: Option<u32>, otherwise: u32| -> Result<u32> {
        let given = match text(variables, name) {
            Some(value) => {
                let parsed = value
                    .parse()
                    .map_err(|_| Error::invalid(format!("{name} is '{value}', which is no whole number of days.")))?;
                Some(parsed)
            }
            None => file,
        };
        let days = given.unwrap_or(otherwise);
        match DAYS.contains(&days) {
            true => Ok(days),
            false => Err(Error::invalid(format!(
                "'retention.{key}' is {days}; a log is kept for {} to {} days.",
                DAYS.start(),
                DAYS.end()
            ))),
        }
    };
    let usual = Retention::default();
    Ok(Retention {
        activity_days: days("FERROHUB_ACTIVITY_DAYS", "activity_days", file.activity_days, usual.activity_days)?,
        audit_days: days("FERROHUB_AUDIT_DAYS", "audit_days", file.audit_days, usual.audit_days)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_come_from_variable_then_file_and_have_bounds() {
        let of = |days: &str, file: Option<u32>| {
            let variables = Variables::from([("FERROHUB_AUDIT_DAYS".to_owned(), days.to_owned())]);
            read(&variables, &RetentionFile { activity_days: None, audit_days: file })
        };
        assert_eq!(of("7", Some(9)).unwrap(), Retention { activity_days: 90, audit_days: 7 });
        assert_eq!(of("", Some(9)).unwrap().audit_days, 9);
        assert_eq!(of("", None).unwrap(), Retention::default());
        for bad in ["0", "3651", "a week", "-1"] {
            assert!(of(bad, None).unwrap_err().message.to_lowercase().contains("audit_days"), "{bad}");
        }
    }
}

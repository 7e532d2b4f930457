//! `az monitor activity-log …`: what was done by Resource Manager.

use crate::az::args::Args;
use crate::az::command::Command;
use crate::az::context::{Context, Task, query_value};
use crate::az::failure::{Failure, Result};
use crate::az::output::{Columns, Output};
use crate::az::versions;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Columns of the table format.
const COLUMNS: Columns = &[
    ("EventTimestamp", "eventTimestamp"),
    ("Operation", "operationName.value"),
    ("Status", "status.value"),
    ("Caller", "caller"),
    ("ResourceId", "resourceId"),
];

/// This file's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new(
        "monitor activity-log list",
        "List the events of the activity log, newest first.",
        &["--correlation-id # Only with this correlation id.
--resource-group/-g # Only of this resource group.
--resource-id # Only of this resource.
--namespace # Only of this provider, such as Microsoft.Devices.
--caller # Only of this caller: object or application id.
--status # Only with this status: Started, Succeeded, Failed.
--start-time + # From this time on, such as 2027-01-31 or 2027-01-31T10:00:00Z.
--end-time + # Up to this time; now without it.
--offset =6h # How far back, where one of the times is not given: ##d##h##m.
--max-events int =50 # Events at most.
--select + # Properties to show."],
        list,
    ),
    Command::new("monitor activity-log list-categories", "List the categories of events.", &[], categories),
];

/// `##d##h##m##s`, each part at most once, as a time.
fn offset(text: &str) -> Result<SignedDuration> {
    let malformed = || Failure::error(format!("--offset '{text}' is no time. Give one such as 6h, 90m or 1d12h."));
    let (mut total, mut number) = (SignedDuration::ZERO, String::new());
    for character in text.trim().chars() {
        let seconds = match character.to_ascii_lowercase() {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            digit if digit.is_ascii_digit() => {
                number.push(digit);
                continue;
            }
            _ => return Err(malformed()),
        };
        let count: i64 = number.parse().map_err(|_| malformed())?;
        let part = count.checked_mul(seconds).map(SignedDuration::from_secs);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(malformed)?;
        number.clear();
    }
    if number.is_empty() && !total.is_zero() { Ok(total) } else { Err(malformed()) }
}

/// A date or a point in time, in one word or two; without an offset it is UTC.
fn time(words: &[String]) -> Result<Timestamp> {
    let text = words.join("T");
    let date_time = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| date_time().map(|time| time.timestamp())).ok_or_else(|| {
        Failure::error(format!("'{}' is no time. Give one such as 2027-01-31T10:00:00Z.", words.join(" ")))
    })
}

/// From when to when.
fn span(args: &Args, now: Timestamp) -> Result<(Timestamp, Timestamp)> {
    let given = |key| args.list(key).map(time).transpose();
    let (start, end, offset) = (given("--start-time")?, given("--end-time")?, offset(args.required("--offset")?)?);
    let far = |_| Failure::error("--offset reaches beyond the times there are.");
    Ok(match (start, end) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, start.checked_add(offset).map_err(far)?),
        (None, end) => {
            let end = end.unwrap_or(now);
            (end.checked_sub(offset).map_err(far)?, end)
        }
    })
}

fn list<'a>(context: &'a mut Context<'_>, args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let (start, end) = span(args, context.environment.clock.now())?;
        let mut filter = format!("eventTimestamp ge {start} and eventTimestamp le {end}");
        // One of these decides, in this order, as in Azure's.
        let subject = [
            ("--correlation-id", "correlationId"),
            ("--resource-group", "resourceGroupName"),
            ("--resource-id", "resourceId"),
            ("--namespace", "resourceProvider"),
        ];
        let subject = subject.into_iter().find(|(key, _)| args.text(key).is_some());
        for (key, label) in subject.into_iter().chain([("--caller", "caller"), ("--status", "status")]) {
            if let Some(value) = args.text(key) {
                filter.push_str(&format!(" and {label} eq '{}'", value.replace('\'', "''")));
            }
        }
        let values = "providers/Microsoft.Insights/eventtypes/management/values";
        let mut path = format!("{}/{values}?$filter={}", context.subscription_path()?, query_value(&filter));
        if let Some(select) = args.list("--select") {
            path.push_str(&format!("&$select={}", query_value(&select.join(","))));
        }
        let most = args.integer("--max-events").and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let mut found = context.arm_list_some(&path, versions::ACTIVITY, most).await?;
        found.truncate(most);
        Ok(Output::with_columns(Value::Array(found), COLUMNS))
    })
}

fn categories<'a>(context: &'a mut Context<'_>, _args: &'a Args) -> Task<'a> {
    Box::pin(async move {
        let found = context.arm_list("/providers/Microsoft.Insights/eventcategories", versions::ACTIVITY).await?;
        Ok(Value::Array(found).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::az::scripted::{Answer, Scripted};
    use serde_json::json;

    #[test]
    fn offsets() {
        for (text, seconds) in [("6h", 21_600), ("1d12h", 129_600), ("90m", 5400), ("1D", 86_400)] {
            assert_eq!(offset(text).unwrap().as_secs(), seconds, "{text}");
        }
        for wrong in ["", "6", "h", "-6h", "6x", "99999999999999999999d", "0h"] {
            assert!(offset(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_list_is_a_filter() {
        let server = Scripted::signed_in(|seen| {
            seen.call
                .contains("/eventtypes/management/values")
                .then(|| Answer::list(json!([{"caller": "a"}, {"caller": "b"}])))
        })
        .await;
        let words = "monitor activity-log list --resource-group rg --caller o'c --start-time 2027-01-31 --end-time 2027-02-01T00:00:00Z --max-events 1 --select caller status --query [].caller -o tsv";
        let ran = server.az(&words.split(' ').collect::<Vec<_>>()).await;
        assert_eq!((ran.code, ran.out.as_str()), (0, "a\n"), "{}", ran.err);
        let call = server.calls().pop().unwrap();
        let wanted = "eventTimestamp%20ge%202027-01-31T00%3A00%3A00Z%20and%20eventTimestamp%20le%202027-02-01T00%3A00%3A00Z%20and%20resourceGroupName%20eq%20%27rg%27%20and%20caller%20eq%20%27o%27%27c%27";
        assert!(call.contains(wanted) && call.contains("$select=caller%2Cstatus"), "{call}");
        for wrong in [&["--start-time", "yesterday"][..], &["--offset", "long"]] {
            let refused = server.az(&[&["monitor", "activity-log", "list"], wrong].concat()).await;
            assert!(refused.code == 1 && refused.err.contains("such as"), "{}", refused.err);
        }
    }
}

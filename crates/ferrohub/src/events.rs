//! `ferrohub events`: prints a hub's event log, through the server's HTTPS API.

use crate::cli::EventsArgs;
use crate::config::{Variables, default_data_dir};
use crate::output::{asking_for_the_server, notice, print};
use crate::owner::Owner;
use crate::quickstart::HUB_VERSION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::terminal::{acts, escaped, escaped_json};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Events asked for at once: ours.
const PAGE: u64 = 500;
/// Pause between two looks with `--follow`: ours.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);
/// Pause between two tries to find a server that went away: ours.
const RETURN_PAUSE: Duration = Duration::from_secs(2);

/// Prints the events; with `--follow` until the process is stopped or nobody reads, also while the server restarts.
///
/// # Errors
/// The server's error, or that there is no such hub.
pub(crate) async fn run(args: &EventsArgs, variables: &Variables) -> Result<()> {
    let data_dir = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir(variables)?,
    };
    let mut owner = Owner::sign_in(&data_dir).await?;
    let (hub, partitions) = find_hub(&owner, &args.hub).await?;
    let wanted: Vec<u16> = match args.partition {
        Some(partition) if partition >= partitions => {
            return Err(Error::invalid(format!(
                "The hub {} has the partitions 0 to {}.",
                args.hub,
                partitions.saturating_sub(1)
            )));
        }
        Some(partition) => vec![partition],
        None => (0..partitions).collect(),
    };
    let mut next: Vec<(u16, u64)> = wanted.into_iter().map(|partition| (partition, args.from)).collect();
    loop {
        match print_round(&owner, &hub, &mut next, args.json).await {
            Ok(()) if !args.follow => return Ok(()),
            Ok(()) => SystemClock.sleep(FOLLOW_PAUSE).await,
            Err(error) if args.follow && error.kind == ErrorKind::Unavailable => {
                notice(&format!("{} Waiting for the server.", error.message));
                owner = wait_for_server(&data_dir).await?;
                notice("The server is back.");
            }
            Err(error) => return Err(asking_for_the_server(error)),
        }
    }
}

/// Signs in again once the server is there; a restart may have given it other ports.
async fn wait_for_server(data_dir: &Path) -> Result<Owner> {
    loop {
        SystemClock.sleep(RETURN_PAUSE).await;
        match Owner::sign_in(data_dir).await {
            Err(error) if error.kind == ErrorKind::Unavailable => {}
            outcome => return outcome,
        }
    }
}

/// Prints what is new in every partition; `next` holds the partitions, each with the next number to print.
async fn print_round(owner: &Owner, hub: &str, next: &mut [(u16, u64)], as_json: bool) -> Result<()> {
    for (partition, from) in next {
        print_partition(owner, hub, *partition, from, as_json).await?;
    }
    Ok(())
}

/// Prints what a partition holds from the sequence number `from` on, which moves with every event printed.
async fn print_partition(owner: &Owner, hub: &str, partition: u16, from: &mut u64, as_json: bool) -> Result<()> {
    loop {
        let body = json!({ "partition": partition, "fromSequence": *from, "maxEvents": PAGE });
        let answer = owner.post(&format!("{hub}/readEvents"), HUB_VERSION, Some(&body)).await?;
        let events = answer["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        for event in events {
            print(&if as_json { escaped_json(&event.to_string(), &[]) } else { text(event) })?;
            let sequence = event["sequenceNumber"].as_u64();
            *from = sequence.ok_or_else(|| Error::internal("an event has no sequence number"))?.saturating_add(1);
        }
        if events.is_empty() {
            return Ok(());
        }
    }
}

/// Resource id and number of partitions of the hub called `name`.
async fn find_hub(owner: &Owner, name: &str) -> Result<(String, u16)> {
    let mut path = format!("/subscriptions/{}/providers/Microsoft.Devices/IotHubs", owner.subscription());
    let mut known = Vec::new();
    loop {
        let page = owner.get(&path, HUB_VERSION).await?.unwrap_or(Value::Null);
        for hub in page["value"].as_array().into_iter().flatten() {
            let (Some(id), Some(found)) = (hub["id"].as_str(), hub["name"].as_str()) else { continue };
            if found.eq_ignore_ascii_case(name) {
                let partitions =
                    hub["properties"]["eventHubEndpoints"]["events"]["partitionCount"].as_u64().unwrap_or(0);
                return Ok((id.to_owned(), u16::try_from(partitions).unwrap_or(u16::MAX)));
            }
            known.push(found.to_owned());
        }
        match page["nextLink"].as_str().and_then(rest_of_link) {
            Some(next) => path = next,
            None => break,
        }
    }
    let there = if known.is_empty() { "there are none".to_owned() } else { format!("there are: {}", known.join(", ")) };
    Err(Error::not_found(format!("There is no hub named '{name}'; {there}.")))
}

/// Path and query of a page link, without its api-version (every request brings its own).
fn rest_of_link(link: &str) -> Option<String> {
    let uri: http::Uri = link.parse().ok()?;
    let query: Vec<&str> = uri.query()?.split('&').filter(|pair| !pair.starts_with("api-version=")).collect();
    Some(format!("{}?{}", uri.path(), query.join("&")))
}

/// One event as one line.
fn text(event: &Value) -> String {
    let word = |name: &str| match &event[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let system = &event["systemProperties"];
    let device = system["iothub-connection-device-id"].as_str().unwrap_or("-");
    let mut properties = Vec::new();
    for (mark, map) in [("$.", system), ("", &event["applicationProperties"])] {
        for (name, value) in map.as_object().into_iter().flatten() {
            if !name.starts_with("iothub-") {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                properties.push(format!("{mark}{name}={value}"));
            }
        }
    }
    escaped(&format!(
        "partition {}  sequence {}  offset {}  {}  {device}  {{{}}}  {}",
        word("partition"),
        word("sequenceNumber"),
        word("offset"),
        word("enqueuedTimeUtc"),
        properties.join(", "),
        body(event["body"].as_str().unwrap_or(""))
    ))
}

/// The body as text where it is printable, else its base64 with a mark.
fn body(encoded: &str) -> String {
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        Some(text) if !text.chars().any(acts) => text,
        _ => format!("base64:{encoded}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = json!({
            "partition": 2, "sequenceNumber": 7, "offset": "4096", "enqueuedTimeUtc": "2026-11-20T16:00:00.0000000Z",
            "systemProperties": {"iothub-connection-device-id": "Pump:1", "content-type": "application/json"},
            "applicationProperties": {"level": "high", "flag": null},
            "body": STANDARD.encode(r#"{"t":1}"#),
        });
        assert_eq!(
            text(&event),
            "partition 2  sequence 7  offset 4096  2026-11-20T16:00:00.0000000Z  Pump:1  \
             {$.content-type=application/json, level=high, flag=null}  {\"t\":1}"
        );
    }

    #[test]
    fn what_a_device_chose_cannot_write_a_second_line_or_steer_the_terminal() {
        let evil = "\u{1b}[31mRED\npartition 0  sequence 99\u{9b}2J\u{202e}";
        let event = json!({
            "partition": 0, "sequenceNumber": 1, "offset": "0", "enqueuedTimeUtc": "t",
            "systemProperties": {"iothub-connection-device-id": evil, "content-type": evil},
            "applicationProperties": {"evil": evil, evil: "x"},
            "body": STANDARD.encode("x"),
        });
        let line = text(&event);
        assert!(!line.chars().any(acts), "{line:?}");
        assert!(line.contains(r"evil=\u{1b}[31mRED\npartition 0  sequence 99\u{9b}2J\u{202e}"), "{line}");
        let line = escaped_json(&event.to_string(), &[]);
        assert!(!line.chars().any(acts), "{line:?}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), event);
    }

    #[test]
    fn bodies_that_are_no_text_stay_base64() {
        assert_eq!(body(&STANDARD.encode("plain")), "plain");
        for bytes in [&b"two\nlines"[..], &[0xff, 0x00]] {
            assert!(body(&STANDARD.encode(bytes)).starts_with("base64:"));
        }
    }

    #[test]
    fn page_links() {
        let rest = rest_of_link("https://localhost:8443/subscriptions/s/x?api-version=1&$skiptoken=abc").unwrap();
        assert_eq!(rest, "/subscriptions/s/x?$skiptoken=abc");
    }
}

//! Faults that a device asks for, as the SDKs' own suites do to see how they recover (reference: e2e-cases.md). A message asks by
//! its properties, on hubs whose tag allows it; there it is no telemetry and is not stored.

use ferrohub_model::clock::{Clock, Moment};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::FAULT_SECONDS;
use ferrohub_service::hub::Telemetry;
use std::time::Duration;

const TYPE: &str = "AzIoTHub_FaultOperationType";
const DELAY: &str = "AzIoTHub_FaultOperationDelayInSecs";
const DURATION: &str = "AzIoTHub_FaultOperationDurationInSecs";

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection breaks off.
    Kill,
    /// The server closes it in order.
    ShutDown,
    /// Nothing is read for this time, and so nothing acknowledged.
    Throttle(Duration),
}

/// A fault and how long it lets wait for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    fault: Fault,
    delay: Duration,
}

/// The fault that a message asks for, if it asks for one.
///
/// # Errors
/// `Invalid` for a fault that a connection of MQTT cannot have, and for a time that is none.
pub(super) fn asked(message: &Telemetry) -> Result<Option<Asked>> {
    let property = |name: &str| {
        let found = message.application.iter().find(|(given, _)| given == name);
        found.and_then(|(_, value)| value.as_deref())
    };
    let Some(word) = property(TYPE) else { return Ok(None) };
    let delay = seconds(DELAY, property(DELAY))?;
    let fault = match word {
        "KillTcp" => Fault::Kill,
        "ShutDownMqtt" => Fault::ShutDown,
        "InvokeThrottling" => Fault::Throttle(seconds(DURATION, property(DURATION))?),
        _ => {
            return Err(Error::invalid(format!(
                "{TYPE} is none of KillTcp, ShutDownMqtt and InvokeThrottling, which are what a connection of MQTT can have"
            )));
        }
    };
    Ok(Some(Asked { fault, delay }))
}

/// Seconds as C#, Java, Node and C write them, `5` or `0.5`; none are none.
fn seconds(name: &str, text: Option<&str>) -> Result<Duration> {
    let seconds = text.map_or(Some(0.0), |text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| (0.0..=FAULT_SECONDS).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| Error::invalid(format!("{name} is not a number of seconds between 0 and {FAULT_SECONDS}")))
}

/// The faults of one connection: what comes next, and whether one is on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    next: Option<(Moment, Fault)>,
    throttled_until: Option<Moment>,
}

impl Faults {
    /// Whether nothing may be read now.
    pub(super) fn holds(&self) -> bool {
        self.throttled_until.is_some()
    }

    /// Plans what was asked for; a newer wish takes the place of one that has not come yet.
    pub(super) fn plan(&mut self, asked: Asked, now: Moment) {
        self.next = Some((now + asked.delay, asked.fault));
    }

    /// Waits until a fault begins or ends; for ever where none is planned.
    pub(super) async fn due(&self, clock: &dyn Clock) {
        let next = self.next.map(|(at, _)| at);
        match [next, self.throttled_until].into_iter().flatten().min() {
            Some(at) => clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Carries out what is due; gives the fault that ends the connection, if it does.
    pub(super) fn turn(&mut self, now: Moment) -> Option<Fault> {
        if self.throttled_until.is_some_and(|until| now >= until) {
            self.throttled_until = None;
        }
        let (_, fault) = self.next.take_if(|(at, _)| now >= *at)?;
        if let Fault::Throttle(time) = fault {
            self.throttled_until = Some(now + time);
            return None;
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(properties: &[(&str, &str)]) -> Telemetry {
        let application = properties.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        Telemetry { application: application.collect(), ..Telemetry::default() }
    }

    #[test]
    fn what_the_suites_send() {
        assert_eq!(asked(&message(&[("level", "hot")])).unwrap(), None);
        let of = |word, delay, time| asked(&message(&[(TYPE, word), (DELAY, delay), (DURATION, time)]));
        let second = Duration::from_secs(1);
        assert_eq!(of("KillTcp", "1", "5").unwrap(), Some(Asked { fault: Fault::Kill, delay: second }));
        assert_eq!(of("ShutDownMqtt", "0.5", "5").unwrap(), Some(Asked { fault: Fault::ShutDown, delay: second / 2 }));
        let throttled = Asked { fault: Fault::Throttle(second * 5), delay: Duration::ZERO };
        assert_eq!(asked(&message(&[(TYPE, "InvokeThrottling"), (DURATION, "5")])).unwrap(), Some(throttled));
        for (word, delay, time) in [
            ("KillAmqpSession", "1", "5"),
            ("", "1", "5"),
            ("KillTcp", "soon", "5"),
            ("KillTcp", "-1", "5"),
            ("KillTcp", "NaN", "5"),
            ("KillTcp", "1e9", "5"),
            ("InvokeThrottling", "1", "inf"),
        ] {
            assert_eq!(of(word, delay, time).unwrap_err().http_status(), 400, "{word} {delay} {time}");
        }
    }
}

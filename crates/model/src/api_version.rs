//! Azure api-versions: `YYYY-MM-DD`, optionally with a suffix such as `-preview`; and those of the data planes.

use crate::error::{Error, Result};
use std::cmp::Ordering;

/// A syntactically valid api-version. Ordered by date; a preview stands before the stable one of its day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// Parses `2026-03-01` or `2026-03-01-preview` (any case).
    ///
    /// # Errors
    /// `InvalidApiVersionParameter` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        let (date, suffix) = match lower.get(..10) {
            Some(date) => (date, &lower[10..]),
            None => ("", ""),
        };
        let digits_ok = date.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
        let suffix_ok = suffix.is_empty()
            || suffix.strip_prefix('-').is_some_and(|s| {
                !s.is_empty() && s.len() <= 20 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        if date.len() != 10 || !digits_ok || !suffix_ok {
            let shown: String = text.chars().take(40).collect();
            return Err(Error::invalid(format!(
                "The api-version '{shown}' is invalid. It has the form '2026-03-01' or '2026-03-01-preview'."
            ))
            .with_code("InvalidApiVersionParameter"));
        }
        Ok(Self(lower))
    }

    /// The lower-cased text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The date part, `YYYY-MM-DD`.
    pub fn date(&self) -> &str {
        &self.0[..10]
    }

    /// The order of this version and one that a type declares, which is well-formed and in lower case.
    pub fn cmp_declared(&self, declared: &str) -> Ordering {
        rank(&self.0).cmp(&rank(declared))
    }

    /// Whether the version has a suffix such as `-preview`.
    pub fn is_preview(&self) -> bool {
        self.0.len() > 10
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The api-versions of one data plane, oldest first. All are served in one shape; what only some know is said where it is read.
#[derive(Debug)]
pub struct DataPlane {
    /// What serves them, for the refusal.
    pub name: &'static str,
    /// The versions, in lower case.
    pub served: &'static [&'static str],
}

/// The versions of both data planes. Clients mix them (a device registers with the version that it speaks to its hub), so
/// each plane takes the other's as well (reference: iot-hub-and-dps.md C, D.1, D.5 and E; certificates.md, the table of versions).
const DATA_PLANES: &[&str] = &[
    "2016-02-03",
    "2016-11-14",
    "2017-06-30",
    "2017-11-08-preview",
    "2017-11-15",
    "2018-04-01",
    "2018-06-30",
    "2018-08-30-preview",
    "2018-09-01-preview",
    "2018-11-01",
    "2019-01-15",
    "2019-03-30",
    "2019-03-31",
    "2019-07-01-preview",
    "2019-10-01",
    "2020-03-01",
    "2020-03-13",
    "2020-05-31-preview",
    "2020-09-30",
    "2021-04-12",
    "2021-06-01",
    "2021-10-01",
    "2021-11-01-preview",
    "2024-03-31",
    "2025-07-01-preview",
    "2025-08-01-preview",
    "2026-07-01-preview",
    "2026-10-01-preview",
    "2026-11-01-preview",
    "2026-11-01",
    "2026-11-02-preview",
    "2026-11-15-preview",
];

/// IoT Hub: its service API, its device API and the user name of MQTT.
pub static HUB: DataPlane = DataPlane { name: "IoT Hub", served: DATA_PLANES };

/// The Device Provisioning Service: its service API, its device API and the user name of MQTT.
pub static PROVISIONING: DataPlane = DataPlane { name: "the Device Provisioning Service", served: DATA_PLANES };

impl DataPlane {
    /// Refuses a version that this plane does not serve. A missing one is allowed: old devices leave it out.
    ///
    /// # Errors
    /// `InvalidProtocolVersion` (400001), naming what is served.
    pub fn check(&self, given: Option<&str>) -> Result<()> {
        let Some(given) = given else { return Ok(()) };
        if self.served.iter().any(|served| served.eq_ignore_ascii_case(given)) {
            return Ok(());
        }
        let shown: String = given.chars().filter(|c| !c.is_control()).take(40).collect();
        Err(Error::invalid(format!(
            "The api-version '{shown}' is not one of {}. Served are: {}.",
            self.name,
            self.served.join(", ")
        ))
        .with_code("InvalidProtocolVersion")
        .with_iot_code(400_001))
    }
}

/// What versions are ordered by: the date, previews before the stable one, the text.
fn rank(text: &str) -> (&str, bool, &str) {
    (text.get(..10).unwrap_or(text), text.len() <= 10, text)
}

impl PartialOrd for ApiVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ApiVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        rank(&self.0).cmp(&rank(&other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_syntax() {
        let v = |t: &str| ApiVersion::parse(t).unwrap();
        assert!(v("2025-11-01-preview") < v("2025-11-01"));
        assert!(v("2025-11-01") < v("2026-03-01-preview"));
        assert_eq!(v("2025-11-01-PREVIEW").cmp_declared("2025-11-01"), Ordering::Less);
        assert_eq!(v("2026-03-01-preview").cmp_declared("2026-03-01-preview"), Ordering::Equal);
        for bad in ["", "2025", "2025-1-01", "2025-11-01preview", "2025-11-01-", "é025-11-01"] {
            assert_eq!(ApiVersion::parse(bad).unwrap_err().code, "InvalidApiVersionParameter", "{bad}");
        }
    }

    #[test]
    fn data_planes_name_what_they_serve() {
        for plane in [&HUB, &PROVISIONING] {
            plane.check(None).unwrap();
            for served in plane.served {
                assert_eq!(ApiVersion::parse(served).unwrap().as_str(), *served);
                plane.check(Some(&served.to_ascii_uppercase())).unwrap();
            }
            let order: Vec<_> = plane.served.iter().map(|served| ApiVersion::parse(served).unwrap()).collect();
            assert!(order.is_sorted(), "{}", plane.name);
            for unknown in ["", "2021-04-13", "2099-01-01", "2021-04-12-preview", "latest", "2021-04-12\r\nX: y"] {
                let error = plane.check(Some(unknown)).unwrap_err();
                assert_eq!((error.numeric_code(), error.code), (400_001, "InvalidProtocolVersion"), "{unknown}");
                assert!(error.message.contains(plane.served[0]) && !error.message.contains('\n'), "{}", error.message);
            }
        }
    }
}

//! Ids of IoT Plug and Play models: digital twin model identifiers (DTMI).

use crate::device::argument_invalid;
use crate::error::Result;
use crate::limits::MODEL_ID_CHARS;

/// Checks `dtmi:{path}[;{version}]`: segments of letters, digits and `_` between colons, the version `1` or `1.2`, 128 characters at
/// most (DTDL versions 2 and 3).
///
/// # Errors
/// `ArgumentInvalid` (400004) with the form.
pub fn check_model_id(text: &str) -> Result<()> {
    let parts = text.strip_prefix("dtmi:").filter(|_| text.len() <= MODEL_ID_CHARS);
    let legal = parts.is_some_and(|rest| {
        let (path, version) = rest.split_once(';').map_or((rest, None), |(path, version)| (path, Some(version)));
        path.split(':').all(is_segment) && version.is_none_or(is_version)
    });
    if legal {
        return Ok(());
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(MODEL_ID_CHARS).collect();
    Err(argument_invalid(format!(
        "The model id '{shown}' is not a DTMI such as 'dtmi:com:example:Thermostat;1' of at most {MODEL_ID_CHARS} characters."
    )))
}

fn is_segment(segment: &str) -> bool {
    segment.starts_with(|c: char| c.is_ascii_alphabetic())
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !segment.ends_with('_')
}

fn is_version(version: &str) -> bool {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let number = |text: &str, digits: usize| {
        (1..=digits).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
    };
    number(major, 9) && major != "0" && number(minor, 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtmis() {
        for good in ["dtmi:com:example:Thermostat;1", "dtmi:a;999999999", "dtmi:azure_iot:b2:c;1.0", "dtmi:com:example"]
        {
            check_model_id(good).unwrap();
        }
        let longest = format!("dtmi:{};1", "a".repeat(121));
        let long = format!("dtmi:{};1", "a".repeat(122));
        for bad in [
            "",
            "dtmi:",
            "dtmi:;1",
            "DTMI:a;1",
            "a;1",
            "dtmi:1a;1",
            "dtmi:a_;1",
            "dtmi:a::b;1",
            "dtmi:a;0",
            "dtmi:a;01",
            "dtmi:a;",
            "dtmi:a b;1",
            "dtmi:a;1\n",
            &long,
        ] {
            let error = check_model_id(bad).unwrap_err();
            assert_eq!(error.numeric_code(), 400_004, "{bad}");
            assert!(!error.message.contains('\n'));
        }
        check_model_id(&longest).unwrap();
    }
}

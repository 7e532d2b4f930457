//! Device and registration ids, and the ADR name that stands for a device id.

use crate::error::{Error, Result};
use crate::limits::DEVICE_ID_CHARS;

/// Checks a hub device id: 1 to 128 ASCII letters, digits and ``- . % _ * ? ! ( ) , : = @ $ '`` (IoT Hub docs). Case matters.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the rule.
pub fn check_device_id(id: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-.%_*?!(),:=@$'".contains(c);
    if id.is_empty() || id.len() > DEVICE_ID_CHARS || !id.chars().all(legal) {
        return Err(Error::invalid(format!(
            "The device id '{}' is not valid: 1 to 128 ASCII letters, digits and -.%_*?!(),:=@$' are allowed.",
            id.chars().take(DEVICE_ID_CHARS).collect::<String>()
        ))
        .with_code("ArgumentInvalid")
        .with_iot_code(400_004));
    }
    Ok(())
}

/// Checks a DPS registration id: 1 to 128 letters, digits, `-._:`, ending in a letter, digit or dash (DPS docs). Compared ignoring case.
///
/// # Errors
/// `ArgumentInvalid` (400004) naming the rule.
pub fn check_registration_id(id: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let last_ok = id.chars().last().is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
    if id.len() > DEVICE_ID_CHARS || !id.chars().all(legal) || !last_ok {
        return Err(Error::invalid(format!(
            "The registration id '{}' is not valid: 1 to 128 letters, digits, '-', '.', '_' and ':' are allowed, and the last one is a letter, a digit or '-'.",
            id.chars().take(DEVICE_ID_CHARS).collect::<String>()
        ))
        .with_code("ArgumentInvalid")
        .with_iot_code(400_004));
    }
    Ok(())
}

/// Whether `name` is a legal ADR device name: `^[0-9a-zA-Z][a-zA-Z0-9-]*$`, 3 to 63 characters.
pub fn is_registry_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// The slug part of an ADR name for a device id that is not a legal name: illegal characters become '-',
/// at most 50 characters; the caller appends `-` and a hash to keep it unique.
pub fn registry_slug(device_id: &str) -> String {
    let mut slug: String =
        device_id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(50).collect();
    if !slug.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        slug.insert(0, 'd');
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids() {
        for good in ["d", "Pump:0042", "a.b_c-d", &"x".repeat(128)] {
            assert!(check_device_id(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(129)] {
            assert_eq!(check_device_id(bad).unwrap_err().numeric_code(), 400_004, "{bad}");
        }
    }

    #[test]
    fn registration_ids_end_in_a_letter_digit_or_dash() {
        assert!(check_registration_id("sn-007.a:b_c-").is_ok());
        assert!(check_registration_id("sn_").is_err());
        assert!(check_registration_id("").is_err());
    }

    #[test]
    fn slugs_are_legal_names() {
        for id in ["Pump:0042", ":::", "a", &"é".repeat(3), &"x.".repeat(64)] {
            assert!(is_registry_name(&format!("{}-0123456789", registry_slug(id))), "{id}");
        }
    }
}

//! Role definitions and assignments, and how an action matches a pattern.

use serde::{Deserialize, Serialize};

/// One permission entry: `actions` minus `notActions`, and the same for data actions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Permission {
    /// Control-plane patterns that are granted.
    pub actions: Vec<String>,
    /// Control-plane patterns taken away again from `actions` of this entry.
    pub not_actions: Vec<String>,
    /// Data-plane patterns that are granted.
    pub data_actions: Vec<String>,
    /// Data-plane patterns taken away again from `data_actions` of this entry.
    pub not_data_actions: Vec<String>,
}

impl Permission {
    /// Whether this entry grants the control action.
    pub fn grants(&self, action: &str) -> bool {
        self.actions.iter().any(|p| action_matches(p, action))
            && !self.not_actions.iter().any(|p| action_matches(p, action))
    }

    /// Whether this entry grants the data action.
    pub fn grants_data(&self, action: &str) -> bool {
        self.data_actions.iter().any(|p| action_matches(p, action))
            && !self.not_data_actions.iter().any(|p| action_matches(p, action))
    }
}

/// Whether `pattern` covers `action`: ignoring case, `*` stands for any text including '/'.
pub fn action_matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.trim().to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| action.strip_prefix(head)) else {
        return false;
    };
    let mut last: Option<&str> = None;
    for part in parts {
        if let Some(middle) = last {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
        last = Some(part);
    }
    match last {
        Some(tail) => rest.ends_with(tail),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, action, want) in [
            ("*", "Microsoft.Devices/IotHubs/write", true),
            ("*/read", "Microsoft.Devices/IotHubs/read", true),
            ("*/read", "Microsoft.Devices/IotHubs/write", false),
            ("microsoft.devices/iothubs/*", "Microsoft.Devices/IotHubs/certificates/write", true),
            ("Microsoft.Authorization/*/Write", "Microsoft.Authorization/roleAssignments/write", true),
            ("Microsoft.Devices/IotHubs/read", "Microsoft.Devices/IotHubs/read/x", false),
            (
                "Microsoft.DeviceRegistry/namespaces/devices/write ",
                "microsoft.deviceregistry/namespaces/devices/write",
                true,
            ),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(action_matches(pattern, action), want, "{pattern} {action}");
        }
    }

    #[test]
    fn not_actions_take_away_from_their_own_entry_only() {
        let entry =
            Permission { actions: vec!["*".into()], not_actions: vec!["X/*/write".into()], ..Permission::default() };
        assert!(entry.grants("X/y/read") && !entry.grants("x/y/Write") && !entry.grants_data("X/y/read"));
    }
}

//! The hierarchy of IoT Edge devices: an edge device has a scope of its own, and its children name it.
//!
//! An edge device's `deviceScope` is made by the hub and never changes; its parent stands in `parentScopes`. Any other device's
//! `deviceScope` and `parentScopes` both are the scope of its parent.

use super::{DeviceIdentity, DevicePut};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::fmt;

const SCHEME: &str = "ms-azure-iot-edge://";

/// A scope: `ms-azure-iot-edge://{device id}-{generation id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeScope<'a> {
    /// Id of the edge device.
    pub device_id: &'a str,
    /// Its generation, so that a device made again under the same id has another scope.
    pub generation_id: &'a str,
}

impl<'a> EdgeScope<'a> {
    /// The scope of `device`, if it is an edge device.
    pub fn of(device: &'a DeviceIdentity) -> Option<Self> {
        device.iot_edge.then_some(Self { device_id: &device.device_id, generation_id: &device.generation_id })
    }

    /// Reads a scope; `None` for a text that is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (device_id, generation_id) = text.strip_prefix(SCHEME)?.rsplit_once('-')?;
        let numeric = !generation_id.is_empty() && generation_id.bytes().all(|byte| byte.is_ascii_digit());
        (numeric && !device_id.is_empty()).then_some(Self { device_id, generation_id })
    }

    /// Whether it is the scope of `device`.
    pub fn is_of(&self, device: &DeviceIdentity) -> bool {
        device.iot_edge && device.device_id == self.device_id && device.generation_id == self.generation_id
    }
}

impl fmt::Display for EdgeScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}-{}", self.device_id, self.generation_id)
    }
}

/// What a device and its twin show of the hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// `deviceScope`.
    pub device: Option<String>,
    /// `parentScopes`.
    pub parents: Vec<String>,
}

impl DeviceIdentity {
    /// What it shows under a parent with the scope `parent`.
    pub fn scopes(&self, parent: Option<&str>) -> Scopes {
        let parents: Vec<String> = parent.map(str::to_owned).into_iter().collect();
        match EdgeScope::of(self) {
            Some(own) => Scopes { device: Some(own.to_string()), parents },
            None => Scopes { device: parents.first().cloned(), parents },
        }
    }
}

impl Scopes {
    /// Adds the members to the view of a device or a twin; a device outside of any hierarchy has none.
    pub fn show(&self, view: &mut Value) {
        if let Some(scope) = &self.device {
            view["deviceScope"] = json!(scope);
            view["parentScopes"] = json!(self.parents);
        }
    }
}

/// What a PUT says about the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentWish<'a> {
    /// Nothing: it stays.
    Keep,
    /// None any more.
    Nobody,
    /// The edge device with this scope.
    Scope(&'a str),
}

/// What `wanted` says about the parent of `device`, which is as it will stand and shows `shown` today. What is sent back as it
/// was read says nothing, so a new `deviceScope` decides beside a former list, as az sends them. An empty list beside a
/// `deviceScope` says nothing either: C# always sends a list.
///
/// # Errors
/// `InvalidDeviceScope` (400028) for another scope of an edge device itself, and for a parent that the two members tell differently.
pub fn wanted_parent<'a>(device: &DeviceIdentity, wanted: &'a DevicePut, shown: &Scopes) -> Result<ParentWish<'a>> {
    let scope = wanted.device_scope.as_deref();
    let listed = wanted.parent_scopes.as_deref().map(|parents| parents.first().map_or("", String::as_str));
    let new_scope = scope.filter(|scope| *scope != shown.device.as_deref().unwrap_or_default());
    let new_listed = listed.filter(|listed| *listed != shown.parents.first().map_or("", String::as_str));
    let named = match (device.iot_edge, new_scope, new_listed) {
        (true, Some(scope), _) => {
            return Err(invalid_scope(format!(
                "The member 'deviceScope' of an IoT Edge device is made by the hub and cannot be '{}'; its parent goes into 'parentScopes'.",
                cut(scope)
            )));
        }
        (true, None, listed) => listed,
        (false, _, Some(listed)) if !listed.is_empty() && scope.is_some_and(|scope| scope != listed) => {
            return Err(invalid_scope(
                "The members 'deviceScope' and 'parentScopes' name different parents; give the same scope in both, or leave one out."
                    .to_owned(),
            ));
        }
        (false, Some(scope), _) => Some(scope),
        (false, None, listed) => listed.filter(|listed| !listed.is_empty() || scope.is_none()),
    };
    Ok(match named {
        None => ParentWish::Keep,
        Some("") => ParentWish::Nobody,
        Some(scope) => ParentWish::Scope(scope),
    })
}

/// IoT Hub's refusal of a scope: `InvalidDeviceScope` (400028).
pub fn invalid_scope(message: String) -> Error {
    Error::invalid(message).with_code("InvalidDeviceScope").with_iot_code(400_028)
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

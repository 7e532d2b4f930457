//! ARM resource ids: parsed ignoring case, printed with the case they came in.

use crate::error::{Error, Result};
use crate::limits::RESOURCE_ID_CHARS;

/// One `type/name` step of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Type segment such as `namespaces`.
    pub kind: String,
    /// Name as the client wrote it.
    pub name: String,
}

/// The provider part of an id: a namespace and one or more type/name pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Provider namespace such as `Microsoft.Devices`.
    pub namespace: String,
    /// Type and name pairs, outermost first; never empty.
    pub segments: Vec<Segment>,
}

/// An ARM resource id: a subscription, a resource group, a resource in it, or an extension of any of those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceId {
    /// Subscription id; `None` at tenant scope.
    pub subscription: Option<String>,
    /// Resource group name.
    pub resource_group: Option<String>,
    /// Provider parts: the resource, then any extension resources on it.
    pub providers: Vec<Provider>,
}

impl ResourceId {
    /// Parses an id with or without its leading '/'.
    ///
    /// # Errors
    /// `InvalidResourceId` naming the id and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.strip_prefix('/').unwrap_or(text).split('/').collect();
        let mut id = Self { subscription: None, resource_group: None, providers: Vec::new() };
        let mut rest = parts.as_slice();
        if text.len() > RESOURCE_ID_CHARS || text.is_empty() {
            return Err(malformed(text, &format!("it is empty or longer than {RESOURCE_ID_CHARS} characters")));
        }
        if text == "/" {
            return Ok(id);
        }
        if let [word, subscription, tail @ ..] = rest
            && word.eq_ignore_ascii_case("subscriptions")
        {
            id.subscription = Some(checked_name(text, subscription)?);
            rest = tail;
            if let [word, group, tail @ ..] = rest
                && word.eq_ignore_ascii_case("resourceGroups")
            {
                id.resource_group = Some(checked_name(text, group)?);
                rest = tail;
            }
        }
        while let [word, namespace, tail @ ..] = rest {
            if !word.eq_ignore_ascii_case("providers") {
                return Err(malformed(text, &format!("'providers' is expected where '{word}' stands")));
            }
            let (provider, tail) = parse_provider(text, namespace, tail)?;
            id.providers.push(provider);
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(malformed(text, &format!("the part '{}' has no partner", rest.join("/"))));
        }
        Ok(id)
    }

    /// Full type such as `Microsoft.DeviceRegistry/namespaces/credentials`; resource groups and
    /// subscriptions answer with their ARM types, the tenant with an empty text.
    pub fn resource_type(&self) -> String {
        match self.providers.last() {
            Some(provider) => {
                let kinds: Vec<&str> = provider.segments.iter().map(|s| s.kind.as_str()).collect();
                format!("{}/{}", provider.namespace, kinds.join("/"))
            }
            None if self.resource_group.is_some() => "Microsoft.Resources/resourceGroups".into(),
            None if self.subscription.is_some() => "Microsoft.Resources/subscriptions".into(),
            None => String::new(),
        }
    }

    /// Last name of the id; empty at tenant scope.
    pub fn name(&self) -> &str {
        match self.providers.last().and_then(|p| p.segments.last()) {
            Some(segment) => &segment.name,
            None => self.resource_group.as_deref().or(self.subscription.as_deref()).unwrap_or(""),
        }
    }

    /// The id one step up: the parent resource, the extended scope, the group, the subscription, the tenant.
    /// `None` at tenant scope.
    pub fn parent(&self) -> Option<Self> {
        let mut up = self.clone();
        if let Some(provider) = up.providers.last_mut() {
            if provider.segments.len() > 1 {
                provider.segments.pop();
            } else {
                up.providers.pop();
            }
            return Some(up);
        }
        if up.resource_group.take().is_some() || up.subscription.take().is_some() {
            return Some(up);
        }
        None
    }

    /// The id one type/name deeper: `child("credentials", "default")`.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str) -> Self {
        let mut id = self.clone();
        if let Some(provider) = id.providers.last_mut() {
            provider.segments.push(Segment { kind: kind.into(), name: name.into() });
        }
        id
    }

    /// An extension resource on this scope, or a resource in this group.
    #[must_use]
    pub fn resource(&self, namespace: &str, kind: &str, name: &str) -> Self {
        let mut id = self.clone();
        id.providers.push(Provider {
            namespace: namespace.into(),
            segments: vec![Segment { kind: kind.into(), name: name.into() }],
        });
        id
    }

    /// The id of the subscription `subscription`.
    pub fn subscription(subscription: &str) -> Self {
        Self { subscription: Some(subscription.into()), resource_group: None, providers: Vec::new() }
    }

    /// The id of a resource group.
    pub fn group(subscription: &str, group: &str) -> Self {
        Self { subscription: Some(subscription.into()), resource_group: Some(group.into()), providers: Vec::new() }
    }

    /// The key under which the id is stored and compared: lower case, leading '/'.
    pub fn key(&self) -> String {
        let mut text = self.to_string();
        // Names may hold any letters, but mostly do not.
        if text.is_ascii() {
            text.make_ascii_lowercase();
            return text;
        }
        text.to_lowercase()
    }

    /// Whether `self` is `other` or lies below it (compared by segment, ignoring case).
    pub fn is_within(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.key(), other.key());
        theirs == "/"
            || mine == theirs
            || (mine.starts_with(&theirs) && mine.as_bytes().get(theirs.len()) == Some(&b'/'))
    }

    /// Whether both ids mean the same resource.
    pub fn same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.subscription.is_none() && self.providers.is_empty() {
            return f.write_str("/");
        }
        let mut write = |texts: &[&str]| texts.iter().try_for_each(|text| f.write_str(text));
        if let Some(subscription) = &self.subscription {
            write(&["/subscriptions/", subscription])?;
        }
        if let Some(group) = &self.resource_group {
            write(&["/resourceGroups/", group])?;
        }
        for provider in &self.providers {
            write(&["/providers/", &provider.namespace])?;
            for segment in &provider.segments {
                write(&["/", &segment.kind, "/", &segment.name])?;
            }
        }
        Ok(())
    }
}

fn parse_provider<'a, 'b>(text: &str, namespace: &str, mut rest: &'b [&'a str]) -> Result<(Provider, &'b [&'a str])> {
    let mut segments = Vec::new();
    while let [kind, name, tail @ ..] = rest {
        if kind.eq_ignore_ascii_case("providers") && !segments.is_empty() {
            break;
        }
        segments.push(Segment { kind: checked_name(text, kind)?, name: checked_name(text, name)? });
        rest = tail;
    }
    if segments.is_empty() {
        return Err(malformed(text, "a provider needs a type and a name"));
    }
    Ok((Provider { namespace: checked_name(text, namespace)?, segments }, rest))
}

fn checked_name(id: &str, part: &str) -> Result<String> {
    let bad = |c: char| c.is_control() || "<>%&\\?#".contains(c);
    if part.is_empty() || part.chars().count() > 260 || part.chars().any(bad) {
        return Err(malformed(id, "every part has 1 to 260 characters and none of < > % & \\ ? #"));
    }
    Ok(part.into())
}

fn malformed(id: &str, why: &str) -> Error {
    let shown: String = id.chars().take(200).collect();
    Error::invalid(format!("The resource id '{shown}' is malformed: {why}.")).with_code("InvalidResourceId")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_every_shape() {
        for (text, kind, name) in [
            ("/subscriptions/s", "Microsoft.Resources/subscriptions", "s"),
            ("/subscriptions/s/resourcegroups/g", "Microsoft.Resources/resourceGroups", "g"),
            (
                "subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/h",
                "Microsoft.Devices/IotHubs",
                "h",
            ),
            ("/subscriptions/s/resourceGroups/g/providers/A.B/c/d/e/f/providers/X.Y/z/1", "X.Y/z", "1"),
            ("/providers/A.B/c/d", "A.B/c", "d"),
        ] {
            let id = ResourceId::parse(text).unwrap();
            assert_eq!((id.resource_type().as_str(), id.name()), (kind, name));
        }
    }

    #[test]
    fn parents_and_containment() {
        let id = ResourceId::parse("/subscriptions/S/resourceGroups/G/providers/A.B/c/d/e/f").unwrap();
        let chain: Vec<String> =
            std::iter::successors(Some(id.clone()), ResourceId::parent).map(|i| i.to_string()).collect();
        assert_eq!(chain.len(), 5);
        assert_eq!(chain[4], "/");
        assert!(id.is_within(&ResourceId::group("s", "g")));
        assert!(!ResourceId::group("s", "gg").is_within(&ResourceId::group("s", "g")));
    }

    #[test]
    fn refuses_malformed_ids() {
        for bad in [
            "",
            "x",
            "/subscriptions",
            "/subscriptions//resourceGroups/x",
            "/subscriptions/s/providers/A.B",
            "/subscriptions/s/resourceGroups/g/providers/A.B/c",
            "/a/b",
        ] {
            assert_eq!(ResourceId::parse(bad).unwrap_err().code, "InvalidResourceId", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "[/a-zA-Z.%é]{0,80}") {
            if let Ok(id) = ResourceId::parse(&text) {
                prop_assert_eq!(ResourceId::parse(&id.to_string()).unwrap(), id);
            }
        }
    }
}

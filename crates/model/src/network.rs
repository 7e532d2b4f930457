//! From where the data plane of a hub or a provisioning service may be reached: `publicNetworkAccess`, `ipFilterRules`,
//! `minTlsVersion`.

use serde_json::{Map, Value};
use std::net::IpAddr;

/// The TLS version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tls {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Who is at the other end of a connection, as the network shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` for a caller within the program, whom no rule concerns.
    pub address: Option<IpAddr>,
    /// The version that was agreed on.
    pub tls: Tls,
}

impl Peer {
    /// The peer at `address`. An IPv4 address that IPv6 wraps is taken for what it is.
    pub fn new(address: IpAddr, tls: Tls) -> Self {
        Self { address: Some(address.to_canonical()), tls }
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self { address: None, tls: Tls::V1_3 }
    }
}

/// For which API of a provisioning service a rule is. A hub has one data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// For both.
    All,
    /// For those who manage enrollments.
    ServiceApi,
    /// For devices that register.
    DeviceApi,
}

/// Why a peer is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// `publicNetworkAccess` is `Disabled`.
    PublicNetwork,
    /// This rule rejects the address.
    Rule(String),
    /// There are only rules that accept, and none accepts the address.
    Unlisted,
    /// `minTlsVersion` is above what was agreed on.
    Tls,
}

/// A rule of `ipFilterRules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpRule {
    /// `filterName`.
    pub name: String,
    /// Whether `action` is `Accept`.
    pub accepts: bool,
    /// `ipMask`.
    pub mask: IpMask,
    /// `target`, which only rules of provisioning services have.
    pub target: Option<Target>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The member.
    pub member: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

/// Longest name of a rule (IoT Hub: 128 characters).
const NAME_CHARS: usize = 128;

impl IpRule {
    /// Reads a rule of a body.
    ///
    /// # Errors
    /// [`RuleFault`] with the member that is wrong.
    pub fn read(rule: &Value) -> Result<Self, RuleFault> {
        let text = |member: &str| rule.get(member).and_then(Value::as_str).unwrap_or_default();
        let fault = |member, rule| RuleFault { member, rule };
        let name = text("filterName");
        if name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
            return Err(fault("filterName", "A rule has a 'filterName' of 1 to 128 characters."));
        }
        let accepts = match text("action").to_ascii_lowercase().as_str() {
            "accept" => true,
            "reject" => false,
            _ => return Err(fault("action", "The action of a rule is Accept or Reject.")),
        };
        let mask = IpMask::parse(text("ipMask")).ok_or_else(|| {
            fault(
                "ipMask",
                "'ipMask' is an address or a range of them in CIDR notation, such as 203.0.113.7 or 10.0.0.0/8.",
            )
        })?;
        let target = match text("target").to_ascii_lowercase().as_str() {
            "" => None,
            "all" => Some(Target::All),
            "serviceapi" => Some(Target::ServiceApi),
            "deviceapi" => Some(Target::DeviceApi),
            _ => return Err(fault("target", "The target of a rule is all, serviceApi or deviceApi.")),
        };
        Ok(Self { name: name.to_owned(), accepts, mask, target })
    }

    fn is_for(&self, target: Target) -> bool {
        self.target.is_none_or(|own| own == Target::All || target == Target::All || own == target)
    }
}

/// An address, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpMask {
    network: IpAddr,
    bits: u8,
}

impl IpMask {
    /// Reads an address, or a range in CIDR notation; `None` where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()) => {
                (address, Some(bits.parse::<u8>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { network, bits })
    }

    /// Whether an address lies in it. `0.0.0.0/0` is every address: Azure, which has IPv4 only, says "all" with it.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.network, address) {
            _ if self.bits == 0 && self.network.is_ipv4() => true,
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                leading(u128::from(u32::from(network)) << 96, self.bits)
                    == leading(u128::from(u32::from(address)) << 96, self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                leading(u128::from(network), self.bits) == leading(u128::from(address), self.bits)
            }
            _ => false,
        }
    }
}

/// The first bits of an address.
fn leading(address: u128, bits: u8) -> u128 {
    if bits == 0 { 0 } else { address >> (128 - u32::from(bits)) }
}

/// Why a service with these properties does not let `peer` in; `None` when it does.
///
/// Rules are asked in order, and the first one that the address matches decides. An address that none matches is let in
/// where a rule rejects others, and kept out where all rules accept: they are a list of who may come.
pub fn closed_to(properties: &Map<String, Value>, peer: Peer, target: Target) -> Option<Closed> {
    let text = |member: &str| properties.get(member).and_then(Value::as_str).unwrap_or_default();
    let address = peer.address?;
    if text("minTlsVersion") == "1.3" && peer.tls < Tls::V1_3 {
        return Some(Closed::Tls);
    }
    if text("publicNetworkAccess").eq_ignore_ascii_case("Disabled") {
        return Some(Closed::PublicNetwork);
    }
    let rules = properties.get("ipFilterRules").and_then(Value::as_array)?;
    let (mut any, mut rejects) = (false, false);
    for rule in rules {
        // One that cannot be read, which no write lets in, keeps out.
        let Ok(rule) = IpRule::read(rule) else { return Some(Closed::Unlisted) };
        if !rule.is_for(target) {
            continue;
        }
        (any, rejects) = (true, rejects || !rule.accepts);
        if rule.mask.contains(address) {
            return (!rule.accepts).then_some(Closed::Rule(rule.name));
        }
    }
    (any && !rejects).then_some(Closed::Unlisted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn closed(properties: Value, address: &str, target: Target) -> Option<Closed> {
        let peer = Peer::new(address.parse().unwrap(), Tls::V1_2);
        closed_to(properties.as_object().unwrap(), peer, target)
    }

    #[test]
    fn masks() {
        for (mask, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.6"),
            ("192.168.1.0/31", "192.168.1.1", "192.168.1.2"),
            ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
            ("::1", "::1", "127.0.0.1"),
            ("::/0", "2001::1", "127.0.0.1"),
        ] {
            let mask = IpMask::parse(mask).unwrap();
            assert!(mask.contains(inside.parse().unwrap()) && !mask.contains(outside.parse().unwrap()), "{mask:?}");
        }
        let all = IpMask::parse("0.0.0.0/0").unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()) && all.contains("::1".parse().unwrap()));
        for bad in
            ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/+8", "host", "10.0.0.0/8/8", "1.2.3.4 "]
        {
            assert_eq!(IpMask::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |name: &str, action: &str, mask: &str| json!({"filterName": name, "action": action, "ipMask": mask});
        let rules = json!({"ipFilterRules": [
            rule("one", "Reject", "10.0.0.7"), rule("net", "accept", "10.0.0.0/24"), rule("rest", "REJECT", "0.0.0.0/0")
        ]});
        assert_eq!(closed(rules.clone(), "10.0.0.8", Target::All), None);
        assert_eq!(closed(rules.clone(), "::ffff:10.0.0.8", Target::All), None);
        assert_eq!(closed(rules.clone(), "10.0.0.7", Target::All), Some(Closed::Rule("one".into())));
        assert_eq!(closed(rules, "::1", Target::All), Some(Closed::Rule("rest".into())));
        let rejecting = json!({"ipFilterRules": [rule("one", "Reject", "10.0.0.7")]});
        assert_eq!(closed(rejecting, "10.0.0.8", Target::All), None);
        let accepting = json!({"ipFilterRules": [rule("one", "Accept", "10.0.0.7")]});
        assert_eq!(closed(accepting, "10.0.0.8", Target::All), Some(Closed::Unlisted));
        assert_eq!(closed(json!({"ipFilterRules": []}), "10.0.0.8", Target::All), None);
        assert_eq!(closed(json!({"ipFilterRules": [{}]}), "10.0.0.8", Target::All), Some(Closed::Unlisted));
    }

    #[test]
    fn targets_switch_and_version() {
        let rule = |target: &str| json!({"ipFilterRules": [{"filterName": "r", "action": "Reject", "ipMask": "0.0.0.0/0", "target": target}]});
        let out = Some(Closed::Rule("r".into()));
        for (target, service, device) in [("all", true, true), ("serviceApi", true, false), ("DeviceApi", false, true)]
        {
            assert_eq!(closed(rule(target), "1.1.1.1", Target::ServiceApi) == out, service, "{target}");
            assert_eq!(closed(rule(target), "1.1.1.1", Target::DeviceApi) == out, device, "{target}");
        }
        let disabled = json!({"publicNetworkAccess": "disabled"});
        assert_eq!(closed(disabled.clone(), "127.0.0.1", Target::All), Some(Closed::PublicNetwork));
        assert_eq!(closed_to(disabled.as_object().unwrap(), Peer::default(), Target::All), None);
        assert_eq!(closed(json!({"minTlsVersion": "1.3"}), "127.0.0.1", Target::All), Some(Closed::Tls));
        assert_eq!(closed(json!({"minTlsVersion": "1.2"}), "127.0.0.1", Target::All), None);
    }
}

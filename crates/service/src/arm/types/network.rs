//! Rules for addresses, of hubs and provisioning services alike.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::network::IpRule;
use ferrohub_model::resource::Resource;
use serde_json::Value;

/// Checks `ipFilterRules`: each has a name of its own, an action and a mask.
pub(super) fn check_rules(resource: &Resource) -> Result<()> {
    let rules = resource.value(&["ipFilterRules"]).and_then(Value::as_array);
    let mut names: Vec<String> = Vec::new();
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let rule = IpRule::read(rule).map_err(|fault| {
            Error::invalid_property(format!("properties.ipFilterRules[{index}].{}", fault.member), fault.rule)
        })?;
        let name = rule.name.to_lowercase();
        if names.contains(&name) {
            return Err(Error::invalid_property(
                format!("properties.ipFilterRules[{index}].filterName"),
                format!("The name '{}' stands twice; names of rules ignore case.", rule.name),
            ));
        }
        names.push(name);
    }
    Ok(())
}

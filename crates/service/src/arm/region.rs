//! Azure's regions: short names and display names.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::spelling::closest;
use serde_json::{Value, json};

/// Short name and display name of every public Azure region (reference: resource-manager.md section 1; Azure's list of regions).
const REGIONS: &[(&str, &str)] = &[
    ("eastus", "East US"),
    ("eastus2", "East US 2"),
    ("westus", "West US"),
    ("westus2", "West US 2"),
    ("westus3", "West US 3"),
    ("centralus", "Central US"),
    ("northcentralus", "North Central US"),
    ("southcentralus", "South Central US"),
    ("westcentralus", "West Central US"),
    ("canadacentral", "Canada Central"),
    ("canadaeast", "Canada East"),
    ("brazilsouth", "Brazil South"),
    ("brazilsoutheast", "Brazil Southeast"),
    ("mexicocentral", "Mexico Central"),
    ("chilecentral", "Chile Central"),
    ("northeurope", "North Europe"),
    ("westeurope", "West Europe"),
    ("uksouth", "UK South"),
    ("ukwest", "UK West"),
    ("francecentral", "France Central"),
    ("francesouth", "France South"),
    ("germanywestcentral", "Germany West Central"),
    ("germanynorth", "Germany North"),
    ("switzerlandnorth", "Switzerland North"),
    ("switzerlandwest", "Switzerland West"),
    ("norwayeast", "Norway East"),
    ("norwaywest", "Norway West"),
    ("swedencentral", "Sweden Central"),
    ("swedensouth", "Sweden South"),
    ("polandcentral", "Poland Central"),
    ("italynorth", "Italy North"),
    ("spaincentral", "Spain Central"),
    ("austriaeast", "Austria East"),
    ("belgiumcentral", "Belgium Central"),
    ("israelcentral", "Israel Central"),
    ("uaenorth", "UAE North"),
    ("uaecentral", "UAE Central"),
    ("qatarcentral", "Qatar Central"),
    ("southafricanorth", "South Africa North"),
    ("southafricawest", "South Africa West"),
    ("centralindia", "Central India"),
    ("southindia", "South India"),
    ("westindia", "West India"),
    ("jioindiacentral", "Jio India Central"),
    ("jioindiawest", "Jio India West"),
    ("eastasia", "East Asia"),
    ("southeastasia", "Southeast Asia"),
    ("indonesiacentral", "Indonesia Central"),
    ("malaysiawest", "Malaysia West"),
    ("japaneast", "Japan East"),
    ("japanwest", "Japan West"),
    ("koreacentral", "Korea Central"),
    ("koreasouth", "Korea South"),
    ("australiaeast", "Australia East"),
    ("australiasoutheast", "Australia Southeast"),
    ("australiacentral", "Australia Central"),
    ("australiacentral2", "Australia Central 2"),
    ("newzealandnorth", "New Zealand North"),
];

/// Regions with the one that Azure pairs them with (Azure's list of paired regions); newer ones have none.
const PAIRS: &[(&str, &str)] = &[
    ("eastus", "westus"),
    ("eastus2", "centralus"),
    ("westus", "eastus"),
    ("westus2", "westcentralus"),
    ("westus3", "eastus"),
    ("centralus", "eastus2"),
    ("northcentralus", "southcentralus"),
    ("southcentralus", "northcentralus"),
    ("westcentralus", "westus2"),
    ("canadacentral", "canadaeast"),
    ("canadaeast", "canadacentral"),
    ("brazilsouth", "southcentralus"),
    ("brazilsoutheast", "brazilsouth"),
    ("northeurope", "westeurope"),
    ("westeurope", "northeurope"),
    ("uksouth", "ukwest"),
    ("ukwest", "uksouth"),
    ("francecentral", "francesouth"),
    ("francesouth", "francecentral"),
    ("germanywestcentral", "germanynorth"),
    ("germanynorth", "germanywestcentral"),
    ("switzerlandnorth", "switzerlandwest"),
    ("switzerlandwest", "switzerlandnorth"),
    ("norwayeast", "norwaywest"),
    ("norwaywest", "norwayeast"),
    ("swedencentral", "swedensouth"),
    ("swedensouth", "swedencentral"),
    ("uaenorth", "uaecentral"),
    ("uaecentral", "uaenorth"),
    ("southafricanorth", "southafricawest"),
    ("southafricawest", "southafricanorth"),
    ("centralindia", "southindia"),
    ("southindia", "centralindia"),
    ("westindia", "southindia"),
    ("jioindiacentral", "jioindiawest"),
    ("jioindiawest", "jioindiacentral"),
    ("eastasia", "southeastasia"),
    ("southeastasia", "eastasia"),
    ("japaneast", "japanwest"),
    ("japanwest", "japaneast"),
    ("koreacentral", "koreasouth"),
    ("koreasouth", "koreacentral"),
    ("australiaeast", "australiasoutheast"),
    ("australiasoutheast", "australiaeast"),
    ("australiacentral", "australiacentral2"),
    ("australiacentral2", "australiacentral"),
];

/// The region that Azure pairs this one with.
pub fn paired(name: &str) -> Option<&'static str> {
    PAIRS.iter().find(|(region, _)| *region == name).map(|(_, paired)| *paired)
}

/// Short names of all regions.
pub fn names() -> Vec<&'static str> {
    REGIONS.iter().map(|(name, _)| *name).collect()
}

/// Display name of a short name.
pub fn display(name: &str) -> &str {
    REGIONS.iter().find(|(short, _)| *short == name).map_or(name, |(_, display)| display)
}

/// The short name of a region given as short or display name, ignoring case and white space.
///
/// # Errors
/// `LocationNotAvailableForResourceType` listing the regions.
pub fn normalize(text: &str, kind: &str) -> Result<&'static str> {
    let wanted: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    REGIONS.iter().map(|(name, _)| *name).find(|name| *name == wanted).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        let meant = closest(&wanted, names()).map_or_else(String::new, |name| format!(" Did you mean '{name}'?"));
        Error::invalid(format!(
            "The provided location '{shown}' is not available for resource type '{kind}'.{meant} List of available regions for the resource type is '{}'.",
            names().join(",")
        ))
        .with_code("LocationNotAvailableForResourceType")
    })
}

/// The answer of `GET /subscriptions/{id}/locations`.
pub fn listing(subscription: &str) -> Vec<Value> {
    REGIONS
        .iter()
        .map(|(name, display)| {
            let id = |name: &str| format!("/subscriptions/{subscription}/locations/{name}");
            let pair: Vec<Value> = paired(name).map(|pair| json!({"name": pair, "id": id(pair)})).into_iter().collect();
            json!({
                "id": id(name),
                "name": name,
                "type": "Region",
                "displayName": display,
                "regionalDisplayName": display,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "pairedRegion": pair}
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings() {
        assert_eq!(normalize("West Europe", "x").unwrap(), "westeurope");
        assert_eq!(normalize("EASTUS2", "x").unwrap(), "eastus2");
        let misspelled = normalize("west europ", "x").unwrap_err().message;
        assert!(misspelled.contains("'x'. Did you mean 'westeurope'? List of available"), "{misspelled}");
        assert!(!normalize("moon", "x").unwrap_err().message.contains("Did you mean"));
        assert_eq!(normalize("moon", "x").unwrap_err().code, "LocationNotAvailableForResourceType");
        assert_eq!(display("uksouth"), "UK South");
    }

    #[test]
    fn pairs_are_regions() {
        for (region, pair) in PAIRS {
            assert!(names().contains(region) && names().contains(pair) && region != pair, "{region} {pair}");
        }
        assert_eq!(paired("westeurope"), Some("northeurope"));
        assert_eq!(paired("qatarcentral"), None);
    }
}

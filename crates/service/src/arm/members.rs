//! The members of resources at their root, which most types share: what stands beside `properties`.

use super::declaration::{ExtendedLocationRule, IdentityRule, TypeDecl};
use super::schema::{Check, Property, acted, descriptive, read_only};

/// Members of every resource that only the server writes.
const SHOWN: &[Property] =
    &[read_only("id"), read_only("name"), read_only("type"), read_only("etag"), read_only("systemData")];
const PROPERTIES: Property = acted("properties", Check::Own);
/// Members of a tracked resource, under rules of their own.
const TRACKED: &[Property] = &[
    descriptive("location", Check::Text(100), "a region's name; everything lies where the server runs"),
    descriptive("tags", Check::Own, "words of its owner, which lists can be filtered by"),
];
/// Most user-assigned identities of a resource: ours.
const IDENTITIES: usize = 100;
/// What a SKU is for.
const SIZE: &str = "what Azure bills, and how much it lets through; Ferrohub's limits are the same for every SKU";
const SKU: Property = acted(
    "sku",
    Check::Members(&[
        descriptive("name", Check::Text(40), SIZE),
        read_only("tier"),
        descriptive("capacity", Check::Integer(1, 200), SIZE),
    ]),
);
const IDENTITY: Property = acted(
    "identity",
    Check::Members(&[
        acted("type", Check::Own),
        acted(
            "userAssignedIdentities",
            Check::Named(&Check::Members(&[read_only("principalId"), read_only("clientId")]), IDENTITIES),
        ),
        read_only("principalId"),
        read_only("tenantId"),
    ]),
);

const PLACE: &[Property] = &[
    descriptive("name", Check::Text(2048), EXTENDED).required(),
    descriptive("type", Check::Text(100), EXTENDED).required(),
];
const EXTENDED: &str = "the custom location of a cluster in which Azure IoT Operations would act on the resource";
const EXTENDED_LOCATION: Property = descriptive("extendedLocation", Check::Members(PLACE), EXTENDED).create_only();
const EXTENDED_LOCATION_REQUIRED: Property =
    descriptive("extendedLocation", Check::Members(PLACE), EXTENDED).create_only().required();

impl TypeDecl {
    /// The members of its resources at the root, `properties` itself among them.
    pub(super) fn root_members(&'static self) -> Vec<&'static Property> {
        let mut known: Vec<&Property> = SHOWN.iter().chain([&PROPERTIES]).chain(self.beside).collect();
        known.extend(TRACKED.iter().filter(|_| self.tracked));
        known.extend(self.sku.then_some(&SKU));
        known.extend((self.identity != IdentityRule::No).then_some(&IDENTITY));
        known.extend(match self.extended_location {
            ExtendedLocationRule::No => None,
            ExtendedLocationRule::May => Some(&EXTENDED_LOCATION),
            ExtendedLocationRule::Must => Some(&EXTENDED_LOCATION_REQUIRED),
        });
        known
    }

    /// Every member that its resources can have, by its path (`[]` for an entry of a list, `*` for a name of the client's choice).
    pub fn members(&'static self) -> Vec<(String, &'static Property)> {
        let mut found = Vec::new();
        for property in self.root_members() {
            property.walk("", &mut found);
        }
        for property in self.properties {
            property.walk("properties", &mut found);
        }
        found
    }
}

//! What every role and every policy may do, printed into files that are read in a review. A new type, action or need
//! appears by itself, and the test fails until the file says so: `INSTA_UPDATE=always cargo test -p ferrohub-service --test it authz`.

use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::role::Permission;
use ferrohub_service::arm::{self, types::Types};
use ferrohub_service::authz::{AccessSnapshot, Assignment, Plane, RoleDefinition, builtin};
use ferrohub_service::shared_access::{Need, Right};
use ferrohub_service::{hub, provisioning};
use std::fmt::Write;

const GROUP: &str = "/subscriptions/s/resourcegroups/g1";
const OTHER_GROUP: &str = "/subscriptions/s/resourcegroups/g2";
/// Names of the columns.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";

/// A role as somebody has it.
struct Column {
    title: String,
    role: String,
    /// Scope of the assignment; the actions are asked for in [`GROUP`].
    scope: &'static str,
}

/// A custom role: title, actions, notActions, dataActions, notDataActions, where it may be assigned.
struct Custom(
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

const CUSTOM: &[Custom] = &[
    Custom("custom: wildcards inside (*/certificates/*, */read)", &["*/certificates/*", "*/read"], &[], &[], &[], "/"),
    Custom(
        "custom: Microsoft.Devices/* without listing keys and deleting",
        &["Microsoft.Devices/*"],
        &["*/listkeys/action", "*/delete"],
        &[],
        &[],
        "/",
    ),
    Custom("custom: all data actions without deleting", &[], &[], &["*"], &["*/delete"], "/"),
    Custom(
        "custom: MICROSOFT.DEVICES/IOTHUBS/READ, in capitals",
        &["MICROSOFT.DEVICES/IOTHUBS/READ"],
        &[],
        &[],
        &[],
        "/",
    ),
    Custom(
        "custom: everything, assigned here and assignable in another group only",
        &["*"],
        &[],
        &["*"],
        &[],
        OTHER_GROUP,
    ),
    Custom("custom: everything, assignable and assigned in this group only", &["*"], &[], &["*"], &[], GROUP),
];

fn custom_roles() -> Vec<RoleDefinition> {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let role =
        |(number, Custom(title, actions, not_actions, data, not_data, assignable)): (usize, &Custom)| RoleDefinition {
            guid: format!("custom-{number}"),
            name: (*title).into(),
            permissions: vec![Permission {
                actions: texts(actions),
                not_actions: texts(not_actions),
                data_actions: texts(data),
                not_data_actions: texts(not_data),
            }],
            assignable: vec![(*assignable).into()],
        };
    CUSTOM.iter().enumerate().map(role).collect()
}

fn columns(custom: &[RoleDefinition]) -> Vec<Column> {
    let mut all = Vec::new();
    for role in builtin::definitions() {
        all.push(Column { title: role.name.clone(), role: role.guid.clone(), scope: "/subscriptions/s" });
    }
    for role in custom {
        let scope = if role.assignable == ["/"] { "/subscriptions/s" } else { GROUP };
        all.push(Column { title: role.name.clone(), role: role.guid.clone(), scope });
    }
    all.push(Column { title: "Owner of another group".into(), role: builtin::OWNER.into(), scope: OTHER_GROUP });
    all.push(Column { title: "nobody: no assignment".into(), role: "none".into(), scope: GROUP });
    all
}

#[test]
fn what_roles_may_do() {
    let custom = custom_roles();
    let columns = columns(&custom);
    let assignment = |(number, column): (usize, &Column)| Assignment {
        scope: column.scope.into(),
        principal: format!("p{number}"),
        role: column.role.clone(),
    };
    let snapshot = AccessSnapshot::new(custom, columns.iter().enumerate().map(assignment).collect(), Vec::new());
    let scope = ResourceId::parse(&format!("{GROUP}/providers/Microsoft.Devices/IotHubs/h1")).unwrap();
    let mut text = String::new();
    for (letter, column) in LETTERS.chars().zip(&columns) {
        writeln!(text, "{letter}  {}", column.title).unwrap();
    }
    assert!(columns.len() <= LETTERS.len(), "more roles than letters");
    text.push('\n');
    for (plane, action) in arm::declared_actions(&Types::built_in()) {
        let asked = if plane == "control" { Plane::Control } else { Plane::Data };
        let may = |number: usize| snapshot.allows(&format!("p{number}"), asked, &action, &scope);
        let marks: String = LETTERS
            .chars()
            .take(columns.len())
            .enumerate()
            .map(|(n, letter)| if may(n) { letter } else { '.' })
            .collect();
        writeln!(text, "{plane:7}  {marks}  {action}").unwrap();
    }
    insta::assert_snapshot!("roles", text);
}

#[test]
fn what_policies_may_do() {
    type Enough = fn(Right) -> &'static [Right];
    let planes: [(&str, &[&Need], Enough); 2] = [
        ("hub", hub::NEEDS, hub::rights_enough_for),
        ("provisioning service", provisioning::NEEDS, provisioning::rights_enough_for),
    ];
    let mut text = String::new();
    for (plane, needs, enough) in planes {
        for need in needs {
            let rights = need.rights.iter().flat_map(|right| enough(*right));
            let rights: Vec<&str> = rights.map(|right| right.as_str()).collect();
            let actions: Vec<&str> = need.actions.iter().map(|(_, action)| *action).collect();
            writeln!(text, "{plane}: {}\n    {}", actions.join(" or "), rights.join(" or ")).unwrap();
        }
    }
    insta::assert_snapshot!("policies", text);
}

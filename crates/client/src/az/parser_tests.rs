//! Tests of the parser, the seeds' command lines among them.

use super::*;
use crate::az::table;

fn command(words: &str) -> &'static Command {
    table::all().find(|command| command.words == words).unwrap_or_else(|| panic!("no command {words}"))
}

/// Parses `words` and then `options`, as a shell would split them.
fn parsed(words: &str, options: &[&str]) -> Result<Args> {
    let arguments: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    parse(command(words), &arguments, &HashMap::new())
}

#[test]
fn values_in_every_syntax_and_the_last_repeat_wins() {
    let args = parsed("group show", &["-nrg1", "--output=tsv", "--quer", "id", "-o", "table", "-ojson"]).unwrap();
    assert_eq!(args.text("--name"), Some("rg1"));
    assert_eq!(args.text("--query"), Some("id"));
    assert_eq!(args.text("--output"), Some("json"));
}

#[test]
fn an_ambiguous_prefix_is_an_error_unless_it_means_one_option() {
    let failure = parsed("group show", &["-n", "g", "--o", "tsv"]).unwrap_err();
    assert_eq!(failure.exit, 2);
    assert_eq!(failure.message, "ambiguous option: --o could match --output, --only-show-errors");
    let args = parsed("group create", &["--n", "g", "--l", "westus"]).unwrap();
    assert_eq!((args.text("--name"), args.text("--location")), (Some("g"), Some("westus")));
}

#[test]
fn option_names_keep_their_case_and_enums_do_not() {
    assert_eq!(parsed("group show", &["-N", "g"]).unwrap_err().exit, 2);
    let failure = parsed("group list", &["--OUTPUT", "tsv"]).unwrap_err();
    let first = failure.message.lines().next();
    assert_eq!(first, Some("unrecognized arguments: --OUTPUT tsv"));
    assert_eq!(parsed("group list", &["--output", "TSV"]).unwrap().text("--output"), Some("tsv"));
}

#[test]
fn the_texts_of_wrong_command_lines() {
    let missing = parsed("iot hub create", &[]).unwrap_err();
    assert!(
        missing.message.starts_with("the following arguments are required: --name/-n, --resource-group/-g\n"),
        "{}",
        missing.message
    );
    assert!(
        missing.message.ends_with("\nWhat it takes is listed by 'az iot hub create --help'"),
        "{}",
        missing.message
    );
    let choice = parsed("iot dps create", &["-n", "d", "-g", "g", "--sku", "S9"]).unwrap_err();
    assert_eq!(choice.message, "az iot dps create: 'S9' is not a valid value for '--sku'. Allowed values: S1.");
    let number = parsed("iot hub create", &["-n", "h", "-g", "g", "--unit", "many"]).unwrap_err();
    assert_eq!(number.message, "argument --unit: invalid int value: 'many'");
    let empty = parsed("group show", &["-n"]).unwrap_err();
    assert_eq!(empty.message, "argument --name/-n/--resource-group/-g: expected one argument");
    let stray = parsed("group show", &["-n", "g", "--frob", "true", "--x", "/y"]).unwrap_err();
    assert_eq!(stray.message, "unrecognized arguments: --frob true --x /y");
    assert!([missing, choice, number, empty, stray].iter().all(|failure| failure.exit == 2));
}

#[test]
fn a_misspelled_option_is_named_with_the_one_that_is_meant() {
    let required = parsed("group create", &["--name", "p", "--locaton", "westeurope"]).unwrap_err();
    assert_eq!(required.exit, 2);
    let text = "unrecognized arguments: --locaton westeurope\n'--locaton' is no option of this command. Did you mean '--location' ?\nthe following arguments are required: --location/-l\n";
    assert!(required.message.starts_with(text), "{}", required.message);
    let optional = parsed("iot hub create", &["-n", "h", "-g", "g", "--partion-count=4"]).unwrap_err();
    assert!(optional.message.ends_with("Did you mean '--partition-count' ?"), "{}", optional.message);
    let by_id = parsed("identity show", &["--nme", "i"]).unwrap_err();
    assert!(by_id.message.contains("Did you mean '--name' ?"), "{}", by_id.message);
}

#[test]
fn three_state_flags() {
    for (given, expected) in
        [(&["--ecm"][..], true), (&["--ecm", "Y"], true), (&["--ecm=0"], false), (&["--ecm", "False"], false)]
    {
        let mut options = vec!["-n", "n", "-g", "g"];
        options.extend(given);
        assert_eq!(
            parsed("iot adr ns create", &options).unwrap().switch("--enable-certificate-management"),
            Some(expected)
        );
    }
    assert_eq!(
        parsed("iot adr ns create", &["-n", "n", "-g", "g"]).unwrap().switch("--enable-certificate-management"),
        None
    );
    assert!(
        parsed("iot adr ns create", &["-n", "n", "-g", "g", "--ecm", "maybe"])
            .unwrap_err()
            .message
            .contains("Allowed values: true, false.")
    );
}

#[test]
fn lists_flags_and_values_that_look_like_options() {
    let args = parsed("group create", &["-n", "g", "-l", "w", "--tags", "a=b", "c", "d=e f", "-o", "tsv"]).unwrap();
    assert_eq!(args.list("--tags").unwrap(), ["a=b", "c", "d=e f"]);
    let cleared = parsed("group create", &["-n", "g", "-l", "w", "--tags", ""]).unwrap();
    assert_eq!(cleared.list("--tags").unwrap(), [""]);
    assert_eq!(parsed("iot hub device-identity list", &["-n", "h", "--top", "-1"]).unwrap().integer("--top"), Some(-1));
    assert!(parsed("group delete", &["-yn", "g"]).unwrap().flag("--yes"));
    assert_eq!(parsed("group delete", &["-yn", "g"]).unwrap().text("--name"), Some("g"));
    assert!(
        parsed("group delete", &["-n", "g", "--yes=1"]).unwrap_err().message.contains("ignored explicit argument '1'")
    );
    assert_eq!(parsed("group list", &["stray"]).unwrap_err().message, "unrecognized arguments: stray");
}

#[test]
fn repeats_of_set_add_up() {
    let args = parsed("iot hub update", &["-n", "h", "--set", "a=1", "b=2", "--set", "c=3"]).unwrap();
    assert_eq!(args.list("--set").unwrap(), ["a=1", "b=2", GENERIC_END, "c=3", GENERIC_END]);
}

#[test]
fn configured_defaults_fill_what_is_not_given() {
    let defaults = HashMap::from([("--resource-group", "dg".to_owned()), ("--location", "dl".to_owned())]);
    let args = parse(command("identity create"), &["-n".to_owned(), "i".to_owned()], &defaults).unwrap();
    assert_eq!((args.text("--resource-group"), args.text("--location")), (Some("dg"), Some("dl")));
}

#[test]
fn ids_stand_for_name_and_group() {
    assert!(parsed("identity show", &["--ids", "/subscriptions/s"]).is_ok());
    assert!(parsed("identity show", &[]).is_err());
}

/// The numbered list of the seeds' command lines, with values in place of variables.
const SEED_LINES: &[(&str, &[&str])] = &[
    ("upgrade", &[]),
    ("login", &[]),
    ("account list", &[]),
    ("account set", &["--subscription", "<your subscription name or id>"]),
    ("account show", &[]),
    ("group create", &["--name", "rg", "--location", "l"]),
    ("role definition create", &["--role-definition", "{\n  \"Name\": \"r\"\n}"]),
    (
        "role assignment create",
        &["--assignee", "89d10474-74af-4874-99a7-c23c2f643083", "--role", "Contributor", "--scope", "/subscriptions/s"],
    ),
    ("identity create", &["--name", "i", "--resource-group", "rg", "--location", "l"]),
    ("identity show", &["--name", "i", "--resource-group", "rg", "--query", "id", "-o", "tsv"]),
    ("iot adr ns create", &["--name", "n", "--resource-group", "rg", "--location", "l"]),
    ("iot adr ns show", &["--name", "n", "--resource-group", "rg"]),
    ("iot adr ns credential show", &["--namespace", "n", "--resource-group", "rg"]),
    ("iot adr ns policy show", &["--namespace", "n", "--resource-group", "rg", "--name", "default"]),
    ("identity show", &["--name", "i", "--resource-group", "rg", "--query", "principalId", "-o", "tsv"]),
    ("iot adr ns show", &["--name", "n", "--resource-group", "rg", "--query", "id", "-o", "tsv"]),
    ("role assignment create", &["--assignee", "p", "--role", "r", "--scope", "/n"]),
    (
        "iot hub create",
        &[
            "--name",
            "",
            "--resource-group",
            "rg",
            "--location",
            "l",
            "--sku",
            "S1",
            "--enable-file-upload",
            "true",
            "--assign-identity",
            "/i",
        ],
    ),
    ("iot hub show", &["--name", "h", "--resource-group", "rg", "--query", "identity", "--output", "json"]),
    ("iot adr ns show", &["--name", "n", "--resource-group", "rg", "--query", "identity.principalId", "-o", "tsv"]),
    ("iot hub show", &["--name", "h", "--resource-group", "rg", "--query", "id", "-o", "tsv"]),
    ("role assignment create", &["--assignee", "p", "--role", "IoT Hub Registry Contributor", "--scope", "/h"]),
    (
        "iot dps create",
        &[
            "--name",
            "d",
            "--resource-group",
            "rg",
            "--location",
            "l",
            "--mi-user-assigned",
            "/i",
            "--ns-resource-id",
            "/n",
            "--ns-identity-id",
            "/i",
        ],
    ),
    ("iot dps create", &["--name", "d", "--resource-group", "rg", "--location", "West US"]),
    ("iot dps show", &["--name", "d", "--resource-group", "rg", "--query", "identity", "--output", "json"]),
    ("iot dps linked-hub create", &["--dps-name", "d", "--resource-group", "rg", "--hub-name", "h"]),
    ("iot dps linked-hub list", &["--dps-name", "d", "--resource-group", "rg"]),
    ("iot adr ns credential sync", &["--namespace", "n", "--resource-group", "rg"]),
    ("iot hub certificate list", &["--hub-name", "h", "--resource-group", "rg"]),
    (
        "iot dps enrollment-group create",
        &["--dps-name", "d", "--resource-group", "rg", "--enrollment-id", "e", "--credential-policy", "default"],
    ),
    ("iot adr ns list", &["--resource-group", "rg"]),
    ("iot adr ns policy list", &["--namespace", "n", "--resource-group", "rg"]),
    ("iot adr ns policy show", &["--name", "policy-name", "--namespace", "n", "--resource-group", "rg"]),
    (
        "iot adr ns policy create",
        &[
            "--name",
            "custom-policy",
            "--namespace",
            "n",
            "--resource-group",
            "rg",
            "--cert-subject",
            "CN=TestDevice",
            "--cert-validity-days",
            "30",
        ],
    ),
    ("iot hub delete", &["--name", "h", "--resource-group", "rg"]),
    ("iot adr ns delete", &["--name", "n", "--resource-group", "rg"]),
    ("iot dps delete", &["--name", "d", "--resource-group", "rg"]),
    ("identity delete", &["--name", "i", "--resource-group", "rg"]),
    // The corrected hub line of later revisions of the instructions.
    (
        "iot hub create",
        &[
            "--name",
            "h",
            "--resource-group",
            "rg",
            "--location",
            "l",
            "--sku",
            "GEN2",
            "--mi-user-assigned",
            "/i",
            "--ns-resource-id",
            "/n",
            "--ns-identity-id",
            "/i",
        ],
    ),
    ("iot adr ns create", &["-n", "n", "-g", "rg", "--enable-credential-policy", "true", "--policy-name", "P"]),
    ("extension add", &["--source", "./azure_iot-0.30.0a2-py3-none-any.whl", "-y"]),
    ("extension add", &["--name", "azure-iot", "--allow-preview"]),
];

#[test]
fn every_line_of_the_seeds_parses() {
    for (words, options) in SEED_LINES {
        assert!(parsed(words, options).is_ok(), "az {words} {options:?}");
    }
    let group = parsed(SEED_LINES[29].0, SEED_LINES[29].1).unwrap();
    assert_eq!(group.text("--credential-policy-name"), Some("default"));
    let policy = parsed(SEED_LINES[33].0, SEED_LINES[33].1).unwrap();
    assert_eq!(policy.integer("--cert-validity-days"), Some(30));
}

//! What a row of the command table is.

use super::args::Args;
use super::context::{Context, Task};
use super::grammar::OptionSpec;

/// What a handler is: it works through the context and yields what to print.
pub(crate) type Handler = for<'a, 'e> fn(&'a mut Context<'e>, &'a Args) -> Task<'a>;

/// Options of every generic update.
pub(crate) const GENERIC_UPDATE: &str = "--set + # Set a property: path.to.property=value.
--add + # Add to a list: path key=value or JSON.
--remove + # Remove a property or a list element: path [index].
--force-string flag # Keep values of --set and --add as text.";

/// Options that name a hub for the data plane.
pub(crate) const HUB_CONTEXT: &str = "--hub-name/-n # Name or host name of the IoT hub.
--resource-group/-g # Resource group; the subscription is searched without it.
--login/-l # Connection string with rights on the hub; no resource look-up is made.
--auth-type {key,login} =key # Sign requests with a policy key or with the signed-in identity.";

/// Options that name a Device Provisioning Service for the data plane.
pub(crate) const DPS_CONTEXT: &str = "--dps-name/-n # Name of the Device Provisioning Service.
--resource-group/-g # Resource group; the subscription is searched without it.
--login/-l # Connection string with rights on the service; no resource look-up is made.
--auth-type {key,login} =key # Sign requests with a policy key or with the signed-in identity.";

/// Options of every command, unless the command has one of the same name.
pub(crate) const GLOBAL: &[&str] = &[
    "--output/-o {json,jsonc,yaml,yamlc,table,tsv,none} # Output format.",
    "--query # JMESPath query over the result.",
    "--subscription # Name or id of the subscription.",
    "--only-show-errors flag # Show errors only, no warnings.",
    "--verbose flag # Print each request.",
    "--debug flag # Print each request.",
    "--help/-h flag # Show this text.",
    "~--acquire-policy-token flag",
    "~--change-reference",
];

/// One command of the table.
pub(crate) struct Command {
    /// Its words, such as `iot hub create`.
    pub(crate) words: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    /// Its options; each block has one option per line.
    pub(crate) options: &'static [&'static str],
    /// What it does.
    pub(crate) handler: Handler,
    /// Whether it asks for confirmation (adds `--yes/-y`).
    pub(crate) confirms: bool,
    /// What it takes away and how that comes back, for its help and its question; empty where its summary says all.
    pub(crate) consequence: &'static str,
    /// Options that `--ids` stands for, in the order of an id's names; empty where there is no `--ids`.
    pub(crate) id_parts: &'static [&'static str],
}

impl Command {
    /// A command without confirmation and without `--ids`.
    pub(crate) const fn new(
        words: &'static str,
        summary: &'static str,
        options: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        Self { words, summary, options, handler, confirms: false, consequence: "", id_parts: &[] }
    }

    /// The same command, asking for confirmation.
    pub(crate) const fn confirmed(mut self) -> Self {
        self.confirms = true;
        self
    }

    /// The same, saying first what it takes away and how that comes back.
    pub(crate) const fn confirmed_after(mut self, consequence: &'static str) -> Self {
        self.consequence = consequence;
        self.confirmed()
    }

    /// The same command with `--ids`, which stands for `parts` and `--resource-group`.
    pub(crate) const fn with_ids(mut self, parts: &'static [&'static str]) -> Self {
        self.id_parts = parts;
        self
    }

    /// Its options, then the global ones it does not redefine.
    ///
    /// # Errors
    /// The line that is not in the notation; a test runs this for the whole table.
    pub(crate) fn specs(&self) -> Result<Vec<OptionSpec>, String> {
        let mut specs = Vec::new();
        for line in self.options.iter().flat_map(|block| block.lines()) {
            specs.push(OptionSpec::parse(line)?);
        }
        if self.confirms {
            specs.push(OptionSpec::parse("--yes/-y flag # Do not ask for confirmation.")?);
        }
        if !self.id_parts.is_empty() {
            specs.push(OptionSpec::parse("--ids + # Resource ids, instead of names and resource group.")?);
            for spec in &mut specs {
                let part = self.id_parts.contains(&spec.key()) || spec.key() == "--resource-group";
                spec.waived_by_ids = part;
            }
        }
        for line in GLOBAL {
            let spec = OptionSpec::parse(line)?;
            if !specs.iter().any(|own| own.aliases.contains(&spec.key())) {
                specs.push(spec);
            }
        }
        Ok(specs)
    }
}

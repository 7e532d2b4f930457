//! `ferrohub az` in this process: a line of it, and what came of it.

use ferrohub_client::az;
use ferrohub_client::environment::Environment;
use serde_json::Value;

/// The `az` of one person.
pub(super) struct CommandLine {
    environment: Environment,
}

/// How a line ended.
#[derive(Debug, Clone)]
pub(super) struct Ran {
    /// Exit code: 0 good, 3 not there.
    pub(super) code: i32,
    /// What it printed, as JSON.
    pub(super) value: Value,
    /// Its warnings.
    pub(super) warnings: Vec<String>,
    /// Why it failed.
    pub(super) error: String,
}

impl CommandLine {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// The process around it.
    pub(super) fn environment(&mut self) -> &mut Environment {
        &mut self.environment
    }

    /// Runs a line.
    pub(super) async fn run(&mut self, words: &[&str]) -> Ran {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(["--output", "json"].map(str::to_owned));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = Box::pin(az::run(arguments, &mut self.environment, &mut out, &mut err)).await;
        let said = String::from_utf8_lossy(&err).into_owned();
        let (mut warnings, mut error) = (Vec::new(), String::new());
        for line in said.lines() {
            match line.strip_prefix("WARNING: ") {
                Some(warning) if error.is_empty() => warnings.push(warning.to_owned()),
                _ => {
                    let part = line.strip_prefix("ERROR: ").unwrap_or(line);
                    error.push_str(if error.is_empty() { "" } else { "\n" });
                    error.push_str(part);
                }
            }
        }
        Ran { code, value: serde_json::from_slice(&out).unwrap_or(Value::Null), warnings, error }
    }

    /// What a line that only looks gives; `None` where it fails, which is also how what is not there looks.
    pub(super) async fn look(&mut self, words: &[&str]) -> Option<Value> {
        let ran = self.run(words).await;
        (ran.code == 0).then_some(ran.value)
    }
}

/// A line as a person would type it.
pub(super) fn typed(words: &[&str]) -> String {
    let plain =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,@".contains(&b));
    let shown: Vec<String> = words
        .iter()
        .map(|word| if plain(word) { (*word).to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) })
        .collect();
    format!("az {}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted() {
        assert_eq!(typed(&["group", "create", "--name", "it's", ""]), r"az group create --name 'it'\''s' ''");
    }
}

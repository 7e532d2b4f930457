//! The `wait` commands: looking again until a resource is as wanted.

use super::args::Args;
use super::context::Context;
use super::failure::{Failure, Result};
use super::output::Output;
use ferrohub_wire::jmespath;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Options of every wait command.
pub(crate) const OPTIONS: &str = "--created flag # Until it is created.
--updated flag # Until it is updated.
--deleted flag # Until it is gone.
--exists flag # Until it is there.
--custom # Until this JMESPath query over it gives something.
--interval int =30 # Seconds between looks.
--timeout int =3600 # Seconds to wait at most.";

/// Refuses a wait without a condition.
///
/// # Errors
/// `az`'s text.
pub(crate) fn check(args: &Args) -> Result<()> {
    let conditions = ["--created", "--updated", "--deleted", "--exists", "--custom"];
    if conditions.into_iter().any(|condition| args.given(condition)) {
        return Ok(());
    }
    Err(Failure::error("incorrect usage: --created | --updated | --deleted | --exists | --custom JMESPATH"))
}

/// A look at a resource; `None` where there is none.
pub(crate) type Look<'a> = Pin<Box<dyn Future<Output = Result<Option<Value>>> + Send + 'a>>;
/// What looks at the resource that a command names.
pub(crate) type Looker = for<'a, 'e> fn(&'a mut Context<'e>, &'a Args) -> Look<'a>;

/// Looks at the resource behind `path` until it meets the conditions.
///
/// # Errors
/// ARM's error; when the time is over.
pub(crate) async fn until(context: &mut Context<'_>, args: &Args, path: &str, version: &str) -> Result<Output> {
    let (looks, interval) = pace(args);
    for _ in 0..looks {
        if holds(args, context.arm_find(path, version).await?.as_ref())? {
            return Ok(Output::nothing());
        }
        context.environment.clock.sleep(interval).await;
    }
    Err(over())
}

/// The same where it takes more than a path to find the resource.
///
/// # Errors
/// What the look says; when the time is over.
pub(crate) async fn until_found(context: &mut Context<'_>, args: &Args, look: Looker) -> Result<Output> {
    let (looks, interval) = pace(args);
    for _ in 0..looks {
        if holds(args, look(context, args).await?.as_ref())? {
            return Ok(Output::nothing());
        }
        context.environment.clock.sleep(interval).await;
    }
    Err(over())
}

/// How often a command looks, and how long it sleeps between.
fn pace(args: &Args) -> (u64, Duration) {
    let interval = u64::try_from(args.integer("--interval").unwrap_or(30)).unwrap_or(30).max(1);
    let timeout = u64::try_from(args.integer("--timeout").unwrap_or(3600)).unwrap_or(3600);
    ((timeout / interval).saturating_add(1), Duration::from_secs(interval))
}

fn over() -> Failure {
    Failure::error("Wait operation timed-out after the given time; see --timeout.")
}

/// Whether a resource (`None`: there is none) meets the conditions of a wait command.
fn holds(args: &Args, resource: Option<&Value>) -> Result<bool> {
    let Some(resource) = resource else {
        return Ok(args.flag("--deleted"));
    };
    if args.flag("--exists") {
        return Ok(true);
    }
    let state = resource.pointer("/properties/provisioningState").and_then(Value::as_str).unwrap_or_default();
    if (args.flag("--created") || args.flag("--updated")) && state.eq_ignore_ascii_case("Succeeded") {
        return Ok(true);
    }
    let Some(custom) = args.text("--custom") else {
        return Ok(false);
    };
    let expression =
        jmespath::compile(custom).map_err(|error| Failure::usage(format!("argument --custom: {error}")))?;
    let found = expression.search(resource).map_err(|error| Failure::error(error.to_string()))?;
    let empty = match &found {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    Ok(!empty)
}

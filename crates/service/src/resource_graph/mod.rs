//! Resource Graph: questions in KQL about all resources and the devices of all hubs and namespaces.
//!
//! | File | What it is |
//! |---|---|
//! | `request`, `reply` | the body of a request, the body of an answer |
//! | `schema` | the tables and their columns |
//! | `projection`, `partition`, `packed` | devices as queries read them, kept in memory and always as new as the store (ADR 0044) |
//! | `shown` | all other resources |
//! | `rows`, `reach` | what the caller may read of them, as rows |
//!
//! The language itself is `ferrohub_wire::kql`.

mod packed;
mod partition;
mod projection;
mod reach;
mod reply;
mod request;
mod rows;
mod schema;
mod shown;

use crate::arm::{ArmRequest, ArmResponse};
use crate::platform::Platform;
use ferrohub_model::clock::timeout;
use ferrohub_model::error::{Error, ErrorKind, QueryPlace, Result};
use ferrohub_model::limits::{GRAPH_BYTES, GRAPH_RUNS, GRAPH_TIME};
use ferrohub_wire::kql::{self, Answer, Fault, FaultKind, Limits, Page, Plan};
use projection::{Projection, Snapshot};
use reach::Reach;
use request::Asked;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Threads of one query: ours.
const THREADS: usize = 2;

/// What Resource Graph holds in this process.
pub(crate) struct ResourceGraph {
    projection: Mutex<Projection>,
    runs: Arc<Semaphore>,
}

impl Default for ResourceGraph {
    fn default() -> Self {
        Self { projection: Mutex::default(), runs: Arc::new(Semaphore::new(GRAPH_RUNS)) }
    }
}

/// Lets a run end when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers `POST /providers/Microsoft.ResourceGraph/resources`.
///
/// # Errors
/// `BadRequest` with Azure's details for a query that is wrong, `TooManyRequests` while others are answered, those of the store.
pub(crate) async fn answer(platform: &Platform, request: &ArmRequest) -> Result<ArmResponse> {
    let asked = Asked::read(request)?;
    let reach = Reach::of(platform, request, &asked).await?;
    let now = platform.now();
    let now = (now.as_second(), u32::try_from(now.subsec_nanosecond()).unwrap_or(0));
    let plan = planned(&asked.query, now)?;
    let permit = permit(platform).await?;
    let mut facets = Vec::new();
    for facet in &asked.facets {
        facets.push((facet, planned(&facet.query(&asked.query), now)));
    }
    let twins = std::iter::once(&plan)
        .chain(facets.iter().filter_map(|(_, plan)| plan.as_ref().ok()))
        .any(|plan| plan.tables.contains(&schema::HUB_DEVICES));
    let snapshot = Arc::new(platform.resource_graph.projection.lock().await.snapshot(platform, twins).await?);
    let work = Work { snapshot, reach, permit: Arc::new(permit) };
    let page = Page { skip: asked.skip, top: asked.top, after: asked.after.clone() };
    let (plan, answer) = work.run(platform, plan, page, &asked.query).await?;
    let mut body = reply::body(&asked, &plan, answer);
    if !facets.is_empty() {
        let mut shown = Vec::new();
        for (facet, plan) in facets {
            let page = Page::new(0, facet.top);
            let answered = match plan {
                Ok(plan) => work.run(platform, plan, page, &asked.query).await,
                Err(error) => Err(error),
            };
            shown.push(reply::facet(facet, answered));
        }
        body["facets"] = Value::Array(shown);
    }
    Ok(ArmResponse::new(200, Some(body)))
}

/// The operations of the provider, as `GET …/operations` lists them.
pub(crate) fn operations() -> Vec<Value> {
    let operation = |name: &str, resource: &str, operation: &str, text: &str| {
        json!({
            "name": name,
            "display": {"provider": "Microsoft Resource Graph", "resource": resource, "operation": operation, "description": text}
        })
    };
    vec![
        operation(
            "Microsoft.ResourceGraph/resources/action",
            "resources",
            "Query resources",
            "Submits a query on resources within the subscription, which answers with what the caller may read.",
        ),
        operation(
            "Microsoft.ResourceGraph/operations/read",
            "Operation",
            "Get all operations",
            "Gets the operations of the provider.",
        ),
    ]
}

/// A turn: so many queries run at once, and a further one waits for a while.
async fn permit(platform: &Platform) -> Result<OwnedSemaphorePermit> {
    let runs = Arc::clone(&platform.resource_graph.runs);
    match timeout(platform.clock.as_ref(), GRAPH_TIME, runs.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => {
            let mut error = Error::new(
                ErrorKind::Throttled,
                "RateLimiting",
                format!(
                    "{GRAPH_RUNS} queries of Resource Graph run at once, and others wait already. Try again later."
                ),
            );
            error.retry_after_seconds = Some(5);
            Err(error)
        }
    }
}

fn planned(query: &str, now: (i64, u32)) -> Result<Plan> {
    kql::plan(query, &schema::SCHEMA, now).map_err(|fault| refused(query, &fault))
}

/// Azure's answer to a query that is wrong (reference: resource-manager.md section 13).
fn refused(query: &str, fault: &Fault) -> Error {
    let place = fault.position(query);
    let at = place.map(|(line, character)| format!(" (line {line}, character {character})")).unwrap_or_default();
    let mut error = Error::invalid(format!("The query cannot be answered: {}{at}", fault.message));
    let general = match fault.kind {
        FaultKind::Limit => ("QueryLimitExceeded", "The query asks for more than one query may."),
        _ => (
            "InvalidQuery",
            "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying.",
        ),
    };
    error.details.push((general.0.into(), general.1.into()));
    if fault.kind != FaultKind::Limit {
        error.details.push((fault.kind.code().into(), fault.message.clone()));
        error.place =
            place.map(|(line, character)| Box::new(QueryPlace { line, character, token: fault.token.clone() }));
    }
    error
}

/// What the queries of one request run over.
struct Work {
    snapshot: Arc<Snapshot>,
    reach: Reach,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Work {
    /// Runs a plan on a thread that may be held, for so long at most.
    async fn run(&self, platform: &Platform, plan: Plan, page: Page, query: &str) -> Result<(Plan, Answer)> {
        let stop = Arc::new(AtomicBool::new(false));
        let ends = StopOnDrop(Arc::clone(&stop));
        let (snapshot, reach, permit) = (Arc::clone(&self.snapshot), self.reach.clone(), Arc::clone(&self.permit));
        let mut run = tokio::task::spawn_blocking(move || {
            let limits = Limits { stop: &stop, memory_bytes: GRAPH_BYTES, threads: THREADS };
            let paths = rows::resolve(&plan, &snapshot);
            let answer = plan.run(&reach.parts(&snapshot, &plan, &paths), page, limits);
            drop(permit);
            answer.map(|answer| (plan, answer))
        });
        let outcome = match timeout(platform.clock.as_ref(), GRAPH_TIME, &mut run).await {
            Ok(outcome) => outcome,
            Err(_) => {
                drop(ends);
                run.await
            }
        };
        let outcome = outcome.map_err(|fault| Error::internal(format!("a query's thread ended: {fault}")))?;
        outcome.map_err(|fault| refused(query, &fault))
    }
}

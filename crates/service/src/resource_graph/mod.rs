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
use ferrohub_model::clock::{Moment, timeout};
use ferrohub_model::error::{Error, ErrorKind, QueryPlace, Result};
use ferrohub_model::limits::{GRAPH_BYTES, GRAPH_PATIENCE, GRAPH_RUNS, GRAPH_TIME};
use ferrohub_wire::kql::{self, Answer, Fault, FaultKind, Limits, Page, Plan};
use projection::{Projection, Snapshot};
use reach::Reach;
use request::Asked;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};

/// Threads of one query: ours.
const THREADS: usize = 2;
/// Seconds after which a query is worth another try that came while everything is read: ours.
const RETRY: u32 = 5;

/// What Resource Graph holds in this process.
pub(crate) struct ResourceGraph {
    projection: Mutex<Projection>,
    /// Somebody waits until everything is read.
    begun: Notify,
    runs: Arc<Semaphore>,
}

impl Default for ResourceGraph {
    fn default() -> Self {
        Self { projection: Mutex::default(), begun: Notify::new(), runs: Arc::new(Semaphore::new(GRAPH_RUNS)) }
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
    let permit = Arc::new(permit(platform).await?);
    let mut texts = vec![asked.query.clone()];
    texts.extend(asked.facets.iter().map(|facet| facet.query(&asked.query)));
    let mut plans = planned(platform, &permit, texts).await?.into_iter();
    let plan = plans.next().ok_or_else(|| Error::internal("a query has no plan"))??;
    let facets: Vec<_> = asked.facets.iter().zip(plans).collect();
    let twins = std::iter::once(&plan)
        .chain(facets.iter().filter_map(|(_, plan)| plan.as_ref().ok()))
        .any(|plan| plan.tables.contains(&schema::HUB_DEVICES));
    let snapshot = Arc::new(caught_up(platform, twins).await?);
    let ends = platform.clock.monotonic() + 2 * GRAPH_TIME;
    let work = Work { snapshot, reach, permit, ends };
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

/// What the query reads: as new as what was answered before it. Reading everything takes a while after a start, and goes on where the
/// last one who waited for it gave up.
async fn caught_up(platform: &Platform, twins: bool) -> Result<Snapshot> {
    let graph = &platform.resource_graph;
    let until = platform.clock.monotonic() + GRAPH_PATIENCE;
    loop {
        let mut projection = graph.projection.lock().await;
        if projection.step(platform, twins).await? {
            return Ok(projection.snapshot(platform));
        }
        let read = projection.devices();
        drop(projection);
        graph.begun.notify_one();
        if platform.clock.monotonic() >= until {
            let text = format!(
                "Resource Graph reads all devices after a start of the server, {read} until now, and is not done yet. Try again in {RETRY} seconds."
            );
            return Err(Error::unavailable(text, RETRY));
        }
        // A long reading lets others have the thread.
        tokio::task::yield_now().await;
    }
}

/// Reads on where somebody began, whether or not that one still waits.
pub(crate) async fn read_on(platform: &Platform) {
    let graph = &platform.resource_graph;
    loop {
        graph.begun.notified().await;
        loop {
            let stepped = graph.projection.lock().await.step(platform, false).await;
            match stepped {
                Ok(true) => break,
                Ok(false) => tokio::task::yield_now().await,
                Err(error) => {
                    // The next query tries again, and tells who asks.
                    tracing::warn!(%error, context = error.context, "Resource Graph could not be read");
                    break;
                }
            }
        }
    }
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

/// Plans of queries. A query computes what it says of no row while it is planned, so this is work as running it is.
async fn planned(
    platform: &Platform,
    permit: &Arc<OwnedSemaphorePermit>,
    texts: Vec<String>,
) -> Result<Vec<Result<Plan>>> {
    let now = platform.now();
    let now = (now.as_second(), u32::try_from(now.subsec_nanosecond()).unwrap_or(0));
    let plan = move |stop: &AtomicBool| {
        let one = |text: &String| kql::plan(text, &schema::SCHEMA, now, stop).map_err(|fault| refused(text, &fault));
        texts.iter().map(one).collect()
    };
    on_thread(platform, permit, GRAPH_TIME, plan).await
}

/// Works on a thread that may be held, for so long at most: then, or when nobody waits any more, `stop` is set and the work ends
/// soon. The turn is taken until then.
async fn on_thread<T: Send + 'static>(
    platform: &Platform,
    permit: &Arc<OwnedSemaphorePermit>,
    time: Duration,
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> Result<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let ends = StopOnDrop(Arc::clone(&stop));
    let permit = Arc::clone(permit);
    let mut run = tokio::task::spawn_blocking(move || {
        let done = work(&stop);
        drop(permit);
        done
    });
    let outcome = match timeout(platform.clock.as_ref(), time, &mut run).await {
        Ok(outcome) => outcome,
        Err(_) => {
            drop(ends);
            run.await
        }
    };
    outcome.map_err(|fault| Error::internal(format!("a query's thread ended: {fault}")))
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
    /// When the last of them is stopped.
    ends: Moment,
}

impl Work {
    /// Runs a plan.
    async fn run(&self, platform: &Platform, plan: Plan, page: Page, query: &str) -> Result<(Plan, Answer)> {
        let (snapshot, reach) = (Arc::clone(&self.snapshot), self.reach.clone());
        let time = self.ends.since(platform.clock.monotonic()).min(GRAPH_TIME);
        let run = move |stop: &AtomicBool| {
            let limits = Limits { stop, memory_bytes: GRAPH_BYTES, threads: THREADS };
            let paths = rows::resolve(&plan, &snapshot);
            let answer = plan.run(&reach.parts(&snapshot, &plan, &paths), page, limits);
            answer.map(|answer| (plan, answer))
        };
        on_thread(platform, &self.permit, time, run).await?.map_err(|fault| refused(query, &fault))
    }
}

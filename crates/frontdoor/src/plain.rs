//! Small plain-HTTP listeners: GET and HEAD, no body, no secrets.

use crate::errors::Trace;
use crate::https;
use crate::https::reply::{Head, Reply};
use crate::listener::{Life, open_places, serve};
use crate::write_timeout::WriteTimeout;
use ferrohub_model::clock::Clock;
use ferrohub_model::limits::{PLAIN_HEAD_BYTES, PLAIN_HEAD_TIMEOUT};
use ferrohub_model::random::Random;
use ferrohub_service::route::{Found, Table};
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where ids and times of answers come from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

/// Answers GET and HEAD requests on `listeners` with what `answer` makes of the path, on at most `share`
/// connections at once.
pub(crate) fn listen<A, F>(listeners: Vec<TcpListener>, life: &Life, share: usize, sources: &Sources, answer: A)
where
    A: Fn(String) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let (sources, ended) = (sources.clone(), life.clone());
    serve(listeners, life, &open_places(share, life), move |stream, _, _| {
        let (answer, sources, life) = (answer.clone(), sources.clone(), ended.clone());
        async move {
            let respond = service_fn(move |request: Request<Incoming>| {
                let (answer, sources) = (answer.clone(), sources.clone());
                async move {
                    let trace = Trace { request_id: sources.random.uuid_v4(), at: sources.clock.now() };
                    let head = Head::of(request.headers(), trace);
                    let reply = match *request.method() {
                        Method::GET | Method::HEAD => answer(request.uri().path().to_owned()).await,
                        _ => text(405, "Only GET and HEAD are possible here.\n"),
                    };
                    Ok::<_, Infallible>(reply.into_response(&head))
                }
            });
            let mut connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PLAIN_HEAD_TIMEOUT)
                .max_buf_size(PLAIN_HEAD_BYTES)
                .serve_connection(TokioIo::new(WriteTimeout::new(stream, life.clock().clone())), respond);
            https::run(&mut connection, &life, std::future::pending()).await;
        }
    });
}

/// The row of a table for a path as sent; HEAD is answered like GET.
pub(crate) fn find<H>(table: &Table<H>, path: &str) -> Found<'static, H> {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    table.find("GET", &segments)
}

/// A line of text.
pub(crate) fn text(status: u16, line: impl Into<String>) -> Reply {
    let mut reply = Reply::bytes("text/plain; charset=utf-8", line.into());
    reply.status = status;
    reply
}

//! Answers to requests, by their paths.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::negotiation::Format;
use super::pages::Pages;
use super::sampler::Sampler;
use super::sources::AdminSources;
use super::{guard, status};
use crate::reload::{ReloadOutcome, Report};

/// The maximum time to wait for the outcome of a reload. A reload that takes longer continues.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const PATHS: &str = "\
GET  /metrics     counters and gauges, for Prometheus
GET  /status      the state of the gateway, as JSON
GET  /rejections  the last 100 rejections, as JSON
GET  /healthz     whether the data thread answers
GET  /readyz      whether requests are accepted
POST /reload      load the files now, and show the outcome
";

pub(super) type HttpAnswer = Response<Full<Bytes>>;

/// Answers one request without reading its body. `local` is true if the request arrived at a
/// loopback address.
pub(super) async fn answer<B>(
    request: &Request<B>,
    sources: &AdminSources,
    sampler: &Sampler,
    local: bool,
) -> Result<HttpAnswer, Infallible> {
    if let Err((code, why)) = guard::check(request, local) {
        return Ok(text(code, format!("{why}\n")));
    }
    let method = request.method();
    let path = request.uri().path();
    let allowed = match path {
        "/reload" => Method::POST,
        _ => Method::GET,
    };
    let known = matches!(
        path,
        "/" | "/metrics" | "/status" | "/rejections" | "/healthz" | "/readyz" | "/reload"
    );
    if !known {
        return Ok(text(
            StatusCode::NOT_FOUND,
            format!("the paths are:\n{PATHS}"),
        ));
    }
    let reads = *method == Method::HEAD && allowed == Method::GET;
    if *method != allowed && !reads {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}\n"));
        let allow = HeaderValue::from_static(if path == "/reload" {
            "POST"
        } else {
            "GET, HEAD"
        });
        answer.headers_mut().insert(ALLOW, allow);
        return Ok(answer);
    }
    Ok(match path {
        "/reload" => reload(request, sources, RELOAD_TIMEOUT).await,
        "/" => text(StatusCode::OK, PATHS.to_owned()),
        _ => sampled_page(request, sources, sampler.sample().await),
    })
}

/// Returns the page at the path of a request. `pages` are made from one sample of the data thread,
/// or `None` if the data thread does not answer. Without pages, the answer has status 503.
fn sampled_page<B>(
    request: &Request<B>,
    sources: &AdminSources,
    pages: Option<Arc<Pages>>,
) -> HttpAnswer {
    let Some(pages) = pages else {
        let why = "the data thread does not answer\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
    };
    match request.uri().path() {
        "/metrics" => {
            let format = Format::of(accepted(request));
            let page = pages.metrics(format, sources);
            let mut answer = respond(StatusCode::OK, format.content_type(), page);
            let vary = HeaderValue::from_static("accept");
            answer.headers_mut().insert(VARY, vary);
            answer
        }
        "/status" => respond(StatusCode::OK, JSON, pages.status(sources)),
        "/rejections" => respond(StatusCode::OK, JSON, pages.rejections()),
        "/readyz" if pages.is_draining() => {
            let why = "draining: the gateway is shutting down and accepts no more requests\n";
            text(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
        }
        "/readyz" => text(StatusCode::OK, "ready\n".to_owned()),
        _ => text(StatusCode::OK, "ok\n".to_owned()),
    }
}

/// Requests a reload, and answers with its outcome, or with status 202 if the outcome is not known
/// within `time_max`.
pub(super) async fn reload<B>(
    request: &Request<B>,
    sources: &AdminSources,
    time_max: Duration,
) -> HttpAnswer {
    let (reported, report) = oneshot::channel();
    sources.wake.reload_with(move |report| {
        // The client may have disconnected.
        let _ = reported.send(report);
    });
    match timeout(time_max, report).await {
        Ok(Ok(report)) => {
            let code = match report.outcome {
                ReloadOutcome::Applied | ReloadOutcome::Unchanged => StatusCode::OK,
                ReloadOutcome::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
                ReloadOutcome::Refused => StatusCode::CONFLICT,
            };
            match wants_json(request) {
                true => respond(code, JSON, status::reload_as_json(&report)),
                false => text(code, reload_as_text(&report)),
            }
        }
        Ok(Err(_)) => {
            let why = "the gateway is shutting down and does not reload any more\n";
            text(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
        }
        Err(_) => {
            let why = "still loading; GET /status will show the outcome\n";
            text(StatusCode::ACCEPTED, why.to_owned())
        }
    }
}

fn wants_json<B>(request: &Request<B>) -> bool {
    accepted(request).contains("json")
}

/// Returns the value of the `Accept` header, or an empty string if it is absent or not text.
fn accepted<B>(request: &Request<B>) -> &str {
    let accept = request.headers().get(ACCEPT);
    let text = accept.and_then(|value| value.to_str().ok());
    text.unwrap_or_default()
}

fn reload_as_text(report: &Report) -> String {
    let Report {
        outcome,
        generation,
        plan,
        diagnostics,
        ..
    } = report;
    let summary = match outcome {
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => {
            format!("{}: {plan}; generation {generation}", outcome.label())
        }
        ReloadOutcome::Invalid | ReloadOutcome::Refused => {
            let serves = format!("generation {generation} stays in force");
            format!("{}: nothing changed; {serves}", outcome.label())
        }
    };
    match diagnostics.is_empty() {
        true => format!("{summary}\n"),
        false => format!("{summary}\n\n{}", diagnostics.render(false)),
    }
}

fn text(code: StatusCode, body: String) -> HttpAnswer {
    respond(code, TEXT, body)
}

fn respond(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> HttpAnswer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

//! Tests of unusual cases: more routes than are counted, a data thread that hangs, and a reload
//! that takes too long.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode};
use serde_json::Value;

use super::process::ProcessSample;
use super::sampler::Sampler;
use super::{AdminSources, answer, exposition, status};
use crate::config::{self, Inputs};
use crate::engine::{self, Running};
use crate::ledger::{OTHER_PRINCIPALS, PrincipalSample, RouteCounters};
use crate::metrics::Sample;
use crate::panics::Panics;
use crate::reload::{ControlStatus, SharedControlStatus};
use crate::snapshot::{ROUTES_COUNTED_MAX, RouteId, Snapshot};
use crate::watch::Follower;

const PERSON: &str = "syntax = \"proto3\"; package demo; message Person { string name = 1; }";

/// Returns a directory with a configuration of these routes.
fn files(routes: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("schemas")).unwrap();
    std::fs::write(directory.path().join("schemas/person.proto"), PERSON).unwrap();
    let text = format!(
        "frontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         routes: {{ {routes} }}\n"
    );
    std::fs::write(directory.path().join("routes.yaml"), text).unwrap();
    directory
}

fn load(routes: &str, after: Option<&Snapshot>) -> Snapshot {
    let directory = files(routes);
    let file = directory.path().join("routes.yaml");
    let loaded = match after {
        None => config::load(&file),
        Some(running) => config::load_after(&file, running),
    };
    loaded.unwrap().snapshot
}

/// Returns a sample with these numbers of matches for each schema in a route's list. Each message
/// that a route received matched one schema.
fn sample(snapshot: Snapshot, matched: &[(RouteId, &[u64])]) -> Arc<Sample> {
    let mut routes = vec![RouteCounters::default(); snapshot.names.routes()];
    for (id, matched) in matched {
        routes[id.0].received = matched.iter().sum();
        routes[id.0].matched[..matched.len()].copy_from_slice(matched);
    }
    Arc::new(Sample {
        uptime: Duration::ZERO,
        snapshot: Arc::new(snapshot),
        draining: false,
        ledger: Default::default(),
        in_flight: 0,
        routes,
        pools: Vec::new(),
        channels: Vec::new(),
        clients: Vec::new(),
        principals: Vec::new(),
        rejections: Vec::new(),
        judging: 0,
        judged: 0,
        engine: Default::default(),
    })
}

#[test]
fn routes_beyond_the_limit_share_a_label_and_removed_routes_keep_theirs() {
    let both = "[demo.Person, { msgpack: demo.Person }]";
    let mut first = load(
        &format!(
            "KEPT: {{ schema: {both}, pool: people }}, GONE: {{ schema: {both}, pool: people }}"
        ),
        None,
    );
    let (kept, gone) = (first.names.route("KEPT"), first.names.route("GONE"));
    for n in 0..ROUTES_COUNTED_MAX {
        first.names.route(&format!("long ago {n}"));
    }
    // The list of KEPT is shorter now, and the count of its former second schema stays.
    let routes = format!(
        "KEPT: {{ schema: demo.Person, pool: people }}, LATE: {{ schema: demo.Person, pool: people }}, \
         LATER: {{ schema: {both}, pool: people }}"
    );
    let second = load(&routes, Some(&first));
    let sample = sample(
        second,
        &[(kept, &[5, 1]), (gone, &[3, 2]), (RouteId::OTHERS, &[7, 4])],
    );

    let metrics = exposition::exposition(
        Arc::clone(&sample),
        ControlStatus::default(),
        0,
        ProcessSample::default(),
    );
    let shown = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("gateway_schema_matches_total"));
    let mut shown: Vec<_> = shown.collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            r#"{route="*others*",schema="0"} 7"#,
            r#"{route="*others*",schema="1"} 4"#,
            r#"{route="GONE",schema="0"} 3"#,
            r#"{route="GONE",schema="1"} 2"#,
            r#"{route="KEPT",schema="0"} 5"#,
            r#"{route="KEPT",schema="1"} 1"#,
        ]
    );
    assert!(!metrics.contains("long ago") && !metrics.contains("LATE"));

    let status: Value =
        serde_json::from_str(&status::status(&sample, &ControlStatus::default())).unwrap();
    let routes = status["routes"].as_array().unwrap().iter();
    let routes = routes.map(|route| {
        let name = route["type"].as_str().unwrap();
        (name, route["removed"] == true, route["received"].as_u64())
    });
    let routes: Vec<_> = routes.collect();
    assert_eq!(
        routes,
        [
            ("*others*", false, Some(11)),
            ("GONE", true, Some(5)),
            ("KEPT", false, Some(6)),
            ("LATE", false, None),
            ("LATER", false, None),
        ]
    );
}

/// The principals with the most requests are shown, and an entry stands for all others.
#[test]
fn principals_beyond_the_first_hundred_share_an_entry() {
    let counted = |name: &str, requests| {
        let mut sample = PrincipalSample::new(name.into());
        sample.counters.requests = requests;
        sample.counters.clients = 1;
        sample
    };
    let mut principals: Vec<_> = (0..150).map(|n| counted(&format!("p{n}"), n)).collect();
    principals.push(counted(OTHER_PRINCIPALS, 1_000));
    let shown = |principals: &[PrincipalSample]| {
        let mut sample = Arc::unwrap_or_clone(sample(load("A: { pool: people }", None), &[]));
        sample.principals = principals.to_vec();
        let text = status::status(&sample, &ControlStatus::default());
        let status: Value = serde_json::from_str(&text).unwrap();
        let shown = status["principals"].as_array().unwrap().iter();
        let shown = shown.map(|principal| {
            let name = principal["name"].as_str().unwrap().to_owned();
            (
                name,
                principal["requests"].as_u64().unwrap(),
                principal["clients"].as_u64().unwrap(),
            )
        });
        shown.collect::<Vec<_>>()
    };
    let all = shown(&principals);
    assert_eq!(all.len(), 101);
    assert_eq!(all[0], ("p149".into(), 149, 1));
    assert_eq!(all[99], ("p50".into(), 50, 1));
    let rest = (0..50).sum::<u64>() + 1_000;
    assert_eq!(all[100], (OTHER_PRINCIPALS.into(), rest, 51));
    assert_eq!(shown(&principals[..100]).len(), 100);
    assert_eq!(shown(&[]), []);
}

/// A gateway whose [`Follower`] never runs, so that no reload takes place.
struct Unfollowed {
    running: Running,
    sources: AdminSources,
    _follower: Follower,
}

impl Unfollowed {
    fn start() -> Self {
        let directory = files("A: { pool: people }");
        let file = directory.path().join("routes.yaml");
        let inputs = Inputs::read(&file, &[]);
        let seen = inputs.seen().clone();
        let snapshot = Arc::new(inputs.load().unwrap().snapshot);
        let running = engine::start(Arc::clone(&snapshot)).unwrap();
        let follower = Follower::new(&file, seen, snapshot, running.reloader(), |_| {});
        Self {
            sources: AdminSources {
                observer: running.observer(),
                control_status: Arc::<SharedControlStatus>::default(),
                wake: follower.wake(),
                panics: Panics::default(),
            },
            running,
            _follower: follower,
        }
    }
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

async fn reported(answer: answer::HttpAnswer) -> (StatusCode, String) {
    let code = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn a_hanging_data_thread_is_reported_until_the_thread_recovers() {
    let gateway = Unfollowed::start();
    on_a_runtime(async {
        let sampler = Sampler::start(gateway.sources.observer.clone()).unwrap();
        let get = async |path: &str| {
            let request = Request::builder().uri(path).header("host", "127.0.0.1");
            let request = request.body(()).unwrap();
            let answer = answer::answer(&request, &gateway.sources, &sampler, true).await;
            reported(answer.unwrap()).await
        };
        assert_eq!(get("/healthz").await, (StatusCode::OK, "ok\n".into()));
        let (resume, resumed) = mpsc::channel::<()>();
        // The data thread hangs in this callback.
        let is_sent = gateway.sources.observer.request(move |_| {
            let _ = resumed.recv();
        });
        assert!(is_sent);
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let why = "the data thread does not answer\n".to_owned();
        for path in ["/healthz", "/readyz", "/metrics", "/status"] {
            assert_eq!(get(path).await, (unavailable, why.clone()), "{path}");
        }
        drop(resume);
        while get("/healthz").await.0 != StatusCode::OK {}
        gateway.running.control().stop();
        gateway.running.wait().unwrap();
        let request = Request::builder()
            .uri("/healthz")
            .header("host", "127.0.0.1");
        let request = request.body(()).unwrap();
        let ended = answer::answer(&request, &gateway.sources, &sampler, true).await;
        assert_eq!(reported(ended.unwrap()).await, (unavailable, why));
    });
}

#[test]
fn a_reload_that_takes_too_long_is_answered_as_accepted() {
    let gateway = Unfollowed::start();
    let request = Request::builder().method("POST").uri("/reload");
    let request = request.body(()).unwrap();
    let answer = on_a_runtime(async {
        // The follower never runs, so the reload never ends.
        let answer = answer::reload(&request, &gateway.sources, Duration::from_millis(1)).await;
        reported(answer).await
    });
    let why = "still loading; GET /status will show the outcome\n";
    assert_eq!(answer, (StatusCode::ACCEPTED, why.to_owned()));
    gateway.running.control().stop();
    gateway.running.wait().unwrap();
}

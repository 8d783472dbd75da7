//! How does the house feel?
//!
//! Answers on a listener of its own, for those who watch: the figures for Prometheus, whether the process serves, and
//! whether it is ready for traffic and if not, why. Who may change something asks elsewhere: [`Control`].
//!
//! Promises: [`Admin`] only reads, and tells nothing that was in a request; being asked costs no room anything but the
//! figures.
//!
//! Must not know: sockets, or who may connect.

mod control;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

pub use control::{Answer, Control, NotReloaded, Reloaded, Wrong};

use crate::metrics::Metrics;

/// What is asked before readiness is told: each reason against it in a few words, none if there is nothing against it.
pub type Objections = dyn Fn() -> Vec<&'static str> + Send + Sync;

/// Answers those who watch.
pub struct Admin {
    metrics: Arc<Metrics>,
    objections: Box<Objections>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin(..)")
    }
}

impl Admin {
    /// Tells these figures; `objections` are asked for at every question about readiness.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, objections: impl Fn() -> Vec<&'static str> + Send + Sync + 'static) -> Self {
        Self { metrics, objections: Box::new(objections) }
    }

    /// Answers one request. Its body is not read.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let known = matches!(request.uri().path(), "/metrics" | "/-/healthy" | "/-/ready");
        if !known {
            return text(StatusCode::NOT_FOUND, "there are /metrics, /-/healthy and /-/ready\n");
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only to be read\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/metrics" => self.figures(),
            "/-/ready" => self.ready(),
            _ => text(StatusCode::OK, "healthy\n"),
        }
    }

    fn figures(&self) -> Response<Full<Bytes>> {
        let mut response = text(StatusCode::OK, self.metrics.render());
        let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, format);
        response
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let objections = (self.objections)();
        if objections.is_empty() {
            return text(StatusCode::OK, "ready\n");
        }
        let lines: Vec<_> = objections.iter().map(|reason| format!("not ready: {reason}\n")).collect();
        text(StatusCode::SERVICE_UNAVAILABLE, lines.concat())
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(admin: &Admin, method: Method, uri: &str) -> (u16, String, Response<Full<Bytes>>) {
        let response = admin.answer(&Request::builder().method(method).uri(uri).body(()).unwrap());
        let body = response.clone().into_body().collect().await.unwrap().to_bytes();
        (response.status().as_u16(), String::from_utf8(body.into()).unwrap(), response)
    }

    #[tokio::test]
    async fn answers_three_questions_and_no_other() {
        let cases = [
            (Method::GET, "/metrics", 200),
            (Method::HEAD, "/metrics", 200),
            (Method::GET, "/metrics?name[]=up", 200),
            (Method::GET, "/-/healthy", 200),
            (Method::HEAD, "/-/healthy", 200),
            (Method::GET, "/-/ready", 200),
            (Method::POST, "/metrics", 405),
            (Method::PUT, "/-/ready", 405),
            (Method::DELETE, "/-/healthy", 405),
            (Method::OPTIONS, "/metrics", 405),
            (Method::GET, "/", 404),
            (Method::GET, "/metrics/", 404),
            (Method::GET, "/-/reload", 404),
            (Method::POST, "/-/reload", 404),
            (Method::GET, "/-/../metrics", 404),
        ];
        let admin = Admin::new(Arc::new(Metrics::new()), Vec::new);
        for (method, uri, expected) in cases {
            let (status, body, response) = ask(&admin, method.clone(), uri).await;
            assert_eq!(status, expected, "{method} {uri}");
            assert!(!body.is_empty());
            assert_eq!(response.headers().contains_key(ALLOW), status == 405, "{method} {uri}");
            assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }

    #[tokio::test]
    async fn gives_the_figures_as_prometheus_wants_them() {
        let metrics = Arc::new(Metrics::new());
        metrics.journal().events.inc_by(7);
        let (_, body, response) = ask(&Admin::new(metrics, Vec::new), Method::GET, "/metrics").await;
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
        assert!(body.contains("\nporteiro_journal_events_total 7\n"), "{body}");
    }

    #[tokio::test]
    async fn says_why_it_is_not_ready_and_is_healthy_all_the_same() {
        let admin = Admin::new(Arc::new(Metrics::new()), || vec!["the house is closing", "the journal is full"]);
        let (status, body, _) = ask(&admin, Method::GET, "/-/ready").await;
        assert_eq!((status, &*body), (503, "not ready: the house is closing\nnot ready: the journal is full\n"));
        assert_eq!(ask(&admin, Method::GET, "/-/healthy").await.0, 200);
    }
}

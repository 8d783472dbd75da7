//! What may the operator have a running house do?
//!
//! HTTP over a socket that only Porteiro's own user can reach: the server, its limits and its early answers are in the
//! house, every command has a path of its own, an answer can be long, and `curl --unix-socket` is a client.
//!
//! Promises: a command is a POST and answers when it is done; nothing secret is in an answer.
//!
//! Must not know: how a command is carried out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::text;

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The number of the configuration that is in force now.
    pub generation: u64,
    /// What took effect, a line each.
    pub changed: Vec<String>,
    /// What waits for a restart, a line each.
    pub restart: Vec<String>,
    /// What works and is unsafe, a line each.
    pub dangers: Vec<String>,
}

/// Why the configuration in force stayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReloaded {
    /// The new one has problems.
    Refused {
        /// Each of them.
        problems: Vec<Wrong>,
        /// All of them, as a person reads them.
        report: String,
    },
    /// It could not be taken in.
    Failed(String),
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What stands beside the marked text.
    pub marked: String,
    /// What is allowed, why it matters, what to do.
    pub advice: Vec<String>,
}

/// How a reload ended.
pub type Answer = Result<Reloaded, NotReloaded>;

/// Carries out a reload.
type Reload = dyn Fn() -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// Answers those who tell the house what to do.
pub struct Control {
    reload: Box<Reload>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control(..)")
    }
}

impl Control {
    /// Has reloads carried out by `reload`.
    #[must_use]
    pub fn new<F>(reload: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self { reload: Box::new(move || Box::pin(reload())) }
    }

    /// Answers one request. Its body is not read.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        if request.uri().path() != "/-/reload" {
            return text(StatusCode::NOT_FOUND, "there is POST /-/reload\n");
        }
        if request.method() != Method::POST {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "a command is a POST\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        drop(request);
        let (status, told) = told((self.reload)().await);
        let mut response = text(status, format!("{told}\n"));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

fn told(answer: Answer) -> (StatusCode, Value) {
    match answer {
        Ok(Reloaded { generation, changed, restart, dangers }) => {
            let told = json!({
                "result": "applied",
                "generation": generation,
                "changed": changed,
                "restart": restart,
                "dangers": dangers,
            });
            (StatusCode::OK, told)
        }
        Err(NotReloaded::Refused { problems, report }) => {
            let problem = |wrong: &Wrong| {
                let Wrong { file, line, column, problem, marked, advice } = wrong;
                json!({
                    "file": file, "line": line, "column": column, "problem": problem, "marked": marked, "advice": advice,
                })
            };
            let problems: Vec<Value> = problems.iter().map(problem).collect();
            let told = json!({ "result": "refused", "problems": problems, "report": report });
            (StatusCode::UNPROCESSABLE_ENTITY, told)
        }
        Err(NotReloaded::Failed(why)) => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "result": "failed", "reason": why }))
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(method: Method, uri: &str, answer: Answer) -> (u16, String) {
        let control = Control::new(move || std::future::ready(answer.clone()));
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let response = control.answer(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn there_is_one_command_and_it_is_a_post() {
        let cases = [
            (Method::POST, "/-/reload", 200),
            (Method::POST, "/-/reload?now", 200),
            (Method::GET, "/-/reload", 405),
            (Method::HEAD, "/-/reload", 405),
            (Method::PUT, "/-/reload", 405),
            (Method::DELETE, "/-/reload", 405),
            (Method::POST, "/", 404),
            (Method::POST, "/-/reload/", 404),
            (Method::POST, "/-/quit", 404),
            (Method::POST, "/-/../-/reload", 404),
            (Method::GET, "/metrics", 404),
        ];
        for (method, uri, expected) in cases {
            assert_eq!(ask(method.clone(), uri, Ok(Reloaded::default())).await.0, expected, "{method} {uri}");
        }
    }

    #[tokio::test]
    async fn each_end_has_a_status_and_says_what_it_is() {
        let wrong = Wrong {
            file: "porteiro.toml".into(),
            line: 3,
            column: 7,
            problem: "there is no provider `githb`".into(),
            marked: "did you mean `github`?".into(),
            advice: vec!["the providers are ...".into()],
        };
        let refused = NotReloaded::Refused { problems: vec![wrong], report: "error: ...".into() };
        let cases = [
            (
                Ok(Reloaded { generation: 4, changed: vec!["source a: added".into()], ..Reloaded::default() }),
                200,
                "applied",
            ),
            (Err(refused), 422, "refused"),
            (Err(NotReloaded::Failed("the house closes".into())), 503, "failed"),
        ];
        for (answer, status, word) in cases {
            let (got, body) = ask(Method::POST, "/-/reload", answer).await;
            let told: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((got, &told["result"]), (status, &Value::from(word)), "{body}");
        }
    }
}

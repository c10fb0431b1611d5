//! Who may come in: the key, and for browsers the names by which they call this server (DNS rebinding) and the pages that may use it.

use super::AccessArgs;
use super::problem::Problem;
use super::state::Shared;
use crate::failure::Failure;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Of pages of our own: nothing but our own files.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Of the documentation, whose styles are set by its script.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Sent with everything.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What is asked of a request.
pub struct Guard {
    key: Option<String>,
    hosts: Vec<String>,
    /// Web pages elsewhere that may use the API.
    pub origins: Vec<HeaderValue>,
}

impl Guard {
    /// # Errors
    /// An address beyond this machine without a key, or without saying that none is wanted; an origin that is none.
    pub fn new(host: IpAddr, access: &AccessArgs) -> Result<Self, Failure> {
        if !host.is_loopback() && access.api_key.is_none() && !access.no_api_key {
            return Err(Failure::Usage(format!(
                "--host {host} lets other machines in: set --api-key (or QAIO_API_KEY), or --no-api-key if everyone may use the model"
            )));
        }
        if access.api_key.as_ref().is_some_and(|key| key.trim().is_empty()) {
            return Err(Failure::Usage("--api-key is empty; give a long random one".to_owned()));
        }
        let origin = |origin: &String| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let plain = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']));
            HeaderValue::from_str(origin).ok().filter(|_| plain).ok_or_else(|| {
                Failure::Usage(format!("--allow-origin {origin:?} is no origin; write it like https://example.org"))
            })
        };
        Ok(Self {
            key: access.api_key.clone(),
            hosts: access.allow_host.iter().map(|host| host.to_ascii_lowercase()).collect(),
            origins: access.allow_origin.iter().map(origin).collect::<Result<_, _>>()?,
        })
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let host =
            request.uri().authority().map(|authority| authority.as_str()).or_else(|| text(headers, &header::HOST));
        let Some(host) = host else {
            return Err(Problem::bad_request("HOST_NOT_ALLOWED", "the request names no host"));
        };
        if !self.knows(without_port(host)) {
            let detail =
                format!("this server is not known as {host:?}; to allow the name: qaio serve --allow-host NAME");
            return Err(Problem::new(StatusCode::FORBIDDEN, "HOST_NOT_ALLOWED", detail));
        }
        if let Some(origin) = headers.get(header::ORIGIN)
            && !self.origins.contains(origin)
            && !is_same(origin, host)
        {
            let detail =
                format!("pages of {origin:?} may not use this server; to allow them: qaio serve --allow-origin ORIGIN");
            return Err(Problem::new(StatusCode::FORBIDDEN, "ORIGIN_NOT_ALLOWED", detail));
        }
        match &self.key {
            Some(key) if !is_public(request.uri().path()) && !has_key(headers, key) => {
                let detail = "the server needs its key: send the header `Authorization: Bearer KEY`";
                Err(Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", detail))
            }
            _ => Ok(()),
        }
    }

    /// Whether a browser may call this server `host`. An address cannot be rebound, only a name can.
    fn knows(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// Lets a request in or not, and puts the security headers on every response.
pub async fn pass(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let docs = request.uri().path().starts_with("/docs");
    let page = request.uri().path() == "/" || request.uri().path().starts_with("/assets/");
    let mut response = match app.guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_static(if docs { DOCS_POLICY } else { PAGE_POLICY });
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if !docs && !page {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What needs no key: the page (it asks for the key), the documentation, and whether the server is well.
fn is_public(path: &str) -> bool {
    matches!(path, "/" | "/healthz" | "/readyz" | "/openapi.json" | "/docs")
        || path.starts_with("/assets/")
        || path.starts_with("/docs/")
}

fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let sent = text(headers, &header::AUTHORIZATION).and_then(|sent| sent.split_once(' '));
    sent.is_some_and(|(scheme, sent)| {
        scheme.eq_ignore_ascii_case("bearer") && is_equal(sent.trim().as_bytes(), key.as_bytes())
    })
}

/// In a time that does not tell how much is right.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

fn is_same(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().unwrap_or("");
    origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn access(key: Option<&str>) -> AccessArgs {
        AccessArgs {
            api_key: key.map(str::to_owned),
            no_api_key: false,
            allow_host: vec!["qaio.example".to_owned()],
            allow_origin: vec!["https://app.example".to_owned()],
        }
    }

    fn outcome(guard: &Guard, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = axum::http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard
            .check(&request.body(axum::body::Body::empty()).unwrap())
            .err()
            .map_or(200, |problem| problem.status().as_u16())
    }

    #[test]
    fn names_and_origins() {
        let guard = Guard::new(Ipv4Addr::LOCALHOST.into(), &access(None)).ok().unwrap();
        for (host, status) in [
            ("localhost:8080", 200),
            ("127.0.0.1:8080", 200),
            ("[::1]:8080", 200),
            ("[::1]", 200),
            ("192.168.1.7", 200),
            ("QAIO.example:80", 200),
            ("evil.example:8080", 403),
            ("localhost.evil.example", 403),
        ] {
            assert_eq!(outcome(&guard, "/api/info", &[("host", host)]), status, "{host}");
        }
        assert_eq!(outcome(&guard, "/api/info", &[]), 400);
        for (origin, status) in [
            ("http://localhost:8080", 200),
            ("https://app.example", 200),
            ("http://localhost:9999", 403),
            ("https://evil.example", 403),
            ("null", 403),
        ] {
            assert_eq!(
                outcome(&guard, "/api/turn", &[("host", "localhost:8080"), ("origin", origin)]),
                status,
                "{origin}"
            );
        }
    }

    #[test]
    fn the_key() {
        let guard = Guard::new(Ipv4Addr::UNSPECIFIED.into(), &access(Some("secret"))).ok().unwrap();
        let host = ("host", "10.0.0.1:8080");
        assert_eq!(outcome(&guard, "/api/info", &[host]), 401);
        assert_eq!(outcome(&guard, "/api/info", &[host, ("authorization", "Bearer secreT")]), 401);
        assert_eq!(outcome(&guard, "/api/info", &[host, ("authorization", "bearer secret")]), 200);
        for path in ["/", "/healthz", "/assets/app.js", "/docs/"] {
            assert_eq!(outcome(&guard, path, &[host]), 200, "{path}");
        }
        assert!(Guard::new(Ipv4Addr::UNSPECIFIED.into(), &access(None)).is_err());
    }
}

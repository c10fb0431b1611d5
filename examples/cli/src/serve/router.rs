//! Which path leads where, and what every request passes.

use super::input::MOST_BYTES;
use super::problem::Problem;
use super::state::Shared;
use super::{classify, docs, guard, health, openai, page, sessions, turn};
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::any::Any;
use std::time::{Duration, Instant};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::timeout::RequestBodyTimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time between two pieces of a request's body.
const SLOWEST_BODY: Duration = Duration::from_secs(10);
/// Bytes of an error's text that is put into a problem.
const MOST_ERROR: usize = 4096;

/// Everything that is served.
pub fn router(app: Shared) -> Router {
    let (api, document) = OpenApiRouter::with_openapi(docs::Api::openapi())
        .routes(routes!(turn::turn))
        .routes(routes!(classify::classify))
        .routes(routes!(classify::tasks))
        .routes(routes!(sessions::create))
        .routes(routes!(sessions::read, sessions::delete))
        .routes(routes!(openai::chat_completions))
        .routes(routes!(openai::models))
        .routes(routes!(health::info))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .split_for_parts();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(app.guard.origins.clone()))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]);
    let router = api
        .route("/", get(page::index))
        .route("/assets/{*name}", get(page::asset))
        .merge(docs::pages(document))
        .fallback(async |request: Request| {
            Problem::not_found(format!("there is no {:?}; /docs lists what there is", request.uri().path()))
        })
        .method_not_allowed_fallback(async |request: Request| {
            let detail = format!("{} does not take {}", request.uri().path(), request.method());
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail)
        })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(RequestBodyTimeoutLayer::new(SLOWEST_BODY))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| {
            let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
            tracing::error!("a request failed: {}", what.unwrap_or("unknown"));
            Problem::internal().into_response()
        }))
        .layer(from_fn(errors_as_problems))
        .layer(from_fn_with_state(app.clone(), count))
        .layer(from_fn_with_state(app.clone(), guard::pass));
    let router = if app.guard.origins.is_empty() { router } else { router.layer(cors) };
    router.with_state(app)
}

/// What the framework itself refuses is told like everything else.
async fn errors_as_problems(request: Request, next: Next) -> Response {
    let (parts, body) = next.run(request).await.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !(parts.status.is_client_error() || parts.status.is_server_error()) || kind == Some(b"application/problem+json")
    {
        return Response::from_parts(parts, body);
    }
    let text = axum::body::to_bytes(body, MOST_ERROR).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let detail = if text.is_empty() { "the request was refused" } else { &text };
    Problem::new(parts.status, "REFUSED", detail).into_response()
}

async fn count(State(app): State<Shared>, path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let (began, method) = (Instant::now(), request.method().clone());
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let path = path.as_ref().map_or("other", MatchedPath::as_str);
    tracing::info!("{method} {path} {status} {took:.1?}");
    app.metrics.count_request(path, status, took);
    response
}

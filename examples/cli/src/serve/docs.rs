//! The API's own description: `/openapi.json`, and `/docs` to read and try it, without a network.

use super::problem::Problem;
use axum::Router;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "qaio",
        description = "One small Qwen chat model as sentiment analyst and empathetic assistant. Errors are problem details \
                       (RFC 9457) whose `code` is for programs and whose `detail` is for people.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    modifiers(&Key),
    security((), ("key" = [])),
    tags(
        (name = "chat", description = "A message, its sentiment, and the reply"),
        (name = "sessions", description = "Conversations"),
        (name = "tasks", description = "Which label a text has"),
        (name = "openai", description = "For OpenAI's clients"),
        (name = "health", description = "Whether the server is well"),
    )
)]
pub struct Api;

/// The key of `--api-key`, where the server has one.
struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

/// The pages that show `document`.
pub fn pages<S: Clone + Send + Sync + 'static>(document: Document) -> Router<S> {
    let config = Config::from("/openapi.json").use_base_layout().try_it_out_enabled(true);
    Router::from(SwaggerUi::new("/docs").url("/openapi.json", document).config(config)).with_state(())
}

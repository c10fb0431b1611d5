//! Figures for Prometheus.

use super::queue::Queue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use qaio::Usage;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    texts: Counter,
    labels: Counter,
    prompt_tokens: Counter,
    cached_tokens: Counter,
    reply_tokens: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: String,
}

/// Asked when somebody looks.
struct Load(Arc<Queue>);

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Load")
    }
}

impl Metrics {
    pub fn new(queue: Arc<Queue>) -> Self {
        // From a millisecond to a minute.
        let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 17));
        let metrics = Self {
            registry: Registry::with_prefix("qaio"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            texts: Counter::default(),
            labels: Counter::default(),
            prompt_tokens: Counter::default(),
            cached_tokens: Counter::default(),
            reply_tokens: Counter::default(),
        };
        metrics.registered(queue)
    }

    fn registered(mut self, queue: Arc<Queue>) -> Self {
        let registry = &mut self.registry;
        registry.register("requests", "Requests by route and status", self.requests.clone());
        let help = "Time until a response began; a stream goes on after that";
        registry.register_with_unit("request_duration", help, Unit::Seconds, self.seconds.clone());
        registry.register("texts", "Texts that tasks were asked about", self.texts.clone());
        registry.register("turns", "Messages whose sentiment was found before a reply", self.labels.clone());
        registry.register("prompt_tokens", "Tokens of prompts of replies", self.prompt_tokens.clone());
        registry.register("cached_tokens", "Of these, not computed again", self.cached_tokens.clone());
        registry.register("reply_tokens", "Tokens of replies", self.reply_tokens.clone());
        registry.register_collector(Box::new(Load(queue)));
        self
    }

    pub fn count_request(&self, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Request { route: route.to_owned(), status }).inc();
        self.seconds.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    pub fn count_texts(&self, texts: usize) {
        self.texts.inc_by(texts as u64);
    }

    pub fn first_label(&self) {
        self.labels.inc();
    }

    pub fn count_reply(&self, usage: &Usage) {
        self.prompt_tokens.inc_by(usage.prompt_tokens as u64);
        self.cached_tokens.inc_by(usage.cached_tokens as u64);
        self.reply_tokens.inc_by(usage.reply_tokens as u64);
    }

    /// In the text format of OpenMetrics.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Collector for Load {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (running, waiting) = self.0.load();
        for (name, help, value) in [
            ("running", "Requests that compute now", running),
            ("waiting", "Requests that wait for their turn", waiting),
        ] {
            let gauge = ConstGauge::new(value as i64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

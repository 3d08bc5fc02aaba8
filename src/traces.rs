//! Where traces go, from flags, file and environment.

use clap::Args;
use nearside_host::spans::{Exporting, TraceSettings, settings::Wished};

#[derive(Args)]
pub struct TraceArgs {
    /// A collector of traces, over OTLP/HTTP; `/v1/traces` is added [default: OTEL_EXPORTER_OTLP_ENDPOINT, else none: nothing is
    /// traced]
    #[arg(long, env = "NEARSIDE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// How many of those that come without a decision are traced, 0 to 1; whoever sends a `traceparent` has decided
    /// [default: as OTEL_TRACES_SAMPLER says, else 0.01]
    #[arg(long, env = "NEARSIDE_TRACE_RATIO", value_name = "PART")]
    pub trace_ratio: Option<f64>,
}

impl TraceArgs {
    /// What the flags say, else the file.
    pub fn or(self, file: Wished) -> Wished {
        Wished { endpoint: self.otlp_endpoint.or(file.endpoint), ratio: self.trace_ratio.or(file.ratio) }
    }
}

/// `service` is `nearside-node` or `nearside-origin`; `more` is what else this process knows of itself.
pub fn settings(wished: &Wished, service: &str, more: &[(&str, &str)]) -> anyhow::Result<Option<TraceSettings>> {
    let own = [("service.name", service), ("service.version", env!("CARGO_PKG_VERSION"))];
    let own: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
    Ok(TraceSettings::resolve(wished, &own, |name| std::env::var(name).ok())?)
}

/// Starts to send what is traced, if anything is.
pub fn start(settings: Option<TraceSettings>) -> anyhow::Result<Exporting> {
    if let Some(settings) = &settings {
        tracing::info!(to = %settings.endpoint, "traces are sent to a collector");
    }
    Ok(Exporting::start(settings)?)
}

//! Where spans go and which are kept: what the operator says, else OpenTelemetry's environment, else nowhere.
//!
//! | variable | |
//! |---|---|
//! | `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER` | `true` and `none`: nothing is traced, whatever else is said |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector; `/v1/traces` is added |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the same, to the last byte |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, and nothing else |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `…_TIMEOUT`, `…_CERTIFICATE` | `name=value,…`; milliseconds; authorities to believe, PEM |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_traceidratio` and the others of the standard; a part from 0 to 1 |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | what is said of the process |
//!
//! Those of the second half are read with `_TRACES` in their middle, too, which goes first.

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use nearside_protocol::limits;

use super::sampler::Sampler;

const PATH: &str = "/v1/traces";
const SERVICE_NAME: &str = "service.name";

/// What an operator says of it on the command line, or in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wished {
    /// Without the path.
    pub endpoint: Option<String>,
    /// Of requests that come without a decision.
    pub ratio: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    pub endpoint: Uri,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long the collector may take to answer.
    pub wait: Duration,
    pub sampler: Sampler,
    /// Whom to believe where it speaks TLS; those everybody does when absent.
    pub authorities: Option<PathBuf>,
    /// What is said of this process.
    pub attributes: Vec<(String, String)>,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{name}: {why}")]
pub struct BadSetting {
    pub name: String,
    pub why: String,
}

fn bad(name: &str, why: impl Into<String>) -> BadSetting {
    BadSetting { name: name.to_owned(), why: why.into() }
}

impl TraceSettings {
    /// None: nothing is traced. `own` is what this process knows of itself.
    pub fn resolve(
        wished: &Wished,
        own: &[(&str, &str)],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<TraceSettings>, BadSetting> {
        let said = Said(&environment);
        if said.is("OTEL_SDK_DISABLED", "true") || said.is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let Some(endpoint) = endpoint(wished, &said)? else { return Ok(None) };
        if let Some((name, protocol)) = said.of_export("PROTOCOL").filter(|(_, protocol)| protocol != "http/protobuf") {
            return Err(bad(&name, format!("`{protocol}`: only http/protobuf is spoken here")));
        }
        let wait = match said.of_export("TIMEOUT") {
            None => limits::COLLECTOR_WAIT,
            Some((name, text)) => {
                let ms = text.parse().map_err(|_| bad(&name, format!("`{text}`: milliseconds expected")))?;
                Duration::from_millis(ms).clamp(Duration::from_millis(1), limits::COLLECTOR_WAIT_MOST)
            }
        };
        Ok(Some(TraceSettings {
            endpoint,
            headers: headers(&said)?,
            wait,
            sampler: sampler(wished, &said)?,
            authorities: said.of_export("CERTIFICATE").map(|(_, file)| file.into()),
            attributes: attributes(own, &said)?,
        }))
    }
}

/// The environment; what is empty is not said.
struct Said<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Said<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|said| said.eq_ignore_ascii_case(value))
    }

    /// What is said of traces alone, else of everything that is exported; with the variable's name.
    fn of_export(&self, what: &str) -> Option<(String, String)> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"].map(|start| format!("{start}{what}"));
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }
}

fn endpoint(wished: &Wished, said: &Said<'_>) -> Result<Option<Uri>, BadSetting> {
    let whole = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let base = match &wished.endpoint {
        Some(base) => Some(("otlp_endpoint", base.clone())),
        None => match said.get(whole) {
            Some(text) => return url(whole, &text).map(Some),
            None => said.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| ("OTEL_EXPORTER_OTLP_ENDPOINT", base)),
        },
    };
    let Some((name, base)) = base else { return Ok(None) };
    let base = base.trim_end_matches('/');
    let text = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
    url(name, &text).map(Some)
}

fn url(name: &str, text: &str) -> Result<Uri, BadSetting> {
    let url = text.parse::<Uri>().ok();
    let url = url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
    url.ok_or_else(|| bad(name, format!("`{text}` is not a collector: `http://host:4318` expected")))
}

fn headers(said: &Said<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, BadSetting> {
    let Some((name, text)) = said.of_export("HEADERS") else { return Ok(Vec::new()) };
    // What it says may be a secret, so it is not shown.
    let no_header = || bad(&name, "`name=value,…` expected, of characters that fit in a header");
    let one = |(key, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).map_err(|_| no_header())?;
        value.set_sensitive(true);
        Ok((key.parse().map_err(|_| no_header())?, value))
    };
    pairs(&name, &text)?.into_iter().map(one).collect()
}

fn sampler(wished: &Wished, said: &Said<'_>) -> Result<Sampler, BadSetting> {
    let part = |name: &str, ratio: f64| match (0.0..=1.0).contains(&ratio) {
        true => Ok(ratio),
        false => Err(bad(name, format!("{ratio}: a part from 0 to 1 expected"))),
    };
    if let Some(ratio) = wished.ratio {
        return Ok(Sampler::of(part("trace_ratio", ratio)?, true));
    }
    let (name, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
    let ratio = || match said.get(argument) {
        None => Ok(1.0),
        Some(text) => {
            part(argument, text.parse().map_err(|_| bad(argument, format!("`{text}`: a part from 0 to 1 expected")))?)
        }
    };
    let Some(sampler) = said.get(name) else { return Ok(Sampler::of(limits::TRACE_RATIO, true)) };
    Ok(match sampler.to_ascii_lowercase().as_str() {
        "always_on" => Sampler::of(1.0, false),
        "always_off" => Sampler::of(0.0, false),
        "traceidratio" => Sampler::of(ratio()?, false),
        "parentbased_always_on" => Sampler::of(1.0, true),
        "parentbased_always_off" => Sampler::of(0.0, true),
        "parentbased_traceidratio" => Sampler::of(ratio()?, true),
        _ => {
            return Err(bad(
                name,
                format!("`{sampler}`: always_on, always_off, traceidratio or parentbased_… expected"),
            ));
        }
    })
}

fn attributes(own: &[(&str, &str)], said: &Said<'_>) -> Result<Vec<(String, String)>, BadSetting> {
    let mut all: Vec<(String, String)> =
        own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut set = |name: String, value: String| match all.iter_mut().find(|(there, _)| *there == name) {
        Some((_, before)) => *before = value,
        None => all.push((name, value)),
    };
    let variable = "OTEL_RESOURCE_ATTRIBUTES";
    if let Some(text) = said.get(variable) {
        pairs(variable, &text)?.into_iter().for_each(|(name, value)| set(name, value));
    }
    if let Some(name) = said.get("OTEL_SERVICE_NAME") {
        set(SERVICE_NAME.to_owned(), name);
    }
    Ok(all)
}

/// `name=value,name=value`, the values percent-encoded.
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>, BadSetting> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())?)).filter(|(name, _)| !name.is_empty())
    };
    let wrong = || bad(name, "`name=value,…` expected, with % before two digits for what stands in the way");
    let all: Option<Vec<_>> = text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect();
    let all = all.ok_or_else(wrong)?;
    match all.len() <= limits::TRACE_EXTRAS {
        true => Ok(all),
        false => Err(bad(name, format!("at most {} are taken", limits::TRACE_EXTRAS))),
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(wished: &Wished, environment: &[(&str, &str)]) -> Result<Option<TraceSettings>, BadSetting> {
        let own = [(SERVICE_NAME, "nearside-node"), ("service.instance.id", "a")];
        TraceSettings::resolve(wished, &own, |name| {
            environment.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn at(endpoint: &str) -> Wished {
        Wished { endpoint: Some(endpoint.to_owned()), ratio: None }
    }

    #[test]
    fn nothing_is_traced_unless_there_is_somewhere_to_send_it() {
        let nothing = Wished::default();
        assert_eq!(resolve(&nothing, &[]), Ok(None));
        assert_eq!(resolve(&nothing, &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
        assert_eq!(resolve(&Wished { ratio: Some(1.0), ..nothing.clone() }, &[]), Ok(None));
        assert_eq!(resolve(&at("http://c:4318"), &[("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(resolve(&at("http://c:4318"), &[("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    }

    #[test]
    fn the_endpoint_is_the_operators_else_that_of_traces_else_that_of_all() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/base/");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces/whole?x=1");
        let is = |wished: &Wished, environment: &[(&str, &str)]| {
            resolve(wished, environment).unwrap().unwrap().endpoint.to_string()
        };
        assert_eq!(is(&at("http://own:4318"), &[all, traces]), "http://own:4318/v1/traces");
        assert_eq!(is(&at("http://own:4318/v1/traces"), &[]), "http://own:4318/v1/traces");
        assert_eq!(is(&Wished::default(), &[all, traces]), "https://traces/whole?x=1");
        assert_eq!(is(&Wished::default(), &[all]), "http://all:4318/base/v1/traces");
    }

    #[test]
    fn samplers_have_the_standards_names() {
        let is = |ratio: Option<f64>, environment: &[(&str, &str)]| {
            resolve(&Wished { ratio, ..at("http://c") }, environment).unwrap().unwrap().sampler
        };
        let name = |name: &'static str| ("OTEL_TRACES_SAMPLER", name);
        assert_eq!(is(None, &[]), Sampler::of(limits::TRACE_RATIO, true));
        assert_eq!(is(Some(0.5), &[name("always_off")]), Sampler::of(0.5, true));
        assert_eq!(is(None, &[name("always_on")]), Sampler::of(1.0, false));
        assert_eq!(is(None, &[name("traceidratio")]), Sampler::of(1.0, false));
        let tenth = ("OTEL_TRACES_SAMPLER_ARG", "0.1");
        assert_eq!(is(None, &[name("parentbased_traceidratio"), tenth]), Sampler::of(0.1, true));
    }

    #[test]
    fn what_is_said_of_the_process_and_sent_along() {
        let environment = [
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%20b, service.instance.id=7"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/ca.pem"),
        ];
        let settings = resolve(&at("http://c"), &environment).unwrap().unwrap();
        let said: Vec<(&str, &str)> = settings.attributes.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(
            said,
            [("service.name", "shop"), ("service.instance.id", "7"), ("deployment.environment.name", "a b")]
        );
        assert_eq!(settings.headers[0].1.to_str().unwrap(), "Bearer x");
        assert!(!format!("{settings:?}").contains("Bearer"));
        assert_eq!((settings.wait, settings.authorities), (Duration::from_millis(250), Some("/ca.pem".into())));
    }

    #[test]
    fn each_fault_is_named() {
        let fault =
            |wished: &Wished, environment: &[(&str, &str)]| resolve(wished, environment).unwrap_err().to_string();
        assert!(fault(&at("localhost:4318"), &[]).starts_with("otlp_endpoint: `localhost:4318/v1/traces` is not"));
        assert!(fault(&Wished { ratio: Some(2.0), ..at("http://c") }, &[]).starts_with("trace_ratio: 2"));
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "no"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
        ] {
            assert!(fault(&at("http://c"), &[(name, value)]).starts_with(name), "{name}={value}");
        }
        let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "half")];
        assert!(fault(&at("http://c"), &ratio).starts_with("OTEL_TRACES_SAMPLER_ARG: `half`"));
    }
}

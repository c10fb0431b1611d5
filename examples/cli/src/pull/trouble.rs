//! What goes wrong between this machine and a hub: what may pass by itself, and what a person must see to.

use super::hub::Request;
use crate::failure::Failure;
use std::io;
use std::thread::sleep;
use std::time::Duration;
use ureq::Timeout;
use ureq::http::{HeaderMap, StatusCode};

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Trouble {
    /// It may pass: worth another try, after `wait` if the hub asks for that.
    Passing { why: String, wait: Option<Duration> },
    /// Nobody listens or nobody of this name is known: worth another try only if there was an answer before.
    Unreachable { why: String },
    /// It stays until a person does something.
    Lasting(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Lasting(failure)
    }
}

impl Trouble {
    /// A request that got no answer, or whose answer broke off.
    pub fn of_connection(error: &ureq::Error, request: &Request) -> Self {
        let why = match error {
            ureq::Error::Io(error) => reason(error),
            error => error.to_string(),
        };
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Trouble::Unreachable { why },
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => Trouble::Unreachable { why },
            ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => Trouble::Passing { why, wait: None },
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut => Trouble::Passing { why, wait: None },
                // A certificate that is not good gets no better.
                io::ErrorKind::InvalidData => lasting(format!("{} ({why})", unreachable(request))),
                _ => Trouble::Unreachable { why },
            },
            ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => lasting(format!(
                "{} cannot be asked for {request}: {why}; HF_ENDPOINT is a URL such as https://huggingface.co, and \
                 HF_TOKEN one line of letters and digits",
                request.endpoint
            )),
            _ => lasting(format!("{} ({why})", unreachable(request))),
        }
    }

    /// An answer that is not what was asked for.
    pub fn of_answer(status: StatusCode, headers: &HeaderMap, request: &Request) -> Self {
        let Request { repo, revision, endpoint, file, has_token } = request;
        let code = headers.get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let token = match has_token {
            true => "give HF_TOKEN a token that may read it",
            false => "if it is private, give HF_TOKEN a token that may read it",
        };
        lasting(match (status.as_u16(), code) {
            (401 | 403, "GatedRepo") => format!(
                "{repo} is gated: accept its terms at {endpoint}/{repo}, and give HF_TOKEN a token of that account"
            ),
            (404, "RevisionNotFound") => {
                format!(
                    "{repo} has no revision `{revision}` at {endpoint}; name a branch, tag or commit with --revision"
                )
            }
            (401, _) if *has_token => {
                format!(
                    "{endpoint} refuses the token for {repo} (401); {token}, or leave it away for a public repository"
                )
            }
            (401 | 403, _) => {
                format!("{endpoint} does not show {repo} to everybody ({}): check its name; {token}", status.as_u16())
            }
            (404, code) => match file {
                Some(file) => {
                    format!(
                        "{repo} lists {file}, but {endpoint} does not have it (404); run the same command again later"
                    )
                }
                None if code != "RepoNotFound" && revision != "main" => {
                    format!("{endpoint} has no repository {repo} with a revision `{revision}`: check both; {token}")
                }
                None => format!("{endpoint} has no repository {repo}: check its name; {token}"),
            },
            (429 | 500..=599, _) => {
                return Trouble::Passing { why: format!("it answers {status}"), wait: retry_after(headers) };
            }
            _ => format!(
                "{endpoint} answers {status} when asked for {request}; check that HF_ENDPOINT is the address of a hub"
            ),
        })
    }

    /// As the end of it.
    pub fn into_failure(self, request: &Request) -> Failure {
        match self {
            Trouble::Lasting(failure) => failure,
            Trouble::Passing { why, .. } | Trouble::Unreachable { why } => {
                Failure::Message(format!("{} ({why})", unreachable(request)))
            }
        }
    }
}

fn lasting(message: String) -> Trouble {
    Trouble::Lasting(Failure::Message(message))
}

/// Why reading or connecting failed, in the words of a person.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "nothing came for a long time".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => error.to_string(),
    }
}

fn unreachable(request: &Request) -> String {
    let endpoint = &request.endpoint;
    format!(
        "{request} cannot be fetched from {endpoint}: check the network, or set HF_ENDPOINT to a hub that can be \
         reached, and run the same command again"
    )
}

/// The seconds that the hub asks for, if they are not too many to wait for.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    (seconds <= 120).then(|| Duration::from_secs(seconds))
}

/// How often something that may pass is tried again.
pub struct Patience {
    failed: u32,
    /// Whether the hub has answered at all.
    reached: bool,
}

impl Patience {
    const TRIES: u32 = 5;

    pub fn new(reached: bool) -> Self {
        Self { failed: 0, reached }
    }

    /// The last try got something, so the next trouble is a new one.
    pub fn renew(&mut self) {
        *self = Self::new(true);
    }

    /// Waits until the next try, of which `say` is told; at the end of patience gives the trouble back.
    pub fn wait(&mut self, trouble: Trouble, say: impl FnOnce(&str)) -> Result<(), Trouble> {
        let (why, asked) = match &trouble {
            Trouble::Passing { why, wait } => (why, *wait),
            Trouble::Unreachable { why } if self.reached => (why, None),
            _ => return Err(trouble),
        };
        self.failed += 1;
        if self.failed >= Self::TRIES {
            return Err(trouble);
        }
        let pause = asked.unwrap_or(Duration::from_millis(250 << self.failed));
        say(&format!("{why}; try {} of {} in {:.1} s", self.failed + 1, Self::TRIES, pause.as_secs_f64()));
        sleep(pause);
        Ok(())
    }
}

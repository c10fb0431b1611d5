//! What a hub is asked: the files of a repository, and the bytes of one. hf-hub knows the addresses, the token's file
//! and the listing; the rest (the answers' headers, ranges, waiting) is asked for here.

use super::checksum::Checksum;
use super::name::RepoName;
use super::trouble::Trouble;
use crate::failure::Failure;
use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};
use serde::Deserialize;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
const CONNECT: Option<Duration> = Some(Duration::from_secs(20));
/// A connection that is silent for this long is dead.
const SILENCE: Option<Duration> = Some(Duration::from_secs(30));

/// A hub that can be asked.
pub struct Hub {
    pub endpoint: String,
    token: Option<String>,
    api: Api,
    agent: Agent,
}

/// A file of a repository, as far as the hub has told.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    pub name: String,
    pub size: Option<u64>,
    pub checksum: Option<Checksum>,
}

/// The files of a repository at one commit.
pub struct Listing {
    pub commit: String,
    pub files: Vec<RemoteFile>,
}

/// What was asked for, to be named when it fails.
pub struct Request {
    pub endpoint: String,
    pub repo: RepoName,
    pub revision: String,
    pub file: Option<String>,
    pub has_token: bool,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file} of {}", self.repo),
            None => self.repo.fmt(f),
        }
    }
}

/// The bytes of a file from some place on.
pub struct Stream {
    /// Where they begin; not where they were asked from, if the server cannot do that.
    pub from: u64,
    pub body: Body,
}

impl Hub {
    /// From HF_ENDPOINT, HF_TOKEN and HF_HOME; asks nothing yet.
    pub fn from_env() -> Result<Self, Failure> {
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if !["https://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(Failure::Message(format!(
                "HF_ENDPOINT is {endpoint:?}; it must be a URL such as {DEFAULT_ENDPOINT}"
            )));
        }
        // hf-hub panics where there is no home directory.
        let cache = match variable("HF_HOME").is_some() || dirs::home_dir().is_some() {
            true => Cache::from_env(),
            false => Cache::new(PathBuf::new()),
        };
        let token = variable("HF_TOKEN").or_else(|| cache.token());
        let version = env!("CARGO_PKG_VERSION");
        let api = ApiBuilder::from_cache(cache)
            .with_endpoint(endpoint.clone())
            .with_token(token.clone())
            .with_user_agent("qaio", version)
            .with_progress(false)
            .build()
            .map_err(|error| Failure::Message(format!("the hub's client cannot be set up: {error}")))?;
        let agent = Agent::config_builder()
            .user_agent(format!("qaio/{version}"))
            // What is compressed on the way cannot be resumed.
            .accept_encoding("identity")
            // The token is for the hub, not for where it sends us.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .http_status_as_error(false)
            .timeout_resolve(CONNECT)
            .timeout_connect(CONNECT)
            .timeout_per_read(SILENCE)
            .build()
            .new_agent();
        Ok(Self { endpoint, token, api, agent })
    }

    pub fn request(&self, repo: &RepoName, revision: &str, file: Option<&str>) -> Request {
        Request {
            endpoint: self.endpoint.clone(),
            repo: repo.clone(),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
            has_token: self.token.is_some(),
        }
    }

    /// The files of the repository.
    pub fn listing(&self, request: &Request) -> Result<Listing, Trouble> {
        let at = Repo::with_revision(request.repo.to_string(), RepoType::Model, encoded(&request.revision, ""));
        let answer = self
            .api
            .repo(at)
            .info_request()
            .query("blobs", "true")
            .config()
            .http_status_as_error(false)
            .timeout_resolve(CONNECT)
            .timeout_connect(CONNECT)
            .timeout_per_read(SILENCE)
            .build()
            .call();
        let mut answer = answer.map_err(|error| Trouble::of_connection(&error, request))?;
        if answer.status() != StatusCode::OK {
            return Err(Trouble::of_answer(answer.status(), answer.headers(), request));
        }
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string();
        let text = text.map_err(|error| Trouble::of_connection(&error, request))?;
        let info: Info = serde_json::from_str(&text).map_err(|error| {
            Failure::Message(format!(
                "{} answers something else than a hub's listing of {} ({error}); check HF_ENDPOINT",
                request.endpoint, request.repo
            ))
        })?;
        Ok(Listing { commit: info.sha, files: info.siblings.into_iter().map(RemoteFile::from).collect() })
    }

    /// Finds out by the file's own headers what the listing did not say.
    pub fn complete(&self, file: &mut RemoteFile, commit: &str, request: &Request) -> Result<(), Trouble> {
        // The hub's own answer knows the checksum; the store that it sends us to may know only the size.
        for redirects in [0, 10] {
            if file.size.is_some() && (file.checksum.is_some() || redirects > 0) {
                break;
            }
            let head = self.authorized(self.agent.head(self.url(request, commit, &file.name)));
            let head = head.config().max_redirects(redirects).max_redirects_will_error(false).build().call();
            let answer = head.map_err(|error| Trouble::of_connection(&error, request))?;
            let (status, headers) = (answer.status(), answer.headers());
            if !status.is_success() && !status.is_redirection() {
                return Err(Trouble::of_answer(status, headers, request));
            }
            let value = |linked: &str, own: &str| {
                let own = || headers.get(own).filter(|_| status.is_success());
                headers.get(linked).or_else(own)?.to_str().ok()
            };
            file.size = file.size.or_else(|| value("x-linked-size", "content-length")?.parse().ok());
            if file.checksum.is_none() {
                file.checksum = value("x-linked-etag", "etag").and_then(Checksum::from_etag);
            }
        }
        Ok(())
    }

    /// Asks for the bytes of `file` after the first `from`.
    pub fn open(&self, file: &RemoteFile, commit: &str, from: u64, request: &Request) -> Result<Stream, Trouble> {
        let get = self.authorized(self.agent.get(self.url(request, commit, &file.name)));
        let get = if from > 0 { get.header("Range", format!("bytes={from}-")) } else { get };
        let answer: Response<Body> = get.call().map_err(|error| Trouble::of_connection(&error, request))?;
        let from = match answer.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range_start(answer.headers()) == Some(from) => from,
            // It understands ranges otherwise than we do.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                return self.open(file, commit, 0, request);
            }
            status => return Err(Trouble::of_answer(status, answer.headers(), request)),
        };
        Ok(Stream { from, body: answer.into_body() })
    }

    /// Where the file is, at one commit, so that all files are of the same one.
    fn url(&self, request: &Request, commit: &str, file: &str) -> String {
        let repo = Repo::with_revision(request.repo.to_string(), RepoType::Model, encoded(commit, ""));
        self.api.repo(repo).url(&encoded(file, "/"))
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

/// An environment variable that is not blank.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The first number of `Content-Range: bytes 5-9/10`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

/// Percent-encodes what a part of a URL's path cannot hold, but for what is in `kept`.
fn encoded(text: &str, kept: &str) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(byte.into()),
            _ if kept.as_bytes().contains(&byte) => url.push(byte.into()),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// hf-hub's own type of this leaves the sizes and checksums away.
#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl From<Sibling> for RemoteFile {
    fn from(sibling: Sibling) -> Self {
        let checksum = match sibling.lfs {
            // The blob of such a file is a pointer to it.
            Some(lfs) => lfs.sha256.as_deref().and_then(Checksum::from_etag),
            None => sibling.blob_id.as_deref().and_then(Checksum::from_etag),
        };
        Self { name: sibling.rfilename, size: sibling.size, checksum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;
    use ureq::http::header::CONTENT_RANGE;

    #[test]
    fn names_are_encoded_for_a_url() {
        assert_eq!(encoded("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(encoded("q8/a b?ä.gguf", "/"), "q8/a%20b%3F%C3%A4.gguf");
    }

    #[test]
    fn a_range_begins_at_its_first_number() {
        for (text, start) in [("bytes 5-9/10", Some(5)), ("bytes */10", None), ("items 5-9/10", None)] {
            let headers = [(CONTENT_RANGE, HeaderValue::from_static(text))].into_iter().collect();
            assert_eq!(range_start(&headers), start, "{text}");
        }
        assert_eq!(range_start(&HeaderMap::new()), None);
    }
}

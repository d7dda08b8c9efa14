//! The gateway's binary as a process, and its answers over HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::binary::binary;
use super::{PERSON, TEST_TIMEOUT, footprint, memory_kib, sockets};

/// A running gateway with a directory of its own.
pub struct Process {
    child: Child,
    log: Mutex<Receiver<Value>>,
    /// Addresses by listener, such as `frontend clients`.
    endpoints: BTreeMap<String, String>,
    pub directory: tempfile::TempDir,
}

impl Process {
    /// Starts a gateway with this routes.yaml, and waits until it is ready. Its addresses should
    /// have port 0.
    pub fn start(yaml: &str) -> Self {
        Self::start_by(Command::new(binary()), yaml)
    }

    /// Starts a gateway that may have at most `most` descriptors.
    pub fn start_with_descriptors(most: usize, yaml: &str) -> Self {
        Self::start_under(&format!("ulimit -n {most}"), yaml)
    }

    /// Starts a gateway under a limit of the system that a command of the shell sets, such as
    /// `ulimit -v 1048576`.
    pub fn start_under(limit: &str, yaml: &str) -> Self {
        let mut command = Command::new("sh");
        let script = format!("{limit} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, &binary()]);
        Self::start_by(command, yaml)
    }

    /// Starts a gateway by a command that replaces its own process by the gateway.
    pub fn start_by(mut command: Command, yaml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("schemas")).unwrap();
        fs::write(directory.path().join("schemas/person.proto"), PERSON).unwrap();
        fs::write(directory.path().join("routes.yaml"), yaml).unwrap();
        let mut child = command
            .args(["--log-format", "json"])
            .current_dir(&directory)
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = lines.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let mut process = Self {
            child,
            log: Mutex::new(log),
            endpoints: BTreeMap::new(),
            directory,
        };
        process.await_line("ready");
        process
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("routes.yaml")
    }

    /// Reads the log up to a line whose message starts with `message`, and returns that line.
    #[track_caller]
    pub fn await_line(&mut self, message: &str) -> Value {
        loop {
            let line = self.log.get_mut().unwrap().recv_timeout(TEST_TIMEOUT);
            let line = line.unwrap_or_else(|_| panic!("no line {message:?}"));
            let text = line["message"].as_str().unwrap_or_default().to_owned();
            if let Some((what, endpoint)) =
                text.strip_suffix(" listens").zip(line["endpoint"].as_str())
            {
                self.endpoints.insert(what.to_owned(), endpoint.to_owned());
            }
            if text.starts_with(message) {
                return line;
            }
        }
    }

    /// Returns the next line of the log, if a line is written within `timeout`.
    pub fn next_line(&mut self, timeout: Duration) -> Option<Value> {
        self.log.get_mut().unwrap().recv_timeout(timeout).ok()
    }

    /// Returns the address of a listener, such as `frontend clients`.
    #[track_caller]
    pub fn endpoint(&self, what: &str) -> String {
        let endpoint = self.endpoints.get(what);
        endpoint
            .unwrap_or_else(|| panic!("{what} of {:?}", self.endpoints))
            .clone()
    }

    /// Returns a socket that is connected to a listener, such as `frontend clients`.
    pub fn peer(&self, context: &zmq::Context, kind: zmq::SocketType, what: &str) -> zmq::Socket {
        let socket = sockets::connected(context, kind, &self.endpoint(what));
        socket
            .set_rcvtimeo(TEST_TIMEOUT.as_millis() as i32)
            .unwrap();
        socket
            .set_sndtimeo(TEST_TIMEOUT.as_millis() as i32)
            .unwrap();
        socket
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(sent.success());
        // A process continues briefly after it was asked to stop.
        while name == "STOP" && !self.is_stopped() {
            std::thread::yield_now();
        }
    }

    fn is_stopped(&self) -> bool {
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        tasks.flatten().all(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            status.contains("State:\tT")
        })
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Returns the resident memory of the process in KiB, and its number of descriptors.
    pub fn memory_and_descriptors(&self) -> (usize, usize) {
        let (descriptors, kib) = footprint(&self.child.id().to_string());
        (kib, descriptors)
    }

    /// Returns the peak of the resident memory, in KiB.
    pub fn peak(&self) -> usize {
        self.memory("VmHWM:")
    }

    /// Resets [`Self::peak`] to the resident memory at this moment, and returns this memory in KiB.
    pub fn forget_peak(&self) -> usize {
        // If the system does not allow this, the earlier peak counts, too: the test is stricter.
        let _ = fs::write(self.proc("clear_refs"), "5");
        self.memory("VmRSS:")
    }

    /// Returns the writable parts of the process's memory, or `None` if the system does not let
    /// this test read them.
    pub fn contents(&self) -> Option<Vec<Vec<u8>>> {
        let maps = fs::read_to_string(self.proc("maps")).ok()?;
        let memory = fs::File::open(self.proc("mem")).ok()?;
        let mut parts = Vec::new();
        for map in maps.lines().filter(|map| map.contains(" rw")) {
            let (from, to) = map.split_once(' ')?.0.split_once('-')?;
            let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
            let mut part = vec![0; (to - from) as usize];
            if memory.read_exact_at(&mut part, from).is_ok() {
                parts.push(part);
            }
        }
        (!parts.is_empty()).then_some(parts)
    }

    fn memory(&self, what: &str) -> usize {
        memory_kib(&self.child.id().to_string(), what)
    }

    /// Returns the path of a file of the process below /proc.
    pub fn proc(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.child.id()))
    }

    /// Returns the processor time of the process, in hundredths of a second.
    pub fn cpu(&self) -> u64 {
        cpu(&self.proc("stat"))
    }

    /// Returns the processor time of a thread, in hundredths of a second.
    pub fn cpu_of(&self, thread: &str) -> u64 {
        cpu(&self.task(thread).join("stat"))
    }

    /// Returns the time that a thread has run, and the time that it has waited for a processor, or
    /// `None` if the system does not count them.
    pub fn schedule_of(&self, thread: &str) -> Option<[Duration; 2]> {
        let counted = fs::read_to_string(self.task(thread).join("schedstat")).ok()?;
        let mut times = counted.split_whitespace().map_while(|it| it.parse().ok());
        Some([times.next()?, times.next()?].map(Duration::from_nanos))
    }

    /// Returns the nice value of a thread, or `None` if no thread has this name yet.
    pub fn nice_of(&self, thread: &str) -> Option<i32> {
        let stat = fs::read_to_string(self.find_task(thread)?.join("stat")).unwrap();
        // In proc(5), the name of the thread is in parentheses, and the fields after the name start
        // with field 3. The nice value is field 19.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(19 - 3).unwrap().parse().ok()
    }

    /// Returns the directory of a thread in /proc.
    fn task(&self, thread: &str) -> PathBuf {
        let task = self.find_task(thread);
        task.unwrap_or_else(|| panic!("no thread {thread}"))
    }

    /// Returns the directory of a thread in /proc, or `None` if no thread has this name.
    fn find_task(&self, thread: &str) -> Option<PathBuf> {
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        let mut tasks = tasks.map(|task| task.unwrap().path());
        let is_named = |task: &PathBuf| {
            let name = fs::read_to_string(task.join("comm")).unwrap();
            name.trim_end() == thread
        };
        tasks.find(is_named)
    }

    /// Returns `127.0.0.1:PORT` of the HTTP listener.
    pub fn admin(&self) -> String {
        let endpoint = self.endpoint("admin");
        endpoint.strip_prefix("http://").unwrap().to_owned()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    /// Sends a request to the HTTP listener, and returns the answer. The Host header is the address
    /// of the listener, unless `headers` contains another.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask_at(&self.admin(), method, path, headers)
    }

    /// Sends a request as [`Self::ask`] does, but to another address.
    pub fn ask_at(&self, at: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request.push_str(&format!("Host: {at}\r\n"));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text)
    }

    pub fn reload(&self) -> Answer {
        self.ask("POST", "/reload", &[("Accept", "application/json")])
    }

    /// Waits until the gateway has checked its files for the first time. If `reload.watch` is off,
    /// later edits are loaded on request only.
    pub fn await_first_check(&self) {
        assert_eq!(self.reload().json()["outcome"], "unchanged");
    }

    pub fn status(&self) -> Value {
        self.get("/status").json()
    }

    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.code, 200, "{}", answer.body);
        Metrics::parse(&answer.body)
    }

    /// Reads /metrics until `wanted` returns true for its content, and returns that content. `what`
    /// names the wanted state if the test fails.
    #[track_caller]
    pub fn await_metrics(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let metrics = self.metrics();
            if wanted(&metrics) {
                return metrics;
            }
            assert!(
                Instant::now() < deadline,
                "not in time: {what}: {metrics:#?}"
            );
        }
    }
}

/// Returns the processor time in a file of proc(5), in hundredths of a second.
fn cpu(stat: &Path) -> u64 {
    let stat = fs::read_to_string(stat).unwrap();
    // The fields follow the name, which may contain anything but ends with the last parenthesis.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let spent = fields.skip(11).take(2);
    spent.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            code: code.unwrap_or_else(|| panic!("no answer: {text:?}")),
            headers: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// The declaration of a family of /metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    pub kind: String,
    pub help: String,
}

/// The content of /metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    pub families: BTreeMap<String, Family>,
    /// Values by name and labels, each label as `name="value"`.
    pub samples: BTreeMap<(String, Vec<String>), f64>,
}

impl Metrics {
    fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        assert!(text.ends_with("# EOF\n"), "cut off: {text}");
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                    metrics.families.entry(name.into()).or_default().help = help.into();
                }
                (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                    metrics.families.entry(name.into()).or_default().kind = kind.into();
                }
                (Some("#"), Some("EOF"), ..) => {}
                _ => {
                    let (name, value) = line.rsplit_once(' ').unwrap();
                    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
                    let labels = labels.trim_end_matches('}').split(',');
                    let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
                    let key = (name.to_owned(), labels.collect());
                    let twice = metrics.samples.insert(key, value.parse().unwrap());
                    assert_eq!(twice, None, "shown twice: {line}");
                }
            }
        }
        metrics
    }

    /// Returns the sum of the samples that have this name and all of these labels.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let chosen = self.samples.iter().filter(|((sample, present), _)| {
            sample == name
                && labels
                    .iter()
                    .all(|label| present.iter().any(|own| own == label))
        });
        chosen.map(|(_, value)| value).sum()
    }

    /// Asserts that the counters of every route balance.
    #[track_caller]
    pub fn assert_balanced(&self) {
        let routes: Vec<_> = self
            .samples
            .keys()
            .filter(|key| key.0 == "gateway_received_total")
            .collect();
        assert!(!routes.is_empty());
        for (_, route) in routes {
            let route = route[0].as_str();
            let received = self.sum("gateway_received_total", &[route]);
            let ended = self.sum("gateway_requests_total", &[route]);
            let in_flight = self.sum("gateway_in_flight", &[route]);
            assert_eq!(received, ended + in_flight, "{route}");
            let reasons = self.sum("gateway_rejections_total", &[route]);
            let rejected = self.sum("gateway_requests_total", &[route, "outcome=\"rejected\""]);
            assert_eq!(reasons, rejected, "{route}");
        }
    }
}

//! Tests of the manifest in docs/kubernetes.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml::Value;

use crate::support::process::Process;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(DOCS).join(name)).unwrap()
}

/// Returns the documents of the manifest, which is the first ```yaml block of docs/kubernetes.md.
/// The keys are the kinds of the documents.
fn manifest() -> BTreeMap<String, Value> {
    let page = page("kubernetes.md");
    let block = page
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let documents = serde_yaml::Deserializer::from_str(block);
    let documents = documents.map(|document| Value::deserialize(document).unwrap());
    let documents =
        documents.map(|document| (document["kind"].as_str().unwrap().to_owned(), document));
    documents.collect()
}

#[test]
fn the_init_container_accepts_the_configuration_in_the_config_map() {
    let manifest = manifest();
    let kinds: Vec<_> = manifest.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["ConfigMap", "Deployment", "NetworkPolicy", "Service"]
    );
    let pod = &manifest["Deployment"]["spec"]["template"]["spec"];
    let mounts = &pod["containers"][0]["volumeMounts"];
    let mounted = mounts[0]["mountPath"].as_str().unwrap();
    assert_eq!(&pod["initContainers"][0]["volumeMounts"], mounts);
    let volume = &pod["volumes"][0];
    assert_eq!(volume["name"], mounts[0]["name"]);
    assert_eq!(
        volume["configMap"]["name"],
        manifest["ConfigMap"]["metadata"]["name"]
    );
    // The files have the layout of the kubelet: each file is a link through `..data`, which is a
    // link to a directory. The kubelet replaces the directory as a whole.
    let directory = tempfile::tempdir().unwrap();
    let version = directory.path().join("..2026");
    fs::create_dir(&version).unwrap();
    std::os::unix::fs::symlink("..2026", directory.path().join("..data")).unwrap();
    for (name, text) in manifest["ConfigMap"]["data"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        fs::write(version.join(name), text.as_str().unwrap()).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
    }
    // The check runs with the arguments of the init container, but with the temporary directory
    // instead of the mount path.
    let arguments = pod["initContainers"][0]["args"].as_sequence().unwrap();
    let temporary = directory.path().to_str().unwrap();
    let arguments = arguments
        .iter()
        .map(|argument| argument.as_str().unwrap().replace(mounted, temporary));
    let outcome = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8(outcome.stderr).unwrap();
    // The check passes with the warning that the page mentions.
    assert_eq!(outcome.status.code(), Some(0), "{stderr}");
    let warning = "warning: admin can be reached from other machines\n";
    assert!(
        stderr.starts_with(warning) && stderr.ends_with("\n1 warning\n"),
        "{stderr}"
    );
    // The gateway accepts the arguments of its container. With `--help`, it parses the arguments
    // but does not start.
    let arguments = pod["containers"][0]["args"].as_sequence().unwrap();
    let arguments = arguments.iter().map(|argument| argument.as_str().unwrap());
    let outcome = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(arguments)
        .arg("--help")
        .output();
    assert!(outcome.unwrap().status.success());
}

/// Returns whether a routes.yaml binds this port on all interfaces.
fn is_bound(routes: &str, port: u64) -> bool {
    routes.contains(&format!("\"tcp://*:{port}\"")) || routes.contains(&format!("\"*:{port}\""))
}

#[test]
fn the_manifest_has_the_same_ports_as_its_routes() {
    let manifest = manifest();
    let routes = manifest["ConfigMap"]["data"]["routes.yaml"]
        .as_str()
        .unwrap();
    let pod = &manifest["Deployment"]["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let mut named = BTreeMap::new();
    for port in container["ports"].as_sequence().unwrap() {
        let number = port["containerPort"].as_u64().unwrap();
        assert!(is_bound(routes, number), "{number}");
        named.insert(port["name"].as_str().unwrap(), number);
    }
    // routes.yaml binds no other ports.
    assert_eq!(routes.matches("bind: ").count(), named.len());
    for port in manifest["Service"]["spec"]["ports"].as_sequence().unwrap() {
        let target = port["targetPort"].as_str().unwrap();
        assert_eq!(port["port"].as_u64(), Some(named[target]));
    }
    let ingress = &manifest["NetworkPolicy"]["spec"]["ingress"];
    let open = ingress.as_sequence().unwrap().iter();
    let open = open.flat_map(|rule| rule["ports"].as_sequence().unwrap());
    let open: Vec<_> = open.map(|port| port["port"].as_str().unwrap()).collect();
    assert_eq!(open, ["clients", "workers", "admin"]);
    let scraped = &pod["metadata"]["annotations"]["prometheus.io/port"];
    assert_eq!(scraped.as_str(), Some(&*named["admin"].to_string()));
}

#[test]
fn requests_of_the_probes_and_of_the_scraper_succeed() {
    let manifest = manifest();
    let pod = &manifest["Deployment"]["spec"]["template"];
    let routes = manifest["ConfigMap"]["data"]["routes.yaml"].as_str();
    let routes = routes.unwrap().replace("tcp://*:5559", "tcp://127.0.0.1:0");
    let routes = routes.replace("tcp://*:5560", "tcp://127.0.0.1:0");
    let process = Process::start(&routes.replace("*:9559", "127.0.0.1:0"));
    let container = &pod["spec"]["containers"][0];
    let probes = ["startupProbe", "readinessProbe", "livenessProbe"];
    let requests = probes.map(|probe| &container[probe]["httpGet"]);
    assert!(requests.iter().all(|get| get["port"] == "admin"));
    let scraped = &pod["metadata"]["annotations"]["prometheus.io/path"];
    for path in requests.map(|get| &get["path"]).iter().chain([&scraped]) {
        let path = path.as_str().unwrap();
        assert_eq!(process.get(path).code, 200, "{path}");
    }
}

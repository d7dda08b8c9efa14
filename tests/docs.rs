//! What the pages in `docs/` show works.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml::Value;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(DOCS).join(name)).unwrap()
}

/// The first ```yaml block of a page: the manifest, its documents by kind.
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
    let by_kind = documents.map(|it| (it["kind"].as_str().unwrap().to_owned(), it));
    by_kind.collect()
}

#[test]
fn the_manifest_runs_what_its_config_map_holds() {
    let manifest = manifest();
    let kinds: Vec<_> = manifest.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["ConfigMap", "Deployment", "Service"]);
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
    // As the kubelet lays it out: links through a directory that is replaced as one.
    let directory = tempfile::tempdir().unwrap();
    let version = directory.path().join("..2026");
    fs::create_dir(&version).unwrap();
    std::os::unix::fs::symlink("..2026", directory.path().join("..data")).unwrap();
    for (name, text) in manifest["ConfigMap"]["data"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        fs::write(version.join(name), text.as_str().unwrap()).unwrap();
        std::os::unix::fs::symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
    }
    // The init container's own words, where the volume is mounted.
    let arguments = pod["initContainers"][0]["args"].as_sequence().unwrap();
    let here = directory.path().to_str().unwrap();
    let arguments = arguments
        .iter()
        .map(|it| it.as_str().unwrap().replace(mounted, here));
    let outcome = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!((outcome.status.code(), &*said), (Some(0), ""));
    // And the gateway's: it would serve, but for being asked for help.
    let arguments = pod["containers"][0]["args"].as_sequence().unwrap();
    let arguments = arguments.iter().map(|it| it.as_str().unwrap());
    let outcome = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(arguments)
        .arg("--help")
        .output();
    assert!(outcome.unwrap().status.success());
}

#[test]
fn ports_of_the_manifest_are_those_of_its_routes() {
    let manifest = manifest();
    let routes = manifest["ConfigMap"]["data"]["routes.yaml"]
        .as_str()
        .unwrap();
    let container = &manifest["Deployment"]["spec"]["template"]["spec"]["containers"][0];
    let service = &manifest["Service"]["spec"]["ports"];
    for (ports, key) in [(&container["ports"], "containerPort"), (service, "port")] {
        for port in ports.as_sequence().unwrap() {
            let number = port[key].as_u64().unwrap();
            assert!(
                routes.contains(&format!("\"tcp://*:{number}\"")),
                "{number}"
            );
        }
    }
}

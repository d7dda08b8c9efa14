//! A test that thousands of reloads leak neither descriptors nor memory of this process.

use std::sync::Arc;

use crate::support::gateway::Gateway;
use crate::support::sockets::{rejection, send};
use crate::support::{footprint, turns};

#[test]
fn descriptors_and_memory_are_flat_over_two_thousand_reloads() {
    let _turn = turns::take();
    let gateway = Gateway::people("");
    let file = gateway.directory.path().join("routes.yaml");
    let few = std::fs::read_to_string(&file).unwrap();
    let ipc = |name: &str| format!("ipc://{}", gateway.directory.path().join(name).display());
    let many = few
        .replace(
            "frontends:\n",
            &format!("frontends:\n  more: {{ bind: \"{}\" }}\n", ipc("f")),
        )
        .replace(
            "pools:\n",
            &format!("pools:\n  more: {{ bind: \"{}\" }}\n", ipc("p")),
        )
        .replace(
            "routes:\n",
            "routes:\n  MORE: { schema: demo.Person, pool: more }\n",
        );
    let reloader = gateway.running.as_ref().unwrap().reloader();
    let mut snapshot = Arc::new(gateway::config::load(&file).unwrap().snapshot);
    let client = gateway.dealer();
    let mut flat = None;
    for n in 0..2_000 {
        let text = if n % 2 == 0 { &many } else { &few };
        std::fs::write(&file, text).unwrap();
        let next = gateway::config::load_after(&file, &snapshot)
            .unwrap()
            .snapshot;
        snapshot = Arc::new(next);
        reloader.reload(Arc::clone(&snapshot)).unwrap();
        send(&client, &["nobody", ""]);
        assert_eq!(rejection(&client, &[]).generation, n + 2);
        if n == 500 {
            flat = Some(footprint("self"));
        }
    }
    let ((fds, kib), (fds_before, kib_before)) = (footprint("self"), flat.unwrap());
    assert!(
        fds <= fds_before + 10,
        "{fds} descriptors after {fds_before}"
    );
    assert!(kib <= kib_before + 10_000, "{kib} KiB after {kib_before}");
}

//! A test that thousands of reloads leak neither descriptors nor memory of this process.

use gateway::reload::ReloadOutcome;

use crate::support::edited::Edited;
use crate::support::gateway::{Gateway, NEVER, with_admin};
use crate::support::{footprint, turns};

#[test]
fn descriptors_and_memory_do_not_grow_over_two_thousand_reloads() {
    let _turn = turns::take();
    let directory = tempfile::tempdir().unwrap();
    let more = |name: &str| {
        let path = directory.path().join(name);
        format!("{{ more: {{ bind: \"ipc://{}\" }},", path.display())
    };
    // Files are loaded on request only, so that each report belongs to an edit.
    let few = with_admin("", "", "");
    let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
    let channel = format!(
        "channels: {{ more: {{ publishers: \"ipc://{}\", subscribers: \"ipc://{}\" }} }}",
        from.display(),
        to.display()
    );
    let many = few
        .replace("frontends: {", &format!("frontends: {}", more("f")))
        .replace("pools: {", &format!("pools: {}", more("p")))
        .replace(
            "routes:\n",
            &format!("{channel}\nroutes:\n  MORE: {{ schema: demo.Person, pool: more }}\n  TICK: {{ publish: more }}\n"),
        );
    let edited = Edited::of_gateway(Gateway::start_as(directory, &few), NEVER);
    let mut flat = None;
    for n in 0..2_000 {
        let text = if n % 2 == 0 { &many } else { &few };
        std::fs::write(&edited.file, text).unwrap();
        let report = edited.reload();
        assert_eq!(report.outcome, ReloadOutcome::Applied, "{report:?}");
        assert_eq!(edited.generation(), n + 2);
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

//! The demo succeeds, and prints what stands in `expected.txt`.

use std::process::Command;

#[test]
fn the_demo_succeeds_and_prints_no_colours_to_a_pipe() {
    let demo = env!("CARGO_BIN_EXE_gateway-demo");
    let output = Command::new(demo).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(err, "");
    // The ports differ each time.
    let (addresses, exchanges) = out.split_at(out.find("Requests that match").unwrap());
    assert!(addresses.contains("pool people listens at tcp://127.0.0.1:"));
    assert_eq!(exchanges, include_str!("expected.txt"));
}

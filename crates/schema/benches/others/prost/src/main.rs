//! Measures prost-protovalidate on the messages of rules.proto. The argument of the program is a
//! file with the descriptors of these messages.

use std::hint::black_box;
use std::time::Instant;

use prost_protovalidate::Validator;
use prost_reflect::{DescriptorPool, DynamicMessage};

const PAYLOAD: &[u8] = b"\x08\x96\x01\x10\xc0\xc4\x07\x18\x2a\x20\xe8\x07\x28\x41\
    \x31\0\0\0\0\0\0\x29\x40\x3d\0\0\x80\x3f\x42\x0cAda Lovelace\x4a\x0fada@example.org\x52\x04abcd";

fn main() {
    let path = std::env::args().nth(1).expect("the file of descriptors");
    let set = std::fs::read(path).unwrap();
    let pool = DescriptorPool::decode(&*set).unwrap();
    let validator = Validator::new();
    for name in ["Standard", "Cel"] {
        let message = pool.get_message_by_name(&format!("t.{name}")).unwrap();
        let decoded = DynamicMessage::decode(message.clone(), PAYLOAD).unwrap();
        let nanos = time(|| validator.validate(black_box(&decoded)).is_ok());
        println!("| prost-protovalidate 0.6.0, decoded | {name} | {nanos:.0} ns |");
        let nanos = time(|| {
            let decoded = DynamicMessage::decode(message.clone(), black_box(PAYLOAD));
            validator.validate(&decoded.unwrap()).is_ok()
        });
        println!("| prost-protovalidate 0.6.0, a payload | {name} | {nanos:.0} ns |");
    }
}

/// Returns the median time of one call over eleven rounds of about 20 ms each, in nanoseconds.
fn time(mut once: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut turns = 0u32;
    while start.elapsed().as_millis() < 20 {
        assert!(once());
        turns += 1;
    }
    let mut rounds = [0.0; 11];
    for round in &mut rounds {
        let start = Instant::now();
        for _ in 0..turns {
            black_box(once());
        }
        *round = start.elapsed().as_nanos() as f64 / f64::from(turns);
    }
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

//! Tests that a valid payload is checked without an allocation, in every encoding, except for the
//! key sets of large maps, and the escaped field names of JSON.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

mod support;

use gateway_schema::Encoding;
use support::pb::*;
use support::*;

/// An allocator that counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes every call to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[track_caller]
fn costs(allocations: usize, encoding: Encoding, payload: &[u8]) {
    let mut schema = schema(encoding, KINDS, "t.All");
    schema.require("child.text").unwrap();
    let before = ALLOCATIONS.get();
    let verdict = schema.check(payload, 100);
    let spent = ALLOCATIONS.get() - before;
    assert_eq!(verdict, Ok(()));
    assert_eq!(spent, allocations);
}

#[test]
fn protobuf_costs_nothing() {
    let child = len(
        17,
        [len(14, "zażółć"), len(18, [1; 100]), len(19, [0; 400])].concat(),
    );
    let entries: Vec<u8> = (0..50)
        .flat_map(|n| len(24, [len(1, [n]), int(2, 3)].concat()))
        .collect();
    costs(
        0,
        Encoding::Protobuf,
        &[child, entries, group(999, int(1, 1)), int(536_870_911, 1)].concat(),
    );
}

#[test]
fn msgpack_costs_nothing_but_the_keys_of_large_maps() {
    let with_tags = |count: u8| {
        let tags = (0..count).flat_map(|n| [0xa1, n, n]).collect::<Vec<_>>();
        let child = [&b"\x81\xa4text\xa1x\xa7numbers\x92\x01\x02"[..]].concat();
        let child = [&[0x82][..], &child[1..]].concat();
        let map = [&[0xde, 0, count][..], &tags].concat();
        [
            &b"\x83\xa5child"[..],
            &child,
            b"\xa4tags",
            &map,
            b"\xa5other\x92\xc0\xc3",
        ]
        .concat()
    };
    costs(0, Encoding::Msgpack, &with_tags(8));
    let schema = schema(Encoding::Msgpack, KINDS, "t.All");
    let payload = with_tags(100);
    let before = ALLOCATIONS.get();
    assert_eq!(schema.check(&payload, 100), Ok(()));
    // The set of keys doubles its capacity as it grows.
    let spent = ALLOCATIONS.get() - before;
    assert!((1..10).contains(&spent), "{spent}");
}

#[test]
fn json_costs_nothing_but_the_keys_of_large_maps_and_escapes() {
    let with_tags = |count: usize, note: &str| {
        let tags: Vec<_> = (0..count).map(|n| format!("\"k{n}\": {n}")).collect();
        let tags = tags.join(",");
        format!(
            "{{\"child\": {{\"text\": \"za\u{17c}\u{f3}\u{142}\u{107} and {note} more\", \"numbers\": [1, -2, 3e0]}},
              \"tags\": {{{tags}}}, \"other\": [null, true, {{\"a\": []}}], \"f64\": 1.25e3}}"
        )
    };
    costs(0, Encoding::Json, with_tags(8, "\\u0041\\n").as_bytes());
    let schema = schema(Encoding::Json, KINDS, "t.All");
    let payload = with_tags(100, "");
    let before = ALLOCATIONS.get();
    assert_eq!(schema.check(payload.as_bytes(), 100), Ok(()));
    // The set of keys doubles its capacity as it grows.
    let spent = ALLOCATIONS.get() - before;
    assert!((1..10).contains(&spent), "{spent}");
    // A field name with escapes is decoded before it is compared.
    let escaped = payload.replace("\"f64\"", "\"f\\u00364\"");
    let before = ALLOCATIONS.get();
    assert_eq!(schema.check(escaped.as_bytes(), 100), Ok(()));
    assert!(ALLOCATIONS.get() - before > spent);
}

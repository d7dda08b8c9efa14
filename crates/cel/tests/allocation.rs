//! Tests that the evaluation of a rule over scalars, strings and times allocates nothing, and that
//! a macro over a list makes one allocation, for its variables.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use gateway_cel::{Budget, Duration, Environment, NoMessages, Timestamp, Type, Value};

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

/// Asserts that `expression` is true, and that its second evaluation makes this many allocations.
#[track_caller]
fn costs(allocations: usize, expression: &str) {
    let mut environment = Environment::new(Arc::new(NoMessages));
    environment.variable("soft", Type::Int);
    environment.variable("hard", Type::Int);
    environment.variable("name", Type::String);
    environment.variable("tags", Type::list(Type::String));
    environment.variable("start", Type::Timestamp);
    environment.variable("length", Type::Duration);
    let program = environment.compile(expression).unwrap();
    let tags = (0..100).map(|_| Value::borrowed("tag")).collect();
    let variables = [
        Value::Int(2),
        Value::Int(3),
        Value::borrowed("alpha"),
        Value::list(tags),
        Value::Timestamp(Timestamp::new(1_700_000_000, 5).unwrap()),
        Value::Duration(Duration::new(90, 0).unwrap()),
    ];
    // The first use of a pattern allocates a cache, so only the second evaluation counts.
    for warm in [false, true] {
        let mut budget = Budget::new(100_000, 100_000);
        let before = ALLOCATIONS.get();
        let value = program.evaluate(&variables, &mut budget).unwrap();
        let spent = ALLOCATIONS.get() - before;
        assert!(matches!(value, Value::Bool(true)), "{expression}");
        if warm {
            assert_eq!(spent, allocations, "{expression}");
        }
    }
}

#[test]
fn comparisons_allocate_nothing() {
    costs(0, "soft <= hard && hard < 10 && soft + 1 == hard");
    costs(0, "soft > hard ? name == '' : name != ''");
    costs(
        0,
        "hard in [1, 2, 3] && !(name in ['a', 'b']) && tags[3] == 'tag'",
    );
    costs(
        0,
        "start > timestamp('2020-01-01T00:00:00Z') && start + length > start",
    );
    costs(
        0,
        "start.getHours('Europe/Berlin') >= 0 && length.getSeconds() == 90",
    );
}

#[test]
fn reading_texts_allocates_nothing() {
    costs(
        0,
        "name.startsWith('al') && name.contains('ph') && size(name) <= 5",
    );
    costs(0, "name.matches('^[a-z]+$') && name.indexOf('p') == 2");
    costs(0, "name.charAt(0) == 'a' && name.substring(3) == 'ha'");
}

#[test]
fn macros_allocate_their_variables() {
    costs(1, "tags.all(tag, tag.size() == 3 && tag != name)");
    costs(1, "tags.exists(at, tag, at == 99 && tag == 'tag')");
    costs(1, "tags.all(left, tags.exists(right, left == right))");
}

#[test]
fn argument_lists_and_new_strings_are_allocated() {
    // Three arguments are collected in a list on the heap.
    costs(1, "name.substring(1, 3) == 'lp'");
    // One allocation for the concatenated string, and one for its shared copy.
    costs(2, "name + 'x' == 'alphax'");
}

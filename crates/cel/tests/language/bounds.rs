//! Tests of the bounds on the size and depth of expressions, and on the steps and memory of
//! evaluations.

use gateway_cel::{Budget, Duration, ErrorKind, Value};

use crate::Language;

/// Evaluates `expression` within `budget` and returns true if the budget was spent.
fn spends(expression: &str, payload: &str, budget: &mut Budget) -> bool {
    let language = Language::new();
    let program = language.compile(expression);
    let message = language.parse(payload);
    let this = language.schema.meaning(&message).unwrap();
    match program.evaluate(&[this], budget) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Budget, "{expression}");
            true
        }
    }
}

fn tags(count: usize) -> String {
    "tags: 'tag' ".repeat(count)
}

#[test]
fn nested_visits_stop_at_the_budget_of_steps() {
    let payload = tags(300);
    let pairs = "this.tags.all(a, this.tags.all(b, a == b))";
    assert!(spends(pairs, &payload, &mut Budget::new(100_000, 0)));
    let mut budget = Budget::new(1_000_000, 0);
    assert!(!spends(pairs, &payload, &mut budget));
    // The comparison of a pair takes fewer than eight steps.
    let steps = 1_000_000 - budget.steps();
    assert!((300 * 300..300 * 300 * 8).contains(&steps), "{steps}");
}

#[test]
fn a_spent_budget_is_never_absorbed() {
    let payload = tags(300);
    let spent = "this.tags.all(a, this.tags.exists(b, this.tags.exists(c, a != b && b != c)))";
    for expression in [
        format!("{spent} || true"),
        format!("{spent} && false"),
        format!("[1].exists(x, {spent} || true)"),
        format!("this.tags.exists(t, {spent})"),
    ] {
        assert!(
            spends(&expression, &payload, &mut Budget::new(10_000, 10_000)),
            "{expression}"
        );
    }
}

#[test]
fn memory_is_counted_when_it_is_allocated() {
    let doubling = "[1,1,1,1,1,1,1,1,1,1,1,1].map(a, [1,1,1,1,1,1,1,1,1,1,1,1].map(b, this.tags.map(c, c + c)))";
    assert!(spends(
        doubling,
        &tags(1_000),
        &mut Budget::new(u64::MAX, 1_000_000)
    ));
    for expression in [
        "this.name + this.name == ''",
        "this.name.replace('', this.name) == ''",
        "this.name.replace('x', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy') == ''",
        "this.name.split('') == []",
        "'%s%s%s%s'.format([this.name, this.name, this.name, this.name]) == ''",
        "'%.999f%.999f%.999f'.format([1.0, 1.0, 1.0]) == ''",
        "[this.name].map(a, a + a).map(a, a + a).map(a, a + a) == []",
        "this.name.upperAscii() == '' || this.name.reverse() == '' || this.name.reverse() == ''",
        "this.tags.map(t, [t, t, t, t, t, t, t, t]) == []",
        "this.tags.transformMap(i, t, t) == {}",
    ] {
        let payload = format!("name: '{}' {}", "x".repeat(1_000), tags(100));
        assert!(
            spends(expression, &payload, &mut Budget::new(u64::MAX, 1_500)),
            "{expression}"
        );
    }
}

#[test]
fn reading_long_texts_takes_steps() {
    let payload = format!("name: '{}'", "x".repeat(100_000));
    for expression in [
        "this.name.size() == 0",
        "this.name.contains('y')",
        "this.name == this.name",
        "this.name < this.name",
        "this.name.matches('^[a-z]*y$')",
        "this.name.matches(this.name)",
        "this.name.startsWith('a') || this.name.indexOf('y') == 0",
        "int(this.name) == 0",
        "uint(this.name) == 0u",
        "double(this.name) == 0.0",
        "timestamp(this.name) == timestamp(0)",
        "duration(this.name) == duration('0s')",
        "dyn({'a': 1})[this.name] == 1",
        "this.name in {'a': 1}",
        "{this.name: 1} == {}",
    ] {
        assert!(
            spends(expression, &payload, &mut Budget::new(1_000, u64::MAX)),
            "{expression}"
        );
    }
}

/// Returns the number of steps of an evaluation with an unlimited budget.
fn steps(expression: &str, payload: &str) -> u64 {
    let mut budget = Budget::new(u64::MAX, u64::MAX);
    assert!(!spends(expression, payload, &mut budget), "{expression}");
    u64::MAX - budget.steps()
}

#[test]
fn the_cost_of_a_pattern_counts_its_expanded_repetitions() {
    let payload = format!("name: '{}'", "0110".repeat(1_000));
    // An automaton with few states visits each byte once and caches the states that it builds.
    let short = steps("this.name.matches('^[01]+2*$')", &payload);
    assert!((500..550).contains(&short), "{short}");
    // Some texts put the automaton in all of 500 positions of the pattern at the same time.
    let long = steps("this.name.matches('1[01]{500}[^01]')", &payload);
    assert!((250_000..252_000).contains(&long), "{long}");
    let nested = steps("this.name.matches('(?:[01]{10}1?){20}2')", &payload);
    assert!((100_000..120_000).contains(&nested), "{nested}");
}

#[test]
fn comparisons_of_equal_keys_take_steps() {
    let payload = format!("name: '{}' {}", "x".repeat(10_000), tags(64));
    let doubled = "this.tags.transformMapEntry(i, t, {this.name: 1}) == {}";
    let program = Language::new().compile(doubled);
    let language = Language::new();
    let message = language.parse(&payload);
    let this = language.schema.meaning(&message).unwrap();
    let mut budget = Budget::new(1_000_000, 1_000_000);
    let error = program.evaluate(&[this], &mut budget).unwrap_err();
    assert_eq!(error.kind, ErrorKind::RepeatedKey);
    // The sorting compares each of the 64 keys with about six other keys.
    let spent = 1_000_000 - budget.steps();
    assert!(spent > 64 * 6 * 10_000 / 32, "{spent}");
}

#[test]
fn the_levels_of_expressions_are_bounded() {
    let language = Language::new();
    let deep = [
        format!("{}1{}", "(".repeat(1_000), ")".repeat(1_000)),
        format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000)),
        format!("{}true", "!".repeat(1_000)),
        format!("{}this.soft", "-".repeat(1_000)),
        vec!["1"; 1_000].join(" + "),
        format!("this{}", ".first".repeat(1_000)),
        format!("{}1", "true ? 1 : ".repeat(1_000)),
        format!("this.tags{}", ".map(x, x)".repeat(1_000)),
        format!("{}1{}", "{1: ".repeat(1_000), "}".repeat(1_000)),
        format!(
            "{}1{}",
            "demo.Order{first: ".repeat(1_000),
            "}".repeat(1_000)
        ),
        format!("{}1{}", "f(".repeat(1_000), ")".repeat(1_000)),
        "(".repeat(60_000),
        "[".repeat(60_000),
    ];
    for expression in deep {
        let errors = language.environment.compile(&expression).unwrap_err();
        assert!(
            errors[0].message.contains("128 levels"),
            "{}: {errors:?}",
            &expression[..20]
        );
    }
}

#[test]
fn the_deepest_allowed_expressions_fit_a_small_stack() {
    let run = || {
        let language = Language::new();
        for expression in [
            format!("{}1{} == 1", "(".repeat(100), ")".repeat(100)),
            format!("{} == 100", vec!["1"; 100].join(" + ")),
            format!("{}true", "!".repeat(100)),
            format!("{}1{} != []", "[".repeat(100), "]".repeat(100)),
            vec!["true"; 5_000].join(" && "),
            format!("{}1{} != []", "[1].map(x, ".repeat(60), ")".repeat(60)),
            format!("{}1{} == 1", "int(".repeat(120), ")".repeat(120)),
            format!("({}1) == 1", "false ? 0 : ".repeat(120)),
            format!("{}1{} != {{}}", "{1: ".repeat(120), "}".repeat(120)),
            // Each empty list has a fresh element type, which is unified with the previous one.
            format!("[{}] != []", vec!["[]"; 20_000].join(",")),
        ] {
            assert_eq!(language.value_for(&expression, ""), "true", "{expression}");
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn the_length_of_expressions_is_bounded() {
    let long = format!("'{}'", "x".repeat(64 * 1024));
    let errors = Language::new().environment.compile(&long).unwrap_err();
    assert!(errors[0].message.contains("65536 bytes"), "{errors:?}");
}

#[test]
fn comparisons_of_nested_values_are_bounded() {
    let deep = |levels| {
        let mut deep = Value::Int(1);
        for _ in 0..levels {
            deep = Value::list(vec![deep]);
        }
        deep
    };
    let mut language = Language::new();
    language
        .environment
        .variable("this", gateway_cel::Type::Dyn);
    let program = language.compile("this == this");
    let equal = |levels| program.evaluate(&[deep(levels)], &mut Budget::new(100_000, 0));
    // A payload may have 1,000 levels, and an expression 128 more.
    assert!(matches!(equal(1_128), Ok(Value::Bool(true))));
    let error = equal(1_300).unwrap_err();
    assert_eq!(
        error.kind.to_string(),
        "the values are nested too deeply to be compared"
    );
}

#[test]
fn a_duration_has_as_many_seconds_as_duration_proto_allows() {
    const MAX: i64 = 315_576_000_000;
    for (seconds, nanos, is_valid) in [
        (MAX, 999_999_999, true),
        (-MAX, -999_999_999, true),
        (MAX + 1, 0, false),
        (-MAX - 1, 0, false),
        (i64::MAX, i32::MAX, false),
        (i64::MIN, i32::MIN, false),
        (i64::MIN, 0, false),
    ] {
        let duration = Duration::new(seconds, nanos);
        assert_eq!(duration.is_some(), is_valid, "{seconds} {nanos}");
    }
}

/// The type of each variable contains the type of the previous variable twice.
#[test]
fn types_of_exponential_size_are_compiled_in_time() {
    const LEVELS: usize = 40;
    let language = Language::new();
    let keys = (1..LEVELS).rev().fold("true".to_owned(), |inner, n| {
        let previous = n - 1;
        format!("[{{v{previous}: v{previous}}}].all(v{n}, {inner})")
    });
    let keys = format!("[1].all(v0, {keys})");
    assert!(language.environment.compile(&keys).is_err());
    let body = (1..LEVELS).rev().fold(String::new(), |body, n| {
        let previous = n - 1;
        format!("{body}[v{n}, {{v{previous}: v{previous}}}].size() > 0 && ")
    });
    let body = format!("{body}[v{}] == [1]", LEVELS - 1);
    let joined = (0..LEVELS).fold(body, |inner, n| format!("[].all(v{n}, {inner})"));
    let _ = language.environment.compile(&joined);
}

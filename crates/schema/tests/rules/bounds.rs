//! Tests of the bounds on the time and memory of rules and payloads.

use super::*;

#[test]
fn no_payload_makes_rules_hang_or_crash() {
    let ruled = Ruled::new(
        "message M { repeated int32 n = 1; M m = 2; string s = 3;
           option (buf.validate.message).cel = {id: \"gather\", message: \"m\", expression: \"this.n.filter(i, i >= 0).size() == this.n.size()\"};
           option (buf.validate.message).cel = {id: \"nest\", message: \"m\", expression: \"this.s != 'nest' || this.n.all(i, [0, 1].all(j, this.n.size() > i + j))\"};
           option (buf.validate.message).cel = {id: \"divide\", message: \"m\", expression: \"this.s != 'x' || 1 / this.n.size() > 0\"}; }",
    );
    ruled.accepts(&json!({"n": [1, 2, 3]}));
    ruled.refuses(&json!({"n": [1, -2, 3]}), "", "gather");
    // A linear rule may visit many elements. A rule that takes more steps than allowed is stopped.
    let many = |s: &str| json!({"n": vec![1; 60_000], "s": s});
    ruled.accepts(&many(""));
    for (encoding, verdict) in ruled.check(&many("nest")) {
        let reported = verdict.expect_err(encoding);
        assert!(reported.is_failure(), "{encoding}: {reported}");
        assert_eq!(reported.rule.as_deref(), Some("nest"), "{encoding}");
        let why = "it takes more steps than limits.rules_cost allows";
        assert_eq!(reported.found, why, "{encoding}");
    }
    // A rule that fails to evaluate is reported as a failure, not as a broken rule.
    for (encoding, verdict) in ruled.check(&json!({"s": "x"})) {
        let reported = verdict.expect_err(encoding);
        assert!(reported.is_failure(), "{encoding}: {reported}");
        let why = "a rule of t.M could not be evaluated: division by zero (rule divide)";
        assert_eq!(reported.to_string(), why, "{encoding}");
    }
    // Deeply nested payloads are checked on a thread with the default stack size, 2 MiB.
    let deep = |levels: usize| (0..levels).fold(json!({"n": [1]}), |inner, _| json!({"m": inner}));
    let checked = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let wire = |levels: usize| {
                (0..levels).fold(b"\x0a\x01\x01".to_vec(), |inner, _| {
                    let mut outer = vec![0x12];
                    let mut n = inner.len();
                    while n >= 0x80 {
                        outer.push(n as u8 | 0x80);
                        n >>= 7;
                    }
                    outer.push(n as u8);
                    [outer, inner].concat()
                })
            };
            let packed = |levels: usize| rmp_serde::to_vec(&deep(levels)).unwrap();
            assert_eq!(ruled.protobuf.check(&wire(990), 1000), Ok(()));
            assert_eq!(ruled.msgpack.check(&packed(990), 1000), Ok(()));
            let json = |levels: usize| {
                format!(
                    "{}{{\"n\":[1]}}{}",
                    "{\"m\":".repeat(levels),
                    "}".repeat(levels)
                )
            };
            assert_eq!(ruled.json.check(json(990).as_bytes(), 1000), Ok(()));
            // A payload that exceeds the size limit for rules.
            let large = [b"\x1a\x80\x80\x80\x01".to_vec(), vec![b'a'; 2 << 20]].concat();
            let reported = ruled.protobuf.check(&large, 1000).unwrap_err();
            assert!(
                reported.to_string().contains("at most 1048576 bytes"),
                "{reported}"
            );
        });
    checked.unwrap().join().unwrap();
}

/// Compiles the files below `directory` and builds the rules of `t.M`.
fn load(directory: &Path) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    let descriptors = compile(&[directory.to_owned()], Compiler::Builtin, &mut found);
    let rule_set = descriptors.and_then(|descriptors| rule_set(&descriptors, "t.M", &mut found));
    rule_set.map(drop).ok_or(found)
}

#[test]
fn long_chains_of_types_overflow_no_stack() {
    let chain = |n: usize| {
        let mut text = String::from("message M { M0 m = 1; }\n");
        for i in 0..n {
            let next = (i + 1) % n;
            text.push_str(&format!("message M{i} {{ M{next} m = 1; int32 v = 2 [(buf.validate.field).int32.gt = 0]; }}\n"));
        }
        text
    };
    let build = |n: usize| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("schemas/buf/validate")).unwrap();
        fs::copy(
            VALIDATE,
            dir.path().join("schemas/buf/validate/validate.proto"),
        )
        .unwrap();
        let text = format!(
            "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";\n{}",
            chain(n)
        );
        fs::write(dir.path().join("schemas/t.proto"), text).unwrap();
        load(&dir.path().join("schemas"))
    };
    assert!(build(4_500).is_ok());
}

fn expression(text: &str) -> String {
    format!(
        "message M {{\n  int32 f = 1 [(buf.validate.field).cel = {{id: \"x\", message: \"m\", expression: \"{text}\"}}];\n  M m = 2;\n}}"
    )
}

/// Asserts that expressions that are too long or too deep are rejected before they are compiled.
#[test]
fn expressions_are_bounded_before_anything_recurses() {
    // The column at which the text of the expression begins.
    const START: u32 = 80;
    for (expression_of, column) in [
        (format!("this{} > 0", ".a".repeat(100_000)), START),
        (
            format!("{}true{}", "(".repeat(50_000), ")".repeat(50_000)),
            START,
        ),
    ] {
        let reported = "bad rules of t.M.f: an expression has at most 65536 bytes";
        loading::bad(&expression(&expression_of), &[(reported, (3, column))]);
    }
    for (expression_of, column) in [
        (format!("this{} > 0", "+1".repeat(4_990)), START),
        (format!("this{} > 0", ".a".repeat(4_990)), START),
        (format!("{}this > 0", "-1 - ".repeat(1_990)), START),
        (
            format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000)),
            START + 128,
        ),
    ] {
        let reported = "bad rules of t.M.f: an expression has at most 128 levels";
        loading::bad(&expression(&expression_of), &[(reported, (3, column))]);
    }
    let predefined = format!(
        "extend buf.validate.Int32Rules {{\n  bool odd = 80048952 [(buf.validate.predefined).cel = {{id: \"odd\", expression: \"this{} > 0\"}}];\n}}\nmessage M {{ int32 f = 1 [(buf.validate.field).int32.(odd) = true]; }}",
        "+1".repeat(300)
    );
    let text = "edition = \"2023\"; package t; import \"buf/validate/validate.proto\";\n"
        .to_owned()
        + &predefined;
    loading::bad(
        &text,
        &[(
            "bad rules of t.odd: an expression has at most 128 levels",
            (3, 81),
        )],
    );
}

/// Evaluates a very deep expression on a very deep message, on a thread with the default stack
/// size.
#[test]
fn the_deepest_expression_fits_the_default_stack() {
    let deep = format!("this{} > 0", "+1".repeat(120));
    let ruled = Ruled::new(&expression(&deep));
    let nested = (0..990).fold(json!({"f": 1}), |inner, _| json!({"f": 1, "m": inner}));
    let checked = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let packed = rmp_serde::to_vec(&nested).unwrap();
            assert_eq!(ruled.msgpack.check(&packed, 1000), Ok(()));
        });
    checked.unwrap().join().unwrap();
    // A chain of `&&` is long without being deep, since it is parsed as a balanced tree.
    let wide = vec!["this != 5"; 600].join(" && ");
    Ruled::new(&expression(&wide)).refuses(&json!({"f": 5}), "f", "x");
}

#[test]
fn all_rules_together_are_bounded() {
    // Each pattern counts as the largest size, 10 MiB, so the limit is exceeded by the thirteenth.
    let fields = (1..=14).map(|n| {
        format!(
            "  string f{n} = {n} [(buf.validate.field).string.pattern = \"^\\\\pL{{1,{}}}$\"];\n",
            230 + n % 3
        )
    });
    let text = format!("message M {{\n{}}}", fields.collect::<String>());
    let reported = "bad rules of t.M.f13: the patterns up to this one together compile to more than 134217728 bytes";
    loading::bad(&text, &[(reported, (15, 20))]);
    let fields = (1..=120).map(|n| {
        let long = format!("this != '{}'", "x".repeat(9_900));
        format!("  string f{n} = {n} [(buf.validate.field).cel = {{id: \"x\", expression: \"{long}\"}}];\n")
    });
    let text = format!("message M {{\n{}}}", fields.collect::<String>());
    let reported = "the expressions up to this one are together longer than 1048576 bytes";
    loading::bad(&text, &[(reported, (108, 22))]);
}

/// Asserts that the time to check nested Any messages is linear in the length of the payload, not
/// quadratic.
#[test]
fn the_content_of_an_any_is_read_once() {
    let ruled = Ruled::new(
        "import \"google/protobuf/any.proto\"; message M { google.protobuf.Any any = 1; int32 f = 2 [(buf.validate.field).int32.gt = 0]; repeated int32 n = 3; }",
    );
    let nested = |levels: usize| {
        let open = "{\"any\":{\"@type\":\"x/t.M\",\"f\":1,".repeat(levels);
        let open = open.replace("\"f\":1,{\"any\"", "\"f\":1,\"any\"");
        let numbers = vec!["1"; 200_000].join(",");
        format!("{open}\"n\":[{numbers}]{},\"f\":1}}", "}".repeat(levels))
    };
    let time = |levels: usize| {
        let payload = nested(levels);
        let started = std::time::Instant::now();
        assert_eq!(ruled.json.check(payload.as_bytes(), 1000), Ok(()));
        started.elapsed()
    };
    time(1);
    let (few, many) = (time(1), time(45));
    assert!(many < few * 20, "{few:?} {many:?}");
}

/// Loads rules as a reload does, on a thread with the default stack size. Bad rules must not end
/// the process.
#[test]
fn a_reload_refuses_rules_that_are_too_long_or_deep() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("schemas/buf/validate")).unwrap();
    let validate = dir.path().join("schemas/buf/validate/validate.proto");
    fs::copy(VALIDATE, validate).unwrap();
    for (text, reported) in [
        (format!("this{} > 0", "+1".repeat(120)), None),
        (
            format!("this{} > 0", "+1".repeat(4_900)),
            Some("at most 128 levels"),
        ),
        (
            format!("this{} > 0", "+1".repeat(40_000)),
            Some("at most 65536 bytes"),
        ),
    ] {
        let text = format!(
            "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";\n{}",
            expression(&text)
        );
        fs::write(dir.path().join("schemas/t.proto"), text).unwrap();
        let path = dir.path().join("schemas");
        let loading = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || load(&path));
        let loaded = loading.unwrap().join().unwrap();
        let found = loaded.err().map(|found| found.render(false));
        assert_eq!(found.is_some(), reported.is_some(), "{found:?}");
        for (found, reported) in found.iter().zip(reported) {
            assert!(
                found.contains(reported) && found.contains("t.proto:3:80"),
                "{found}"
            );
        }
    }
}

/// Asserts that standard rules are checked at every nesting level that the walk accepts, on a
/// thread with the default stack size.
#[test]
fn rules_of_the_deepest_message_fit_the_default_stack() {
    let ruled = Ruled::new(
        "syntax = \"proto2\"; package t; import \"buf/validate/validate.proto\";
         message M { optional int32 n = 1 [(buf.validate.field).int32.gt = 0]; optional M m = 2;
           optional group G = 3 { optional M m = 1; }
           repeated group H = 4 { optional M m = 1; } repeated M many = 5; map<string, M> map = 6; }",
    );
    const LEVELS: usize = 1000;
    let len = |number: u8, inner: Vec<u8>| {
        let mut outer = vec![number << 3 | 2];
        let mut n = inner.len();
        while n >= 0x80 {
            outer.push(n as u8 | 0x80);
            n >>= 7;
        }
        outer.push(n as u8);
        [outer, inner].concat()
    };
    let group =
        |number: u8, inner: Vec<u8>| [vec![number << 3 | 3], inner, vec![number << 3 | 4]].concat();
    let checked = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            for level in [
                &|inner| len(2, inner) as Vec<u8>,
                &|inner| group(3, len(1, inner)),
                &|inner| group(4, len(1, inner)),
                &|inner| len(5, inner),
                &|inner| len(6, len(2, inner)),
            ] as [&dyn Fn(Vec<u8>) -> Vec<u8>; 5]
            {
                // A group and its message count as two levels, as do a map entry and its value.
                let levels = LEVELS / (1 + usize::from(level(vec![])[0] & 7 == 3));
                let levels = if level(vec![]).len() == 4 {
                    LEVELS / 2
                } else {
                    levels
                };
                let deepest = (0..levels).fold(b"\x08\x01".to_vec(), |inner, _| level(inner));
                assert_eq!(ruled.protobuf.check(&deepest, 1000), Ok(()));
                let deepest = (0..levels).fold(b"\x08\x00".to_vec(), |inner, _| level(inner));
                let reported = ruled.protobuf.check(&deepest, 1000).unwrap_err();
                assert_eq!(reported.rule.as_deref(), Some("int32.gt"));
            }
            let open = "{\"m\":".repeat(LEVELS);
            let json = format!("{open}{{\"n\":0}}{}", "}".repeat(LEVELS));
            let reported = ruled.json.check(json.as_bytes(), 1000).unwrap_err();
            assert_eq!(reported.rule.as_deref(), Some("int32.gt"));
            let packed = [b"\x81\xa1m".repeat(LEVELS), b"\x81\xa1n\x00".to_vec()].concat();
            let reported = ruled.msgpack.check(&packed, 1000).unwrap_err();
            assert_eq!(reported.rule.as_deref(), Some("int32.gt"));
        });
    checked.unwrap().join().unwrap();
}

/// Asserts that at most sixteen violations of a payload are reported.
#[test]
fn at_most_sixteen_violations_are_found_and_reported() {
    let text = "message M { repeated int32 n = 1 [(buf.validate.field).repeated.items.int32.gt = 0]; repeated M m = 2; }";
    let (descriptors, _dir) = descriptors(text);
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rule_set = RuleSet::build(&descriptors, &table, &["t.M"], &mut Diagnostics::new());
    let rule_set = Arc::new(rule_set.unwrap());
    let options = Options {
        all_violations: true,
        ..Options::default()
    };
    for (encoding, payload) in [
        (
            Encoding::Protobuf,
            [b"\x0a\x80\x80\x40".to_vec(), vec![0; 1 << 20]].concat(),
        ),
        (
            Encoding::Msgpack,
            [b"\x81\xa1n\xdd\x00\x10\x00\x00".to_vec(), vec![0; 1 << 20]].concat(),
        ),
        (
            Encoding::Json,
            format!("{{\"n\":[{}0]}}", "0,".repeat(1 << 20)).into_bytes(),
        ),
    ] {
        let root = table.message("t.M").unwrap();
        let mut schema = Schema::new(encoding, Arc::clone(&table), root, options);
        assert!(schema.enforce(&rule_set, LIMITS));
        let reported = schema.check(&payload, DEPTH).unwrap_err();
        assert_eq!(reported.path, "n[0]");
        let others = reported.others.unwrap();
        assert_eq!((others.len(), &*others[14].path), (15, "n[15]"));
    }
}

/// However many steps are allowed, the memory of an evaluation is bounded.
#[test]
fn rules_allocate_a_bounded_amount_of_memory() {
    let text = "message M { repeated int32 n = 1;
       option (buf.validate.message).cel = {id: \"copies\", message: \"m\", expression: \"this.n.map(i, this.n + this.n).size() > 0\"}; }";
    let (descriptors, _dir) = descriptors(text);
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let mut found = Diagnostics::new();
    let rule_set = Arc::new(RuleSet::build(&descriptors, &table, &["t.M"], &mut found).unwrap());
    let root = table.message("t.M").unwrap();
    let mut schema = Schema::new(Encoding::Json, Arc::clone(&table), root, Options::default());
    let steps = 1 << 40;
    assert!(schema.enforce(&rule_set, RuleLimits { steps, ..LIMITS }));
    let payload = |count: usize| json!({"n": vec![1; count]}).to_string();
    assert_eq!(schema.check(payload(20).as_bytes(), DEPTH), Ok(()));
    let reported = schema.check(payload(4_000).as_bytes(), DEPTH).unwrap_err();
    let why =
        "a rule of t.M could not be evaluated: it takes more than 64 MiB of memory (rule copies)";
    assert_eq!(reported.to_string(), why);
}

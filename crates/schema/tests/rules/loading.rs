//! Tests that the faults of rules themselves are reported before any payload arrives.

use super::*;

/// Asserts the errors and warnings of the rules of `t.M`, with their lines and columns. If `text`
/// has no `syntax` or `edition`, `descriptors` adds a line before `text`, which counts as line 1.
#[track_caller]
pub fn bad(text: &str, expected: &[(&str, (u32, u32))]) {
    let (descriptors, _dir) = descriptors(text);
    let mut found = Diagnostics::new();
    let built = rule_set(&descriptors, "t.M", &mut found);
    found.sort();
    assert_eq!(built.is_none(), found.has_errors());
    let reported: Vec<_> = found
        .iter()
        .map(|diagnostic| {
            let place = diagnostic
                .place
                .as_ref()
                .map(|place| (place.line, place.column));
            (diagnostic.message.clone(), place.unwrap_or_default())
        })
        .collect();
    let same = reported.len() == expected.len()
        && reported
            .iter()
            .zip(expected)
            .all(|(t, e)| t.0.contains(e.0) && t.1 == e.1);
    assert!(same, "{reported:#?}");
}

#[test]
fn a_bad_rule_is_an_error_at_its_place() {
    bad(
        "message M {\n  int32 a = 1;\n  string f = 2 [\n    deprecated = true,\n    (buf.validate.field).int32.gt = 3\n  ];\n}",
        &[("bad rules of t.M.f", (6, 5))],
    );
    bad(
        "message M {\n  int32 f = 1 [(buf.validate.field).cel = {id: \"x\", expression: \"this >\"}];\n}",
        &[(
            "bad rules of t.M.f: expected an expression, found the end",
            (3, 72),
        )],
    );
    bad(
        "message M {\n  option (buf.validate.message).cel = {id: \"x\", expression: \")\"};\n  int32 f = 1;\n}",
        &[(
            "bad rules of t.M: expected an expression, found `)`",
            (3, 62),
        )],
    );
    bad(
        "message M {\n  string f = 1 [(buf.validate.field).string.pattern = \"(\"];\n}",
        &[("bad rules of t.M.f", (3, 17))],
    );
    bad(
        "message M {\n  option (buf.validate.message).oneof = {fields: [\"g\"]};\n  int32 f = 1;\n}",
        &[("bad rules of t.M: field g not found", (3, 10))],
    );
    // Bad rules of a nested message type, in several places at once.
    bad(
        "message M { repeated N n = 1; }\nmessage N {\n  int32 a = 1 [(buf.validate.field).cel = {id: \"x\", expression: \"(\"}];\n  repeated int32 b = 2 [(buf.validate.field).repeated.items.string.len = 1];\n}",
        &[
            ("bad rules of t.N.a: ", (4, 67)),
            ("bad rules of t.N.b", (5, 25)),
        ],
    );
    // Types are checked before any payload arrives. An error has its place in the text, even if the
    // expression is split into several string literals or contains escapes.
    bad(
        "message M {\n  option (buf.validate.message).cel = {id: \"x\", expression: \"this.nme != ''\"};\n  string name = 1;\n}",
        &[("bad rules of t.M: t.M has no field `nme`", (3, 67))],
    );
    bad(
        "message M {\n  option (buf.validate.message).cel_expression = 'this.name != \\'a\\' '\n    '&& this.name > 1';\n  string name = 1;\n}",
        &[("bad rules of t.M: ", (4, 9))],
    );
    bad(
        "message M {\n  int32 f = 1 [(buf.validate.field).cel_expression = \"this + 1\"];\n}",
        &[(
            "bad rules of t.M.f: the rule is a value of type int",
            (3, 55),
        )],
    );
    bad(
        "message M {\n  string f = 1 [(buf.validate.field).cel_expression = \"this.matches('(')\"];\n}",
        &[("bad rules of t.M.f: ", (3, 69))],
    );
    // A cost that is quadratic in the number of elements is a warning.
    bad(
        "message M {\n  repeated int32 f = 1 [(buf.validate.field).cel_expression = \"this.all(a, this.exists_one(b, a == b))\"];\n}",
        &[(
            "the cost of a rule of t.M.f grows with the number of elements to the power of 2",
            (3, 76),
        )],
    );
}

/// Tests that rules are enforced however validate.proto is imported, and in every edition.
#[test]
fn rules_hold_in_editions_and_where_only_options_are_imported() {
    for head in [
        "edition = \"2023\"; package t; import \"buf/validate/validate.proto\";",
        "edition = \"2024\"; package t; import \"buf/validate/validate.proto\";",
        "edition = \"2024\"; package t; import option \"buf/validate/validate.proto\";",
    ] {
        let text = "message M { int32 a = 1 [(buf.validate.field).int32.gt = 5];
             repeated N n = 2; string s = 3 [features.field_presence = IMPLICIT, (buf.validate.field).string.min_len = 2]; }
           message N { int32 b = 1 [(buf.validate.field).required = true]; }";
        let ruled = Ruled::new(&format!("{head}\n{text}"));
        ruled.accepts(&json!({"a": 6, "s": "ab"}));
        ruled.refuses(&json!({"a": 1, "s": "ab"}), "a", "int32.gt");
        ruled.refuses(&json!({"a": 6}), "s", "string.min_len");
        let inner = json!({"a": 6, "s": "ab", "n": [{"b": 0}, {}]});
        ruled.refuses(&inner, "n[1].b", "required");
    }
}

#[test]
fn rules_that_no_file_defines_are_an_error() {
    let (descriptors, _dir) =
        descriptors("message M {\n int32 a = 1 [(buf.validate.field).int32.gt = 5]; }");
    let mut found = Diagnostics::new();
    assert!(rule_set(&descriptors, "t.M", &mut found).is_some());
    // The user's own option has the field number of buf.validate.field, so the option could be a
    // rule. This is an error, because the message must not pass as a message without rules.
    let other = "syntax = \"proto2\"; package t; import \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions { optional string mine = 1159; }
message M { optional int32 a = 1 [(mine) = \"x\"]; }";
    let reported = "buf.validate.field is defined in none of the files";
    bad(other, &[(reported, (3, 9))]);
    // A message that does not exist.
    assert!(rule_set(&descriptors, "t.N", &mut found).is_none());
    assert!(found.has_errors());
}

/// Asserts that a rule of a later validate.proto is an error, since the gateway does not know its
/// meaning.
#[test]
fn an_unknown_rule_is_an_error() {
    let later = fs::read_to_string(VALIDATE).unwrap();
    let strict = "  optional bool strict = 25;\n";
    assert_eq!(later.matches(strict).count(), 1);
    let later = later.replace(strict, &format!("{strict}  optional bool shiny = 99;\n"));
    let text = "message M {\n  string f = 1 [(buf.validate.field).string.shiny = true];\n}";
    let (descriptors, _dir) = descriptors_with(text, &later);
    let mut found = Diagnostics::new();
    assert!(rule_set(&descriptors, "t.M", &mut found).is_none());
    let reported = found.render(false);
    assert!(
        reported.contains("bad rules of t.M.f: unknown rules") && reported.contains("t.proto:3:17"),
        "{reported}"
    );
}

/// Asserts that the rules of many fields, together with a rule in CEL, are read in linear time, and
/// that each bad rule is reported.
#[test]
fn rules_of_very_many_fields_are_read_in_time() {
    let fields = |bad: &str| {
        let rule = "[(buf.validate.field).int32.gt = 0]";
        let fields = (1..=15_000).map(|n| format!("int32 f{n} = {n} {rule};\n"));
        let fields: String = fields.collect();
        let own = "option (buf.validate.message).cel_expression = \"this.f1 >= 0\";";
        format!("message M {{ {own}\n{fields}\nstring f = 18999 [(buf.validate.field).{bad}];\n}}")
    };
    let started = std::time::Instant::now();
    bad(&fields("string.len = 1"), &[]);
    let reported = "bad rules of t.M.f: int32 rules on a value of type string";
    bad(&fields("int32.gt = 1"), &[(reported, (15_004, 19))]);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// Asserts that the places of errors are found in linear time, however many errors and definitions
/// the file has. `rule` is a bad rule of 15,000 fields, and `reported` a part of its error.
fn errors_of_very_many_rules(rule: &str, reported: &str) {
    let messages = (0..15_000).map(|n| format!("message M{n} {{ int32 f = 1 [{rule}]; }}\n"));
    let fields = (0..15_000).map(|n| format!("M{n} f{n} = {};\n", n + 1));
    let fields: String = fields.collect();
    let text = format!("message M {{ {fields} }}\n{}", messages.collect::<String>());
    let started = std::time::Instant::now();
    let (descriptors, _dir) = descriptors(&text);
    let mut found = Diagnostics::new();
    assert!(rule_set(&descriptors, "t.M", &mut found).is_none());
    assert_eq!(found.errors(), 15_000);
    // Errors after the first 200 are only counted.
    assert_eq!(found.iter().count(), 200);
    for fault in found.iter() {
        assert!(fault.message.contains(reported), "{}", fault.message);
        assert!(fault.place.as_ref().unwrap().line > 15_000);
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn very_many_rules_of_another_type_are_reported_in_linear_time() {
    errors_of_very_many_rules(
        "(buf.validate.field).string.len = 1",
        "string rules on a value of type int32",
    );
}

#[test]
fn very_many_rules_with_an_unknown_variable_are_reported_in_linear_time() {
    errors_of_very_many_rules(
        "(buf.validate.field).cel_expression = \"thsi\"",
        "unknown variable `thsi`",
    );
}

#[test]
fn very_many_rules_with_a_wrong_result_are_reported_in_linear_time() {
    errors_of_very_many_rules(
        "(buf.validate.field).cel_expression = \"this + 1\"",
        "the rule is a value of type int",
    );
}

#[test]
fn each_bad_standard_rule_is_reported_at_its_place_with_the_reason() {
    let field = |field: &str| format!("message M {{\n  {field}\n}}\nmessage N {{}}");
    for (text, reported) in [
        (
            "string f = 1 [(buf.validate.field).int32.gt = 3];",
            "bad rules of t.M.f: int32 rules on a value of type string, which takes string rules",
        ),
        (
            "repeated int32 f = 1 [(buf.validate.field).int32.gt = 3];",
            "int32 rules on a value of type repeated int32, which takes repeated rules",
        ),
        (
            "map<string, int32> f = 1 [(buf.validate.field).map.keys.int32.gt = 3];",
            "int32 rules on a value of type string, which takes string rules",
        ),
        (
            "N f = 1 [(buf.validate.field).string.len = 3];",
            "string rules on a value of type t.N, which takes no standard rules",
        ),
        (
            "repeated N f = 1 [(buf.validate.field).repeated.unique = true];",
            "repeated.unique is a rule of scalars and enums, not of messages",
        ),
        (
            "string f = 1 [(buf.validate.field).string.pattern = \"a{2\"];",
            "bad rules of t.M.f: ",
        ),
        (
            "string f = 1 [(buf.validate.field).string.pattern = \"(?=a)\"];",
            "look-around",
        ),
    ] {
        let column = 3 + text.find("(buf").unwrap() as u32;
        bad(&field(text), &[(reported, (3, column))]);
    }
    for (oneof, reported) in [
        (
            "fields: ['nme']",
            "field nme not found (did you mean \"name\"?)",
        ),
        (
            "fields: ['name', 'name']",
            "field name occurs twice in one oneof rule",
        ),
        ("required: true", "a oneof rule must name a field"),
    ] {
        let text = format!(
            "message M {{\n  option (buf.validate.message).oneof = {{{oneof}}};\n  string name = 1;\n}}"
        );
        bad(&text, &[(reported, (3, 10))]);
    }
}

//! What is wrong with rules themselves is told before any payload comes.

use super::*;

/// Faults and warnings of rules, with the line and column in the text.
#[track_caller]
pub fn bad(text: &str, expected: &[(&str, (u32, u32))]) {
    let (descriptors, _dir) = descriptors(text);
    let mut found = Diagnostics::new();
    let built = ruler(&descriptors, "t.M", &mut found);
    found.sort();
    assert_eq!(built.is_none(), found.has_errors());
    let told: Vec<_> = found
        .iter()
        .map(|it| {
            let place = it.place.as_ref().map(|place| (place.line, place.column));
            (it.message.clone(), place.unwrap_or_default())
        })
        .collect();
    let same = told.len() == expected.len()
        && told
            .iter()
            .zip(expected)
            .all(|(t, e)| t.0.contains(e.0) && t.1 == e.1);
    assert!(same, "{told:#?}");
}

#[test]
fn a_bad_rule_is_a_fault_at_its_place() {
    bad(
        "message M {\n  int32 a = 1;\n  string f = 2 [\n    deprecated = true,\n    (buf.validate.field).int32.gt = 3\n  ];\n}",
        &[("bad rules of t.M.f", (6, 5))],
    );
    bad(
        "message M {\n  int32 f = 1 [(buf.validate.field).cel = {id: \"x\", expression: \"this >\"}];\n}",
        &[(
            "bad rules of t.M.f: failed to compile CEL rule `this >`",
            (3, 16),
        )],
    );
    bad(
        "message M {\n  option (buf.validate.message).cel = {id: \"x\", expression: \")\"};\n  int32 f = 1;\n}",
        &[("bad rules of t.M: failed to compile CEL rule `)`", (3, 10))],
    );
    bad(
        "message M {\n  string f = 1 [(buf.validate.field).string.pattern = \"(\"];\n}",
        &[("bad rules of t.M.f", (3, 17))],
    );
    bad(
        "message M {\n  option (buf.validate.message).oneof = {fields: [\"g\"]};\n  int32 f = 1;\n}",
        &[("bad rules of t.M: field g not found", (3, 10))],
    );
    // Below, and in several places at once.
    bad(
        "message M { repeated N n = 1; }\nmessage N {\n  int32 a = 1 [(buf.validate.field).cel = {id: \"x\", expression: \"(\"}];\n  repeated int32 b = 2 [(buf.validate.field).repeated.items.string.len = 1];\n}",
        &[
            ("bad rules of t.N.a", (4, 16)),
            ("bad rules of t.N.b", (5, 25)),
        ],
    );
    // CEL knows no types before it runs.
    bad(
        "message M {\n  option (buf.validate.message).cel = {id: \"x\", expression: \"this.nme != ''\"};\n  string name = 1;\n}",
        &[("the rules of t.M can't be applied to an empty one", (3, 10))],
    );
}

/// Rules count however validate.proto is imported, and in every edition.
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
fn rules_that_lie_in_no_file_are_a_fault() {
    let (descriptors, _dir) =
        descriptors("message M {\n int32 a = 1 [(buf.validate.field).int32.gt = 5]; }");
    let mut found = Diagnostics::new();
    assert!(ruler(&descriptors, "t.M", &mut found).is_some());
    // Another's option of the same number: whether it is a rule isn't known, so nothing passes for one without.
    let other = "syntax = \"proto2\"; package t; import \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions { optional string mine = 1159; }
message M { optional int32 a = 1 [(mine) = \"x\"]; }";
    let told = "buf.validate.field is defined in none of the files";
    bad(other, &[(told, (3, 9))]);
    // A root that isn't there.
    assert!(ruler(&descriptors, "t.N", &mut found).is_none());
    assert!(found.has_errors());
}

/// A rule that a later validate.proto has is not passed over: what it asks isn't known here.
#[test]
fn a_rule_that_nobody_here_knows_is_a_fault() {
    let later = fs::read_to_string(VALIDATE).unwrap();
    let strict = "  optional bool strict = 25;\n";
    assert_eq!(later.matches(strict).count(), 1);
    let later = later.replace(strict, &format!("{strict}  optional bool shiny = 99;\n"));
    let text = "message M {\n  string f = 1 [(buf.validate.field).string.shiny = true];\n}";
    let (descriptors, _dir) = descriptors_beside(text, &later);
    let mut found = Diagnostics::new();
    assert!(ruler(&descriptors, "t.M", &mut found).is_none());
    let told = found.render(false);
    assert!(
        told.contains("bad rules of t.M.f: unknown rules") && told.contains("t.proto:3:17"),
        "{told}"
    );
}

/// However many fields a message has, it takes time by their number, and each bad rule is told.
#[test]
fn rules_of_very_many_fields_are_read_in_time() {
    let fields = |bad: &str| {
        let rule = "[(buf.validate.field).int32.gt = 0]";
        let fields = (1..=15_000).map(|n| format!("int32 f{n} = {n} {rule};\n"));
        let fields: String = fields.collect();
        format!("message M {{\n{fields}\nstring f = 18999 [(buf.validate.field).{bad}];\n}}")
    };
    let started = std::time::Instant::now();
    bad(&fields("string.len = 1"), &[]);
    let told = "bad rules of t.M.f: int32 rules on a value of type string";
    bad(&fields("int32.gt = 1"), &[(told, (15_004, 19))]);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// What is wrong with a standard rule, at its place.
#[test]
fn each_bad_standard_rule_is_told_with_what_fits() {
    let field = |field: &str| format!("message M {{\n  {field}\n}}\nmessage N {{}}");
    for (text, told) in [
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
            "string rules on a value of type t.N, which takes none",
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
        bad(&field(text), &[(told, (3, column))]);
    }
    for (oneof, told) in [
        (
            "fields: ['nme']",
            "field nme not found (did you mean \"name\"?)",
        ),
        (
            "fields: ['name', 'name']",
            "field name stands twice in one oneof rule",
        ),
        ("required: true", "a oneof rule must name a field"),
    ] {
        let text = format!(
            "message M {{\n  option (buf.validate.message).oneof = {{{oneof}}};\n  string name = 1;\n}}"
        );
        bad(&text, &[(told, (3, 10))]);
    }
}

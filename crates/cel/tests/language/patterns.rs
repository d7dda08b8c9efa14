//! Tests of patterns, which have RE2's syntax and meaning.

use gateway_cel::{Budget, Pattern};

fn matches(pattern: &str, text: &str) -> bool {
    let compiled = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    compiled.matches(text, &mut Budget::new(1_000, 0)).unwrap()
}

#[test]
fn perl_classes_match_only_ascii() {
    assert!(matches(r"^\d\w\s$", "5_ "));
    // Perl classes do not match digits, letters and spaces outside ASCII.
    assert!(!matches(r"^\d$", "٣"));
    assert!(!matches(r"^\w$", "é"));
    assert!(!matches(r"^\s$", "\u{a0}"));
    assert!(matches(r"^\D\W\S$", "٣éx"));
    assert!(matches(r"^[\d\s]+$", "1 2"));
    assert!(matches(r"^[^\d]$", "٣"));
    assert!(matches(r"^[\D]$", "a"));
    assert!(matches(r"é\b", "éa"));
    assert!(matches(r"a\b", "aé"));
    assert!(matches(r"^\pL\p{Greek}\P{L}\p{^L}$", "éα12"));
}

#[test]
fn classes_have_no_operators() {
    assert!(matches(r"^[a&&b]+$", "a&b"));
    assert!(matches(r"^[[]$", "["));
    assert!(matches(r"^[]a]+$", "]a"));
    assert!(matches(r"^[a~~b]+$", "~"));
    assert!(matches(r"^[+--]+$", "+,-"));
    assert!(matches(r"^[a-]+$", "a-"));
    assert!(matches(r"^[[:alpha:][:digit:]]+$", "a1"));
    assert!(matches(r"^[\]\\]+$", r"]\"));
}

#[test]
fn braces_that_are_no_repetition_are_literals() {
    assert!(matches(r"^a{,2}$", "a{,2}"));
    assert!(matches(r"^{}$", "{}"));
    assert!(matches(r"^a{2}$", "aa"));
    assert!(matches(r"^]$", "]"));
}

#[test]
fn escapes_have_the_meaning_of_re2() {
    assert!(matches(r"^\x41\x{1F600}\101\n\<\>\#$", "A😀A\n<>#"));
    assert!(matches(r"^\Qa.b\E.$", "a.bc"));
    assert!(matches(r"\Aab\z", "ab"));
    assert!(!matches(r"^a$", "a\n"));
    assert!(matches(r"(?i)^STRASSE$", "strasse"));
    assert!(matches(r"(?s)^a.b$", "a\nb"));
    assert!(!matches(r"^a.b$", "a\nb"));
    assert!(matches(r"(?m)^b$", "a\nb"));
    assert!(matches(r"^(?P<x>a)(?:b)(?<y>c)$", "abc"));
    assert!(matches(r"^(?i:A)a$", "aa"));
}

#[test]
fn patterns_that_re2_refuses_are_refused() {
    for pattern in [
        "a**",
        "a*+",
        "(",
        ")",
        "[a",
        "a{1001}",
        "a{2,1}",
        r"\8",
        r"\1",
        r"\Z",
        r"\C",
        r"\",
        "(?x)a b",
        "(?=a)",
        "(?<!a)",
        "(?P=x)",
        "*a",
        r"[b-a]",
        r"\p{Nonsense}",
        r"\y",
        "x{2}{3}",
        r"[\b]",
    ] {
        assert!(Pattern::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn patterns_are_bounded() {
    assert!(Pattern::new(&"(".repeat(5_000)).is_err());
    assert!(Pattern::new(&format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000))).is_err());
    assert!(Pattern::new(r"((a{1000}){1000}){1000}").is_err());
    assert!(Pattern::new(r"[\p{L}]{1000}{1000}").is_err());
}

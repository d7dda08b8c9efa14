use serde_yaml::Value;

use super::document::KEY_BYTES;
use super::*;
use gateway_zmtp::z85;

fn read(text: &str) -> Result<Node, String> {
    let mut found = Diagnostics::new();
    let environment = [("PORT".to_owned(), "5559".into())].into_iter().collect();
    let node = parse(&SourceFile::new("r.yaml", text), &environment, &mut found);
    match node {
        Some(node) if found.is_empty() => Ok(node),
        _ => Err(found.render(false)),
    }
}

#[test]
fn values_have_their_places() {
    let node = read("a:\n  b: [1, two]\n  \"*\": &x {c: 30s}\nd: *x\n").unwrap();
    let NodeKind::Map(top) = &node.kind else {
        panic!()
    };
    let NodeKind::Map(a) = &top[0].1.kind else {
        panic!()
    };
    let NodeKind::List(list) = &a[0].1.kind else {
        panic!()
    };
    assert_eq!(list[1].place.to_string(), "r.yaml:2:10");
    assert_eq!(list[1].place.width, 3);
    assert_eq!(a[1].0.text(), "*");
    let NodeKind::Map(d) = &top[1].1.kind else {
        panic!()
    };
    assert_eq!(d[0].1.text(), "30s");
}

#[test]
fn faults_of_the_yaml_itself_have_places() {
    for (text, expected) in [
        ("", "r.yaml:1:1"),
        ("# nothing\n", "r.yaml:1:1"),
        ("a: 1\n---\nb: 2\n", "second YAML document"),
        ("a: 1\na: 2\nb: 1\nb: 2\n", "r.yaml:4:1"),
        ("routes:\n  *: {}\n", "r.yaml:2:3"),
        ("routes:\n  *: {}\n", "quote keys and values that start"),
        ("a:\n\tb: 1\n", "r.yaml:2:"),
        ("a: [1\n", "r.yaml:"),
        ("a: &x [*x]\n", "r.yaml:1:"),
    ] {
        let fault = read(text).unwrap_err();
        assert!(fault.contains(expected), "{text:?}: {fault}");
    }
}

#[test]
fn a_tab_may_separate_a_key_from_its_value() {
    let node = read("a:\tword\nb: {c:\tword, 'd:\te': \"f:\tg\"}\nh: x:\ty\n").unwrap_err();
    assert!(node.contains("r.yaml:3:"), "{node}");
    let node = read("a:\tword\nb: {c:\tword, 'd:\te': \"f:\tg\"}\n").unwrap();
    let NodeKind::Map(top) = &node.kind else {
        panic!()
    };
    assert_eq!(top[0].1.text(), "word");
    assert_eq!(top[0].1.place.to_string(), "r.yaml:1:4");
    let NodeKind::Map(b) = &top[1].1.kind else {
        panic!()
    };
    assert_eq!(
        (b[0].1.text(), b[1].0.text(), b[1].1.text()),
        ("word", "d:\te", "f:\tg")
    );
}

#[test]
fn variables_are_expanded_in_values_only() {
    let node =
        read("${PORT}: [\"${PORT}\", '${PORT}x', $PORT$$]\na: {b: \"${NO:-}\"}\nc: ${NO:-}\n");
    let warning = node.unwrap_err();
    assert!(
        warning.contains("write ${PORT} for the variable"),
        "{warning}"
    );
    let node = read("${PORT}: [\"${PORT}\", '${PORT}x', a$$]\na: {b: \"${NO:-}\"}\nc: ${NO:-}\n");
    let NodeKind::Map(top) = node.unwrap().kind else {
        panic!()
    };
    assert_eq!(top[0].0.text(), "${PORT}");
    let values = |node: &Node| match &node.kind {
        NodeKind::List(items) => items.clone(),
        NodeKind::Map(pairs) => pairs.iter().map(|(_, value)| value.clone()).collect(),
        _ => vec![node.clone()],
    };
    let meanings = |node: &Node| -> Vec<Value> {
        let meaning = |node: Node| match node.kind {
            NodeKind::Scalar(_, value) => value,
            kind => panic!("{kind:?}"),
        };
        values(node).into_iter().map(meaning).collect()
    };
    assert_eq!(
        meanings(&top[0].1),
        [5559.into(), "5559x".into(), Value::from("a$")]
    );
    assert_eq!(meanings(&top[1].1), [Value::from("")]);
    assert_eq!(meanings(&top[2].1), [Value::Null]);
}

#[test]
fn a_key_in_z85_is_not_expanded() {
    let key = "Yne@${PORT}$$Z85zzzzzzzzzzzzzzzzzzzzzzzz";
    assert!(z85::decode::<KEY_BYTES>(key).is_ok(), "{}", key.len());
    let text = |text: &str| {
        let NodeKind::Map(top) = read(text).unwrap().kind else {
            panic!()
        };
        let mut node = top[0].1.clone();
        while let NodeKind::Map(pairs) = node.kind {
            node = pairs[0].1.clone();
        }
        node.text().to_owned()
    };
    let secured = format!("security: {{ curve: {{ peers: {{ alice: \"{key}\" }} }} }}");
    assert_eq!(text(&secured), key);
    let other = format!("pools: {{ curve: {{ alice: \"{key}\" }} }}");
    assert_eq!(text(&other), "Yne@5559$Z85zzzzzzzzzzzzzzzzzzzzzzzz");
    assert_eq!(
        text("security: { server: \"keys/${PORT}.key\" }"),
        "keys/5559.key"
    );
}

#[test]
fn the_size_of_expanded_variables_is_bounded() {
    let variables = [("LONG".to_owned(), "x".repeat(1 << 20).into())];
    let environment = variables.into_iter().collect();
    let read = |text: &str| {
        let mut found = Diagnostics::new();
        parse(&SourceFile::new("r.yaml", text), &environment, &mut found);
        found.render(false)
    };
    assert_eq!(read(&"- ${LONG}\n".repeat(16)), "");
    let fault = read(&"- ${LONG}\n".repeat(17));
    assert!(fault.contains("r.yaml:17:3"), "{fault}");
    assert!(
        fault.contains("the values of variables are too long"),
        "{fault}"
    );
}

#[test]
fn deep_and_large_files_are_refused_at_once() {
    for deep in ["[", "{a: ", "- ", "a: ", "? ", "&a ", "!t ", "\"", "[*a"] {
        assert!(
            read(&deep.repeat((1 << 20) / deep.len())).is_err(),
            "{deep}"
        );
    }
    let nested = read("[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]").unwrap_err();
    assert!(nested.contains("nested too deeply"), "{nested}");
}

#[test]
fn the_number_of_values_after_the_expansion_of_aliases_is_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let aliases = format!("*a{}, ", n - 1).repeat(9);
        text += &format!("a{n}: &a{n} [{aliases}]\n");
    }
    assert!(read(&text).is_err());
}

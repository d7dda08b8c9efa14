//! Tests of the bound on the cost of an evaluation.

use gateway_cel::Budget;

use crate::Language;

#[test]
fn nested_visits_raise_the_degree_of_the_cost() {
    let language = Language::new();
    let cases = [
        ("this.soft < this.hard", 0, None),
        ("this.tags.all(t, t != '')", 1, None),
        ("this.tags.all(t, t in ['a', 'b'])", 1, None),
        ("[1, 2].all(n, this.tags.all(t, size(t) > n))", 1, None),
        ("this.stock.all(name, this.stock[name] > 0)", 1, None),
        ("this.tags.all(t, t in this.stock)", 1, None),
        (
            "this.tags.all(t, t in this.tags)",
            2,
            Some("t in this.tags"),
        ),
        (
            "this.tags.all(a, this.tags.filter(b, a == b).size() == 1)",
            2,
            Some("this.tags.filter(b, a == b)"),
        ),
        (
            "this.tags.map(a, this.tags.map(b, this.tags.map(c, c)))",
            3,
            Some("this.tags.map(c, c)"),
        ),
        (
            "this.tags.all(a, this.tags.join(a) != '')",
            2,
            Some("this.tags.join(a)"),
        ),
        ("this.tags.filter(t, t != '').all(t, t != 'a')", 1, None),
    ];
    for (expression, power, part) in cases {
        let cost = language.compile(expression).cost().clone();
        assert_eq!(cost.power(), power, "{expression}");
        let nested = cost
            .nested()
            .map(|span| &expression[span.start as usize..span.end as usize]);
        assert_eq!(nested, part, "{expression}");
    }
}

/// All nested lists together are no longer than the payload. If each of them is visited once, the
/// cost is therefore linear.
#[test]
fn lists_within_elements_are_visited_once() {
    let language = Language::of("demo.Nested");
    let cases = [
        ("this.inner.all(a, a.inner.all(b, b.name != ''))", 1),
        (
            "this.inner.all(a, a.inner.all(b, b.inner.all(c, c.name != '')))",
            1,
        ),
        ("this.inner.all(a, 'x' in a.names)", 1),
        (
            "this.inner.all(a, a.inner.filter(b, b.name != '').all(c, c.name != 'x'))",
            1,
        ),
        (
            "this.inner.all(a, a.inner.all(b, a.inner.all(c, b.name != c.name)))",
            2,
        ),
        (
            "this.inner.all(a, this.inner.all(b, a.inner.all(c, c.name != '')))",
            3,
        ),
        ("this.inner.all(a, this.names.all(n, n in a.names))", 3),
    ];
    for (expression, power) in cases {
        assert_eq!(
            language.compile(expression).cost().power(),
            power,
            "{expression}"
        );
    }
}

/// Expressions, each with a factor. If an evaluation reaches all parts, the bound on the cost is at
/// most about this factor times the actual cost.
const CASES: &[(&str, u64)] = &[
    (
        "this.soft < this.hard && this.hard < 100 && this.soft > 0",
        1,
    ),
    ("this.soft + 1 == this.hard", 1),
    ("this.tags.all(t, t != '')", 1),
    ("this.tags.exists_one(t, t == 'tag')", 1),
    ("this.tags.all(a, this.tags.all(b, a == b && a <= b))", 1),
    ("this.tags.all(t, t in ['a', 'b', 'tag'])", 1),
    ("this.tags.map(t, t + 'x').filter(t, t != '').size() > 0", 2),
    ("this.tags == this.tags", 8),
    ("this.tags.join(',') != ''", 2),
    ("'%s %d'.format([this.name, this.soft]) != ''", 4),
    ("this.stock.all(k, v, v > 0 && k != '')", 2),
    ("this.stock.transformMap(k, v, v + 1) != {}", 40),
    ("this.items.all(i, i.price > 0 && i.id != '')", 1),
    ("'a' in this.stock || 'tag' in this.tags", 4),
    ("{'a': this.soft, 'b': this.hard}['a'] > 0", 8),
    ("demo.Item{id: 'x', price: 3}.price == 3", 3),
    ("has(this.first) ? this.first.price > 0 : true", 2),
    ("this.extra.a > 0.0 && this.extra['b'] == 'x'", 8),
    (
        "this.name.matches('^[a-z]+$') && this.begins.getHours('Europe/Berlin') >= 0",
        3,
    ),
    ("this.begins.getHours(this.name + '+01:00') >= 0", 2),
];

/// Asserts that no evaluation costs more than the bound, and that the bound for 40 elements is not
/// much higher than the actual cost.
#[test]
fn no_evaluation_costs_more_than_its_bound() {
    let language = Language::new();
    for (expression, slack) in CASES {
        for count in [0_u64, 1, 7, 40] {
            let mut payload = "name: '' soft: 1 hard: 2 first: {price: 1} \
                 extra: {fields: {key: 'a' value: {number_value: 1}} fields: {key: 'b' value: {string_value: 'x'}}} "
                .to_owned();
            for n in 0..count {
                payload += &format!(
                    "tags: 'tag' items: {{id: 'x' price: 1}} stock: {{key: 'k{n}' value: 1}} "
                );
            }
            let program = language.compile(expression);
            let message = language.parse(&payload);
            let this = language.schema.meaning(&message).unwrap();
            let mut budget = Budget::new(u64::MAX, u64::MAX);
            program.evaluate(&[this], &mut budget).unwrap();
            let (spent, most) = (u64::MAX - budget.steps(), program.cost().steps(count));
            assert!(spent <= most, "{expression}: {count}: {spent} > {most}");
            assert!(
                count != 40 || most <= spent * slack * 3 / 2,
                "{expression}: {count}: {spent} << {most}"
            );
        }
    }
}

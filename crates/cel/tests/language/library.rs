//! Tests of the standard library, function by function.

use crate::Language;

#[test]
fn functions_of_strings_return_the_specified_values() {
    Language::new().assert(
        "name: 'grüße'",
        &[
            ("this.name.contains('ß')", "true"),
            (
                "this.name.startsWith('gr') && this.name.endsWith('e')",
                "true",
            ),
            ("this.name.charAt(2)", "'ü'"),
            ("this.name.charAt(5)", "''"),
            ("this.name.charAt(6)", "error: the index is out of range"),
            ("this.name.indexOf('ße')", "3"),
            ("this.name.indexOf('g', 1)", "-1"),
            ("this.name.indexOf('', 5)", "5"),
            ("'abcabc'.lastIndexOf('bc')", "4"),
            ("'üüü'.lastIndexOf('ü', 1)", "1"),
            ("'aüüb'.lastIndexOf('a', 1)", "0"),
            ("this.name.substring(2, 4)", "'üß'"),
            ("this.name.substring(5)", "''"),
            (
                "this.name.substring(3, 2)",
                "error: the substring ends before it begins",
            ),
            ("this.name.upperAscii()", "'GRüßE'"),
            ("this.name.reverse()", "'eßürg'"),
            ("'a,b,c'.split(',')", "['a', 'b', 'c']"),
            ("'a,b,c'.split(',', 2)", "['a', 'b,c']"),
            ("'a,b'.split(',', 0)", "[]"),
            ("'aüb'.split('')", "['a', 'ü', 'b']"),
            ("'aüb'.split('', 2)", "['a', 'üb']"),
            ("''.split('')", "[]"),
            ("''.split(',')", "['']"),
            ("','.split(',')", "['', '']"),
            ("['a', 'b'].join('-')", "'a-b'"),
            ("'banana'.replace('a', 'o', 2)", "'bonona'"),
            ("'ab'.replace('', '-')", "'-a-b-'"),
            ("' \\t a '.trim()", "'a'"),
            ("'   '.trim()", "''"),
            ("strings.quote('a\"b\\n')", "'\"a\\\"b\\n\"'"),
            ("'b' > 'a' && 'Z' < 'a'", "true"),
        ],
    );
}

#[test]
fn formats_write_every_clause() {
    Language::new().assert(
        "weight: 2.5",
        &[
            ("'%d %d %s%%'.format([1, 2u, 'x'])", "'1 2 x%'"),
            ("'%s'.format([this.weight])", "'2.5'"),
            (
                "'%s'.format([[1, 'a', null, true]])",
                "'[1, a, null, true]'",
            ),
            ("'%s'.format([{'b': 1, 'a': [2]}])", "'{a: [2], b: 1}'"),
            ("'%x %x'.format(['az', b'\\x01'])", "'617a 01'"),
            ("'%x %b'.format([-255, -2])", "'-ff -10'"),
            (
                "'%s'.format([timestamp('2024-02-29T12:00:00.25Z')])",
                "'2024-02-29T12:00:00.25Z'",
            ),
            ("'%s'.format([type(1)])", "'int'"),
            (
                "'%d'.format([1.5])",
                "error: the format clause %d does not take a value of type double",
            ),
            (
                "'%d'.format([])",
                "error: the format string has more clauses than arguments",
            ),
            ("'%z'.format([1])", "error: there is no format clause %z"),
            (
                "'%'.format([1])",
                "error: the format string ends in an incomplete clause",
            ),
            (
                "'%.9999f'.format([1.0])",
                "error: the format string has a precision that is not valid",
            ),
            (
                "'%s'.format([this])",
                "error: the format clause %s does not take a value of type demo.Order",
            ),
        ],
    );
}

#[test]
fn conversions_return_the_specified_values() {
    Language::new().assert(
        "",
        &[
            ("int('-12') + int(3u) + int(2.9)", "-7"),
            ("int(' 1')", "error: the string does not parse as an int"),
            ("uint(-1)", "error: the value is out of range of uint"),
            ("int(1e19)", "error: the value is out of range of int"),
            (
                "uint(18446744073709551615.0)",
                "error: the value is out of range of uint",
            ),
            ("double('1.5e3')", "1500.0"),
            (
                "double('1e999')",
                "error: the value is out of range of double",
            ),
            ("double('NaN') == double('NaN')", "false"),
            ("string(1.5) + string(2u) + string(-3)", "'1.52-3'"),
            (
                "string(1e30) + string(1e-9) + string(100000.0)",
                "'1e+301e-09100000'",
            ),
            ("string(b'\\xff')", "error: the bytes are not valid UTF-8"),
            ("bytes('é')", "[195, 169]"),
            ("bool('yes')", "error: the string does not parse as a bool"),
            ("string(timestamp(0))", "'1970-01-01T00:00:00Z'"),
            ("string(duration('1h1m1.5s'))", "'3661.5s'"),
            ("int(timestamp('1970-01-02T00:00:00Z'))", "86400"),
            ("type(type(1)) == type", "true"),
            (
                "[type(1), type(1u), type(''), type([]), type({}), type(null)]",
                "[int, uint, string, list, map, null_type]",
            ),
            ("type(this)", "demo.Order"),
        ],
    );
}

#[test]
fn functions_of_times_return_the_specified_values() {
    Language::new().assert(
        "begins { seconds: 951782400 } visits { seconds: 1 } visits { seconds: 5 }", // 2000-02-29T00:00:00Z
        &[
            ("string(this.begins)", "'2000-02-29T00:00:00Z'"),
            ("this.begins.getMonth()", "1"),
            ("this.begins.getDate()", "29"),
            ("this.begins.getDayOfMonth()", "28"),
            ("this.begins.getDayOfYear()", "59"),
            ("this.begins.getDayOfWeek()", "2"),
            ("this.begins.getDate('America/New_York')", "28"),
            ("this.begins.getHours('America/New_York')", "19"),
            ("this.begins.getMinutes('Asia/Kolkata')", "30"),
            ("this.begins.getFullYear('-00:01')", "2000"),
            (
                "timestamp('9999-12-31T23:59:59Z').getFullYear('+14:00')",
                "10000",
            ),
            (
                "timestamp('0001-01-01T00:00:00Z').getHours('Europe/Berlin')",
                "0",
            ),
            ("timestamp('2024-07-01T12:00:00+02:00').getHours()", "10"),
            (
                "timestamp('2023-02-29T00:00:00Z')",
                "does not compile: the timestamp does not parse",
            ),
            (
                "timestamp('2024-07-01 12:00:00Z')",
                "does not compile: the timestamp does not parse",
            ),
            (
                "this.begins + duration('24h') == timestamp('2000-03-01T00:00:00Z')",
                "true",
            ),
            ("this.visits[1] - this.visits[0]", "4.000000000s"),
            ("duration('-1.5s').getMilliseconds()", "-500"),
            ("duration('90m').getHours()", "1"),
            ("duration('1h30m') == duration('5400s')", "true"),
            ("duration('1us') < duration('1ms')", "true"),
            ("duration(this.name)", "error: the duration does not parse"),
            (
                "this.visits.all(v, v < timestamp('1970-01-01T00:00:10Z'))",
                "true",
            ),
        ],
    );
}

#[test]
fn operators_on_numbers_return_the_specified_values() {
    Language::new().assert(
        "soft: 9223372036854775807 pieces: 1 weight: 2.5",
        &[
            ("this.soft + 1", "error: the result is out of range"),
            ("this.soft * 2", "error: the result is out of range"),
            ("this.pieces - 2u", "error: the result is out of range"),
            ("this.pieces / 0u", "error: division by zero"),
            ("this.soft % 0", "error: division by zero"),
            ("this.weight / 0.0", "inf"),
            ("-7 / 2", "-3"),
            ("-7 % 2", "-1"),
            ("this.soft > 1u && this.soft > 1.5", "true"),
            ("this.pieces < 2 && this.pieces <= 1.0", "true"),
            ("double('NaN') < 1 || double('NaN') >= 1", "false"),
            (
                "1 in [1.0] || 1u in [dyn(1)]",
                "does not compile: `in` does not take int and list(double)",
            ),
            ("dyn(1) in [1.0]", "true"),
        ],
    );
}

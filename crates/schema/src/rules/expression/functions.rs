//! The functions that protovalidate adds to CEL.

use std::borrow::Cow;

use gateway_cel::{Body, Budget, Environment, ErrorKind, Function, Type, Value};

use crate::rules::check::Value as Plain;
use crate::rules::format::{
    HostBits, IpVersion, Port, is_email, is_host_and_port, is_hostname, is_inf, is_ip,
    is_ip_prefix, is_uri, is_uri_ref,
};
use crate::rules::unique::Distincts;

/// The steps that a call takes in addition to the steps for the bytes that it reads.
const CALL_STEPS: u64 = 2;

type Outcome<'a> = Result<Value<'a>, ErrorKind>;

/// Adds the functions to `environment`.
pub(super) fn add(environment: &mut Environment) {
    for (name, test) in TEXT_TESTS {
        member(environment, name, &[Type::String], TextTest(test));
    }
    member(
        environment,
        "isHostAndPort",
        &[Type::String, Type::Bool],
        host_and_port,
    );
    member(environment, "isIp", &[Type::String], ip);
    member(environment, "isIp", &[Type::String, Type::Int], ip);
    for parameters in [
        &[Type::String][..],
        &[Type::String, Type::Int],
        &[Type::String, Type::Bool],
        &[Type::String, Type::Int, Type::Bool],
    ] {
        member(environment, "isIpPrefix", parameters, ip_prefix);
    }
    member(environment, "isNan", &[Type::Double], nan);
    member(environment, "isInf", &[Type::Double], infinite);
    member(environment, "isInf", &[Type::Double, Type::Int], infinite);
    for element in [
        Type::Bool,
        Type::Int,
        Type::Uint,
        Type::Double,
        Type::String,
        Type::Bytes,
    ] {
        member(environment, "unique", &[Type::list(element)], unique);
    }
    for (name, test) in BYTES_TESTS {
        member(
            environment,
            name,
            &[Type::Bytes, Type::Bytes],
            BytesTest(test),
        );
    }
    environment.field_function("getField");
}

fn member(
    environment: &mut Environment,
    name: &str,
    parameters: &[Type],
    body: impl Body + 'static,
) {
    let function = Function::member(name, parameters, Type::Bool, CALL_STEPS, body);
    environment.function(function);
}

type IsText = fn(&str) -> bool;
type IsBytes = fn(&[u8], &[u8]) -> bool;

const TEXT_TESTS: [(&str, IsText); 4] = [
    ("isEmail", is_email),
    ("isHostname", is_hostname),
    ("isUri", is_uri),
    ("isUriRef", is_uri_ref),
];

const BYTES_TESTS: [(&str, IsBytes); 3] = [
    ("contains", |bytes, part| {
        memchr::memmem::find(bytes, part).is_some()
    }),
    ("startsWith", |bytes, part| bytes.starts_with(part)),
    ("endsWith", |bytes, part| bytes.ends_with(part)),
];

struct TextTest(IsText);

impl Body for TextTest {
    fn call<'a>(&self, arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
        let [Value::String(text)] = arguments else {
            return Err(ErrorKind::NoSuchOverload);
        };
        budget.take_steps_to_read(text.len())?;
        Ok(Value::Bool((self.0)(text)))
    }
}

struct BytesTest(IsBytes);

impl Body for BytesTest {
    fn call<'a>(&self, arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
        let [Value::Bytes(bytes), Value::Bytes(part)] = arguments else {
            return Err(ErrorKind::NoSuchOverload);
        };
        budget.take_steps_to_read(bytes.len() + part.len())?;
        Ok(Value::Bool((self.0)(bytes, part)))
    }
}

fn host_and_port<'a>(arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let [Value::String(text), Value::Bool(required)] = arguments else {
        return Err(ErrorKind::NoSuchOverload);
    };
    budget.take_steps_to_read(text.len())?;
    let port = if *required {
        Port::Required
    } else {
        Port::Optional
    };
    Ok(Value::Bool(is_host_and_port(text, port)))
}

fn ip<'a>(arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let (text, version) = match arguments {
        [Value::String(text)] => (text, 0),
        [Value::String(text), Value::Int(version)] => (text, *version),
        _ => return Err(ErrorKind::NoSuchOverload),
    };
    budget.take_steps_to_read(text.len())?;
    let version = IpVersion::from_number(version);
    Ok(Value::Bool(
        version.is_some_and(|version| is_ip(text, version)),
    ))
}

fn ip_prefix<'a>(arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let (text, version, strict) = match arguments {
        [Value::String(text)] => (text, 0, false),
        [Value::String(text), Value::Int(version)] => (text, *version, false),
        [Value::String(text), Value::Bool(strict)] => (text, 0, *strict),
        [
            Value::String(text),
            Value::Int(version),
            Value::Bool(strict),
        ] => (text, *version, *strict),
        _ => return Err(ErrorKind::NoSuchOverload),
    };
    budget.take_steps_to_read(text.len())?;
    let bits = if strict {
        HostBits::Zero
    } else {
        HostBits::Any
    };
    let version = IpVersion::from_number(version);
    let fits = version.is_some_and(|version| is_ip_prefix(text, version, bits));
    Ok(Value::Bool(fits))
}

fn nan<'a>(arguments: &[Value<'a>], _: &mut Budget) -> Outcome<'a> {
    match arguments {
        [Value::Double(value)] => Ok(Value::Bool(value.is_nan())),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

/// Returns whether a number is infinite. If there is a second argument other than 0, the number
/// must have the sign of that argument.
fn infinite<'a>(arguments: &[Value<'a>], _: &mut Budget) -> Outcome<'a> {
    let (value, sign) = match arguments {
        [Value::Double(value)] => (*value, 0),
        [Value::Double(value), Value::Int(sign)] => (*value, *sign),
        _ => return Err(ErrorKind::NoSuchOverload),
    };
    Ok(Value::Bool(is_inf(value, sign)))
}

fn unique<'a>(arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let [Value::List(list)] = arguments else {
        return Err(ErrorKind::NoSuchOverload);
    };
    let mut elements = Vec::new();
    for index in 0..list.len() {
        elements.push(list.get(index, budget)?);
    }
    let mut distinct = Distincts::default();
    for (place, element) in elements.iter().enumerate() {
        let plain = match element {
            Value::Bool(value) => Plain::Bool(*value),
            Value::Int(value) => Plain::Signed(*value),
            Value::Uint(value) => Plain::Unsigned(*value),
            Value::Double(value) => Plain::Float(*value),
            Value::String(text) => {
                budget.take_bytes(text.len())?;
                Plain::Text(Cow::Borrowed(text))
            }
            Value::Bytes(bytes) => {
                budget.take_bytes(bytes.len())?;
                Plain::Bytes(Cow::Borrowed(bytes))
            }
            _ => return Err(ErrorKind::NoSuchOverload),
        };
        if distinct.insert(plain, place).is_some() {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

//! The well-known types that have a special JSON form: Timestamp, Duration, FieldMask, Struct,
//! Value, ListValue, Any and the wrappers.

use super::head::{JsonHead, JsonReader, Names};
use super::scalar::scalar;
use super::time::{duration, is_field_mask, timestamp};
use super::{ExtraMembers, Walk};
use crate::scope::Scope;
use crate::table::{Form, Message, MessageId};
use crate::violation::{Checked, Fault, Gather, deeper, excerpt};

/// The maximum nesting of Any messages whose `@type` is not their first member. Such a message and
/// everything in it is read once more to find the type, so nesting would multiply the work.
const LATE_TYPES_MAX: u32 = 8;

impl<'a, G: Gather> Walk<'a, G> {
    #[inline(never)]
    pub(super) fn known(
        &self,
        reader: &mut JsonReader,
        scope: Scope<'a>,
        depth: u32,
    ) -> Checked<()> {
        let object = reader.next() == Some(b'{');
        match scope.message.form {
            Form::Value => self.value(reader, depth),
            Form::Struct if object => self.value(reader, depth),
            Form::ListValue if reader.next() == Some(b'[') => self.value(reader, depth),
            Form::Struct => unexpected_value(reader, "an object"),
            Form::ListValue => unexpected_value(reader, "an array"),
            Form::Any if object => self.any(reader, scope, depth),
            Form::Any => unexpected_value(reader, "google.protobuf.Any as an object"),
            Form::Timestamp | Form::Duration | Form::Wrapper if object => {
                names_a_field(reader, scope.message, depth)?;
                self.fields(reader, scope, depth)
            }
            _ if object => self.fields(reader, scope, depth),
            Form::Wrapper => scalar(self.table, reader, scope.message.fields[0].kind),
            Form::Timestamp => {
                let is_right = |text: &[u8]| timestamp(text).is_some();
                text(reader, is_right, "a timestamp in the format of RFC 3339")
            }
            Form::Duration => {
                let is_right = |text: &[u8]| duration(text).is_some();
                text(reader, is_right, "a duration such as \"1.5s\"")
            }
            Form::FieldMask => text(reader, is_field_mask, "field paths such as \"a.bC,d\""),
            Form::Fields => self.fields(reader, scope, depth),
        }
    }

    /// Checks a `google.protobuf.Value`: any JSON value whose numbers are in the range of a double.
    fn value(&self, reader: &mut JsonReader, depth: u32) -> Checked<()> {
        let at = reader.token();
        match reader.head()? {
            JsonHead::Array => G::over(|faults| {
                let depth = deeper(depth, at)?;
                let mut more = reader.opened(b']');
                let mut i = 0usize;
                while more {
                    let at = reader.token();
                    if let Err(fault) = self.value(reader, depth) {
                        faults.keep(fault.under(format!("[{i}]")), || {
                            reader.skip_from(at, depth)
                        })?;
                    }
                    i += 1;
                    more = reader.another(b']')?;
                }
                Ok(())
            }),
            JsonHead::Object => G::over(|faults| {
                let depth = deeper(depth, at)?;
                let mut names = Names::new(reader);
                let mut more = reader.opened(b'}');
                while more {
                    let key = reader.token();
                    let name = reader.key()?;
                    let at = reader.token();
                    let checked = match names.add(name, key) {
                        Ok(()) => self.value(reader, depth).map_err(|fault| {
                            fault.under(format!("[{}]", excerpt(name.decoded().as_bytes())))
                        }),
                        Err(twice) => Err(twice),
                    };
                    if let Err(fault) = checked {
                        faults.keep(fault, || reader.skip_from(at, depth))?;
                    }
                    more = reader.another(b'}')?;
                }
                Ok(())
            }),
            head @ JsonHead::Number(number) => match number.float_if_long() {
                Some(value) if value.is_infinite() => Err(Fault::new(
                    at,
                    "a number within a double's range",
                    head.describe(),
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Checks a `google.protobuf.Any`: an object whose `@type` names a message type. The other
    /// members hold a message of this type.
    fn any(&self, reader: &mut JsonReader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        let start = reader.token();
        let late = self.late_types.get();
        let found = self.type_of(&mut reader.clone(), depth)?;
        let Some(found) = found else {
            // An empty Any has no type.
            return self.fields(reader, scope, depth);
        };
        let late_here = late + u32::from(found.late);
        if late_here > LATE_TYPES_MAX {
            let expected = format!(
                "\"@type\" as the first member, because it comes later in {LATE_TYPES_MAX} enclosing objects"
            );
            return Err(Fault::new(start, expected, "\"@type\" after other members"));
        }
        self.late_types.set(late_here);
        let message = &self.table[found.id];
        let needs = &message.needs;
        let inner = Scope { message, needs };
        reader.head()?;
        let checked = match message.form {
            Form::Fields => self.object(reader, inner, start, depth, ExtraMembers::Type),
            _ => G::over(|faults| self.any_of_known(reader, inner, start, depth, faults)),
        };
        self.late_types.set(late);
        checked
    }

    /// Searches an object for its `@type`. Returns `None` if the object is empty, and an error if
    /// it has only other members.
    fn type_of(&self, reader: &mut JsonReader, depth: u32) -> Checked<Option<Typed>> {
        let start = reader.token();
        reader.head()?;
        let mut more = reader.opened(b'}');
        if !more {
            return Ok(None);
        }
        let mut late = false;
        while more {
            let key = reader.key()?;
            if &*key.bytes() == b"@type" {
                return self.typed(reader, late).map(Some);
            }
            late = true;
            reader.skip(depth)?;
            more = reader.another(b'}')?;
        }
        Err(Fault::new(
            start,
            "an object with \"@type\"",
            "an object without \"@type\"",
        ))
    }

    fn typed(&self, reader: &mut JsonReader, late: bool) -> Checked<Typed> {
        let at = reader.token();
        let head = reader.head()?;
        let JsonHead::Str(url) = head else {
            return Err(Fault::new(at, "a type's URL", head.describe()).under("@type"));
        };
        let url = url.decoded();
        let name = url.rsplit_once('/').map(|(_, name)| name);
        match name.and_then(|name| self.table.message(name)) {
            Some(id) => Ok(Typed { id, late }),
            None => {
                let expected = "the URL of a message in the .proto files, such as \"type.googleapis.com/pkg.Message\"";
                Err(Fault::new(at, expected, head.describe()).under("@type"))
            }
        }
    }

    /// Checks an Any that contains a well-known type with a special JSON form. Such an Any is
    /// written as `{"@type": …, "value": …}`.
    fn any_of_known(
        &self,
        reader: &mut JsonReader,
        scope: Scope<'a>,
        start: usize,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let mut names = Names::new(reader);
        let mut has_value = false;
        let mut more = reader.opened(b'}');
        while more {
            let key = reader.token();
            let name = reader.key()?;
            let at = reader.token();
            let new = names.add(name, key);
            let checked = match &*name.bytes() {
                _ if new.is_err() => new,
                b"@type" => reader.skip(depth),
                b"value" => {
                    has_value = true;
                    let deeper = deeper(depth, at);
                    let checked = deeper.and_then(|depth| self.message(reader, scope, depth));
                    checked.map_err(|fault| fault.under("value"))
                }
                other if self.reject_unknown => {
                    let found = format!("the key {}", excerpt(other));
                    Err(Fault::new(key, "\"@type\" or \"value\"", found))
                }
                _ => reader.skip(depth),
            };
            if let Err(fault) = checked {
                faults.keep(fault, || reader.skip_from(at, depth))?;
            }
            more = reader.another(b'}')?;
        }
        if !has_value {
            let expected = format!("a \"value\" of {}", scope.message.name);
            let fault = Fault::new(start, expected, "none").after_value();
            faults.keep(fault, || Ok(()))?;
        }
        Ok(())
    }
}

/// Checks that an object has a field of `message`. The types for which this is called are usually
/// not written as objects, so an object without any of their fields is probably a mistake.
fn names_a_field(reader: &JsonReader, message: &Message, depth: u32) -> Checked<()> {
    let mut reader = reader.clone();
    let start = reader.token();
    reader.head()?;
    let mut more = reader.opened(b'}');
    while more {
        let name = reader.key()?;
        if message.by_name(&name.decoded()).is_some() {
            return Ok(());
        }
        reader.skip(depth)?;
        more = reader.another(b'}')?;
    }
    let names: Vec<_> = message.fields.iter().map(|field| &*field.name).collect();
    let expected = format!("an object with {}", names.join(" or "));
    Err(Fault::new(
        start,
        expected,
        "an object without such a field",
    ))
}

/// The type that an Any names.
struct Typed {
    id: MessageId,
    /// Set if other members of the object came before its `@type`.
    late: bool,
}

/// Checks that the next value is a string for which `is_right` returns true.
fn text(reader: &mut JsonReader, is_right: fn(&[u8]) -> bool, expected: &str) -> Checked<()> {
    let at = reader.token();
    match reader.head()? {
        JsonHead::Str(text) if is_right(&text.bytes()) => Ok(()),
        head => Err(Fault::new(at, expected, head.describe())),
    }
}

/// Reads the next value, and returns the violation of a value that is not `expected`.
#[cold]
fn unexpected_value(reader: &mut JsonReader, expected: &str) -> Checked<()> {
    let at = reader.token();
    let head = reader.head()?;
    Err(Fault::new(at, expected, head.describe()))
}

//! Well-known types with a MessagePack form of their own: Timestamp, Struct, Value, ListValue and
//! the wrappers.

use super::Walk;
use super::head::{MsgpackHead, MsgpackReader};
use super::keys::Keys;
use super::scalar::{check_utf8, scalar};
use crate::options::TextKeys;
use crate::scope::Scope;
use crate::table::{FieldKind, Form};
use crate::violation::{Checked, Fault, Gather, counted, deeper};

/// MessagePack's own extension type for timestamps.
const TIMESTAMP: i8 = -1;

/// The number of nanoseconds in a second.
const NANOS: u32 = 1_000_000_000;

impl<'a, G: Gather> Walk<'a, G> {
    #[inline(never)]
    pub(super) fn known(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        depth: u32,
    ) -> Checked<()> {
        let at = reader.at();
        let mut ahead = reader.clone();
        let head = ahead.head()?;
        match (scope.message.form, head) {
            (Form::Timestamp, MsgpackHead::Ext(TIMESTAMP, data)) => {
                *reader = ahead;
                timestamp(data, at)
            }
            (Form::Struct, MsgpackHead::Map(_)) | (Form::ListValue, MsgpackHead::Array(_)) => {
                self.value(reader, depth)
            }
            (Form::Value, _) => self.value(reader, depth),
            (Form::Wrapper, _) => self.wrapper(reader, scope, head, &ahead, depth),
            (Form::Struct, _) => Err(Fault::new(at, "a map", head.describe())),
            (Form::ListValue, _) => Err(Fault::new(at, "an array", head.describe())),
            _ => self.fields(reader, scope, depth),
        }
    }

    /// Checks a wrapper, which is written as its bare value, or as a message with one field.
    fn wrapper(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        head: MsgpackHead,
        inside: &MsgpackReader,
        depth: u32,
    ) -> Checked<()> {
        let kind = scope.message.fields[0].kind;
        if wraps_fields(kind, head, inside)? {
            self.fields(reader, scope, depth)
        } else {
            scalar(self.table, reader, kind)
        }
    }

    /// Checks a `google.protobuf.Value`: nil, bool, number, string, array, or map with string keys.
    fn value(&self, reader: &mut MsgpackReader, depth: u32) -> Checked<()> {
        let at = reader.at();
        match reader.head()? {
            MsgpackHead::Array(count) => G::over(|faults| {
                let depth = deeper(depth, at)?;
                for i in 0..count {
                    let at = reader.at();
                    if let Err(fault) = self.value(reader, depth) {
                        faults.keep(fault.under(format!("[{i}]")), || {
                            reader.skip_from(at, depth)
                        })?;
                    }
                }
                Ok(())
            }),
            MsgpackHead::Map(count) => G::over(|faults| {
                let depth = deeper(depth, at)?;
                let mut keys = Keys::new(
                    self.table,
                    FieldKind::String { utf8: true },
                    TextKeys::Reject,
                    reader,
                );
                for _ in 0..count {
                    let at = reader.at();
                    let key = match keys.next(reader) {
                        Ok(key) => key,
                        Err(fault) => {
                            faults.keep(fault, || {
                                reader
                                    .skip_from(at, depth)
                                    .and_then(|()| reader.skip(depth))
                            })?;
                            continue;
                        }
                    };
                    let at = reader.at();
                    if let Err(fault) = self.value(reader, depth) {
                        faults.keep(fault.under(key.segment()), || reader.skip_from(at, depth))?;
                    }
                }
                Ok(())
            }),
            MsgpackHead::Str(text) => check_utf8(text, reader.at() - text.len()),
            head @ (MsgpackHead::Bin(_) | MsgpackHead::Ext(..)) => {
                let expected = "nil, bool, number, string, array or map";
                Err(Fault::new(at, expected, head.describe()))
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether a wrapper of a value of `kind` is written field by field, as a map or an array.
///
/// Bytes may also be written as an array of integers. An array for a wrapper of bytes is therefore
/// read as the array of fields only if it is not empty and does not begin with an integer. `inside`
/// is a reader after `head`.
#[inline]
pub(crate) fn wraps_fields(
    kind: FieldKind,
    head: MsgpackHead,
    inside: &MsgpackReader,
) -> Checked<bool> {
    Ok(match head {
        MsgpackHead::Map(_) => true,
        MsgpackHead::Array(0) => kind != FieldKind::Bytes,
        MsgpackHead::Array(_) => {
            let first = inside.clone().head()?;
            kind != FieldKind::Bytes
                || !matches!(first, MsgpackHead::Uint(_) | MsgpackHead::Negative(_))
        }
        _ => false,
    })
}

fn timestamp(data: &[u8], at: usize) -> Checked<()> {
    let (_, nanos) = timestamp_parts(data, at)?;
    if nanos >= NANOS {
        let found = format!("{nanos} nanoseconds");
        return Err(Fault::new(
            at,
            "a timestamp with at most 999999999 nanoseconds",
            found,
        ));
    }
    Ok(())
}

/// Returns the seconds and nanoseconds of a timestamp. `data` must have one of three sizes. 4 bytes
/// hold the seconds. 8 bytes hold 30 bits of nanoseconds and 34 bits of seconds. 12 bytes hold the
/// nanoseconds in 4 bytes and the seconds in 8 bytes.
pub(crate) fn timestamp_parts(data: &[u8], at: usize) -> Checked<(i64, u32)> {
    let four = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
    if let Ok(seconds) = data.try_into() {
        return Ok((four(seconds).into(), 0));
    }
    if let Some((first, rest)) = data.split_first_chunk() {
        if let Ok(low) = rest.try_into() {
            let high = i64::from(four(first) & 3) << 32;
            return Ok((high | i64::from(four(low)), four(first) >> 2));
        }
        if let Ok(seconds) = rest.try_into() {
            return Ok((i64::from_be_bytes(seconds), four(first)));
        }
    }
    let found = counted(data.len(), "byte");
    Err(Fault::new(at, "a timestamp of 4, 8 or 12 bytes", found))
}

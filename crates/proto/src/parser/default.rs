//! Parses defaults of fields, and converts them to the form in descriptors.

use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::field_descriptor_proto::{Label, Type};

use super::{Parse, Parser, TokenKind};
use crate::{fault::TextFault, float, literal::integer, path};

impl Parser<'_> {
    pub(super) fn default(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let from = self.next();
        if field.has_default_value() {
            return Err(TextFault::new(from.range(), "the default is set twice").boxed());
        }
        // At this point, only a map field has this type. Other message types are not resolved yet.
        let is_map = field.type_ == Some(Type::TYPE_MESSAGE.into());
        if is_map && field.label() == Label::LABEL_REPEATED {
            let fault = TextFault::new(from.range(), "a map has no default");
            return Err(fault.help("leave it out").boxed());
        }
        self.expect_punct(b'=')?;
        let value = self.default_value(field)?;
        field.set_default_value(value);
        self.locate(&[path::FIELD_DEFAULT], self.since(from));
        Ok(())
    }

    /// Reads a default, and returns it in the form that descriptors hold.
    fn default_value(&mut self, field: &FieldDescriptorProto) -> Parse<String> {
        let Some(kind) = field.type_.and_then(|kind| kind.enum_value().ok()) else {
            // The type is not resolved yet, and may be an enum.
            return Ok(self.expect_word("the name of an enum value")?.0.to_owned());
        };
        Ok(match kind {
            Type::TYPE_INT32 | Type::TYPE_SINT32 | Type::TYPE_SFIXED32 => {
                self.default_integer(i32::MAX as u64, true)?
            }
            Type::TYPE_INT64 | Type::TYPE_SINT64 | Type::TYPE_SFIXED64 => {
                self.default_integer(i64::MAX as u64, true)?
            }
            Type::TYPE_UINT32 | Type::TYPE_FIXED32 => {
                self.default_integer(u32::MAX.into(), false)?
            }
            Type::TYPE_UINT64 | Type::TYPE_FIXED64 => self.default_integer(u64::MAX, false)?,
            Type::TYPE_FLOAT => float::of_f32(self.default_float()?),
            Type::TYPE_DOUBLE => float::of_f64(self.default_float()?),
            Type::TYPE_BOOL => match () {
                () if self.take("true") => "true".to_owned(),
                () if self.take("false") => "false".to_owned(),
                () => return self.unexpected("true or false"),
            },
            Type::TYPE_STRING => self.expect_text("a quoted text")?,
            Type::TYPE_BYTES => escaped(&self.expect_bytes("a quoted text")?),
            Type::TYPE_GROUP | Type::TYPE_MESSAGE => {
                let fault = TextFault::new(self.token().range(), "a message can't have a default");
                return Err(fault.help("leave it out").boxed());
            }
            Type::TYPE_ENUM => self.expect_word("the name of an enum value")?.0.to_owned(),
        })
    }

    fn default_integer(&mut self, max: u64, signed: bool) -> Parse<String> {
        let minus = self.minus();
        if let Some(minus) = minus.filter(|_| !signed) {
            let text = "a negative default of an unsigned field";
            return Err(TextFault::new(minus.range(), text).boxed());
        }
        let n = self.expect_magnitude("a whole number", max, minus)?;
        Ok(match minus {
            Some(_) if n != 0 => format!("-{n}"),
            _ => n.to_string(),
        })
    }

    fn default_float(&mut self) -> Parse<f64> {
        let negative = self.take_punct(b'-');
        let value = self.number()?;
        Ok(if negative { -value } else { value })
    }

    /// Returns the value of a number as a float. Only a decimal number may exceed 64 bits.
    pub(super) fn as_float(&self, token: super::Token) -> Parse<f64> {
        let text = self.word(token);
        let decimal = token.kind == TokenKind::Float || text.len() == 1 || !text.starts_with('0');
        match decimal || integer(text).is_some() {
            true => Ok(float::parsed(text)),
            false => Err(TextFault::new(token.range(), "the number is out of range")
                .label("expected at most 64 bits, or a decimal number")
                .boxed()),
        }
    }

    /// Reads a float, an integer, `inf` or `nan`.
    fn number(&mut self) -> Parse<f64> {
        let token = self.token();
        match token.kind {
            TokenKind::Integer | TokenKind::Float => {
                self.next();
                self.as_float(token)
            }
            _ if self.take("inf") => Ok(f64::INFINITY),
            _ if self.take("nan") => Ok(f64::NAN),
            _ => self.unexpected("a number"),
        }
    }
}

/// Returns bytes with C escapes, which is the form of a `bytes` field's default in descriptors.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &b in bytes {
        match b {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'"' => text.push_str("\\\""),
            b'\'' => text.push_str("\\'"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(b)),
            _ => text.push_str(&format!("\\{b:03o}")),
        }
    }
    text
}

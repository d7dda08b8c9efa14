//! Look-ups of the places of options, for reports of many errors.

use std::ops::Range;

use crate::descriptors::{Descriptors, TypeAt};
use crate::path::{self, below};
use crate::places::Places;
use crate::quoted::range_in_value;
use crate::ruled::RULES_EXTENSION;
use gateway_diagnostic::Place;

/// The places of options in the texts of the user's files.
///
/// Decoding the locations in a file takes much time and memory, so only the locations of the last
/// file are kept. Successive look-ups should be in the same file.
pub struct OptionPlaces<'a> {
    descriptors: &'a Descriptors,
    /// The index of the last file, and its places.
    last: Option<(usize, Places<'a>)>,
}

impl Descriptors {
    /// Returns the places of options in these files.
    pub fn option_places(&self) -> OptionPlaces<'_> {
        OptionPlaces {
            descriptors: self,
            last: None,
        }
    }
}

impl<'a> OptionPlaces<'a> {
    /// Returns the place of the first option of buf.validate on a message, or on its field `field`
    /// if that is given. Without such an option, returns the place of the name of the message or
    /// field. Returns `None` if the message is not in one of the user's files.
    pub fn of_rule(&mut self, message: &str, field: Option<&str>) -> Option<Place> {
        let descriptors = self.descriptors;
        let TypeAt {
            file,
            path,
            descriptor,
        } = descriptors.message_at(message)?;
        let mut fields = descriptor.field.iter();
        let of = match fields.position(|it| Some(it.name()) == field) {
            Some(at) => below(path, path::MESSAGE_FIELD, at),
            None => path.to_vec(),
        };
        let options = match field {
            Some(_) => path::FIELD_OPTIONS,
            None => path::MESSAGE_OPTIONS,
        };
        let rules = [&of[..], &[options, RULES_EXTENSION as i32]].concat();
        self.within(file, &rules, &of)
    }

    /// Returns the place of the first option of the field or extension at `path` in the descriptor
    /// of `file`. Without an option, returns the place of the name of the field or extension.
    /// Returns `None` if `file` is not one of the user's files.
    pub fn of_option(&mut self, file: &str, path: &[i32]) -> Option<Place> {
        let mut files = self.descriptors.compiled_files().iter();
        let file = files.position(|it| it.name() == file)?;
        self.within(file, &below(path, path::FIELD_OPTIONS, None), path)
    }

    /// Returns the first place within `options`. If there is none, returns the place of the name of
    /// the descriptor at `element`. Returns `None` if the file is not one of the user's files.
    fn within(&mut self, file: usize, options: &[i32], element: &[i32]) -> Option<Place> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != file) {
            // The memory of the last file is freed before the next file is decoded.
            self.last = None;
            self.last = Some((file, self.descriptors.places(file)?));
        }
        let (_, places) = self.last.as_ref()?;
        let option = places.within(options);
        Some(option.unwrap_or_else(|| places.at(&below(element, path::NAME, None))))
    }

    /// Returns the place of a part of a quoted text, such as a part of an expression. The quoted
    /// text is the first text at or after `start` with the value `value`, and `within` is the range
    /// of the part in the value. Returns `None` if there is no such text.
    pub fn in_text(start: &Place, value: &str, within: Range<usize>) -> Option<Place> {
        let text = &start.file.text;
        let lines = text.split_inclusive('\n').take(start.line as usize - 1);
        let line: usize = lines.map(str::len).sum();
        let mut columns = text.get(line..)?.char_indices();
        let column = columns.nth(start.column as usize - 1)?.0;
        let range = range_in_value(text, line + column, value, within)?;
        Some(start.file.place_of_bytes(range))
    }
}

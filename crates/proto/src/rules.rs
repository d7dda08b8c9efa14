//! Where in the text a buf.validate rule stands.

use ::protobuf::descriptor::FileDescriptorProto;

use super::places::Places;
use super::{Descriptors, Found, RULES_EXTENSION, index};
use gateway_diagnostic::Place;

impl Descriptors {
    /// The file that defines a message.
    pub fn file_of(&self, message: &str) -> Option<&FileDescriptorProto> {
        let Found { file, path: _ } = self.messages.get(message)?;
        self.files.get(*file)
    }

    /// The first option of buf.validate's there, or else the name of what it would be about.
    pub fn place_of_rule(&self, message: &str, field: Option<&str>) -> Option<Place> {
        let Found { file, path } = self.messages.get(message)?;
        let file = &self.files[*file];
        let places = Places::of(file, self.source(file.name())?, self.compiler);
        let fields = || {
            self.message(message)?
                .field
                .iter()
                .position(|it| Some(it.name()) == field)
        };
        let of = match fields() {
            Some(at) => [path, &[2, index(at)][..]].concat(),
            None => path.clone(),
        };
        let options = if field.is_some() { 8 } else { 7 };
        let rule = places.within(&[&of[..], &[options, RULES_EXTENSION as i32]].concat());
        Some(rule.unwrap_or_else(|| places.at(&[&of[..], &[1]].concat())))
    }

    /// The first option of what lies at `path` in the descriptor of a file of the user's, or else its name.
    pub fn place_of_option(&self, file: &str, path: &[i32]) -> Option<Place> {
        let source = self.source(file)?;
        let descriptor = self.files.iter().find(|it| it.name() == file)?;
        let places = Places::of(descriptor, source, self.compiler);
        // The options of a field, of which an extension is one.
        let options = places.within(&[path, &[8]].concat());
        Some(options.unwrap_or_else(|| places.at(&[path, &[1]].concat())))
    }
}

//! Tables of the messages that schemas name.

#[cfg(test)]
mod tests;

use gateway_proto::Descriptors;

use crate::options::Encoding;
use crate::reached::{self, Wanted};
use crate::rules::{PACKAGE, RuleWords};
use crate::table::{FIELDS_MAX, Root, Table, TableError};

impl Table {
    /// Builds the table for the schemas of `roots` and for the rules of these schemas. A root is an
    /// encoding and the name of a message. The table holds these messages and the types of their
    /// fields, direct and indirect, with the extensions of each message. A root whose name no
    /// message has is ignored.
    ///
    /// Schemas and rules have the same verdicts with this table as with a table of [`Self::build`]:
    ///
    /// - The table holds all messages if a payload of a root can contain a `google.protobuf.Any`,
    ///   and the check may read the message in the `Any`. In JSON, every check reads that message.
    ///   In other encodings, only rules in CEL may read that message.
    /// - If roots have rules, the table also holds the types that the rules may name, and the
    ///   messages of `buf.validate`, in which rules are written.
    ///
    /// Only the files that the table needs are decoded.
    ///
    /// # Errors
    ///
    /// Fails if a type that the table would hold is missing or defined twice. Also fails if a
    /// message has more than 65,535 fields, even if the table would not hold this message.
    pub fn for_roots<'a>(
        descriptors: &Descriptors,
        roots: impl IntoIterator<Item = (Encoding, &'a str)>,
    ) -> Result<Self, TableError> {
        let roots = roots.into_iter().map(|(encoding, name)| {
            let ruled = descriptors.has_rules(name);
            (encoding, name, ruled)
        });
        let roots: Vec<_> = roots.collect();
        let ruled = roots.iter().any(|(.., ruled)| *ruled);
        let words = match ruled {
            true => RuleWords::of(descriptors),
            false => RuleWords::default(),
        };
        let roots = roots.into_iter().map(|(encoding, name, ruled)| Root {
            name,
            opens_any: encoding == Encoding::Json || ruled && !words.is_empty(),
        });
        if descriptors.fields_bound() > FIELDS_MAX {
            Self::check(descriptors.files())?;
        }
        let roots: Vec<_> = roots.collect();
        let of_rules = |name: &str| {
            let name = name.strip_prefix(PACKAGE);
            ruled && name.is_some_and(|name| name.starts_with('.'))
        };
        let wanted = |name: &str| of_rules(name) || words.may_name(name);
        let in_package = |package: &str| {
            let of_rules = PACKAGE.starts_with(package) || package.starts_with(PACKAGE);
            ruled && of_rules || words.may_name_in(package)
        };
        let named = &wanted;
        let files = reached::files(descriptors, &roots, Wanted { in_package, named });
        Self::build_reached(files, &roots, wanted)
    }
}

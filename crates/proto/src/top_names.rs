//! Hashes of the names that a file defines at its top level. With the hashes, a look-up can select
//! or rule out a file without decoding the file's descriptor.
//!
//! Two files define the same name, at any depth, in two cases only. In the first case, both define
//! the same name at the top level. In the second case, one file defines a name at its top level
//! that is the package of the other file, or contains that package. So names within messages need
//! no hashes.

use protobuf::descriptor::FileDescriptorProto;

/// The offset basis and the prime of FNV-1a with 64 bits.
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_PRIME: u64 = 0x0100_0000_01b3;

/// The hashes of the names that a file defines at its top level, and of its packages. Equal full
/// names have equal hashes. Different names may also have equal hashes, so the definition of a name
/// must be looked up in the descriptor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TopNames {
    /// Messages and enums.
    pub types: Box<[u64]>,
    /// Values of enums, extensions and services.
    pub others: Box<[u64]>,
    /// The package, and the packages that contain it.
    pub packages: Box<[u64]>,
}

impl TopNames {
    pub(crate) fn of(file: &FileDescriptorProto) -> Self {
        let package = file.package();
        let scope = match package {
            "" => HASH_START,
            package => hash(hash(HASH_START, package), "."),
        };
        let messages = file.message_type.iter().map(|message| message.name());
        let enums = file.enum_type.iter().map(|one| one.name());
        let values = file.enum_type.iter().flat_map(|one| &one.value);
        let values = values.map(|value| value.name());
        let extensions = file.extension.iter().map(|extension| extension.name());
        let services = file.service.iter().map(|service| service.name());
        let in_scope = |name: &str| hash(scope, name);
        Self {
            types: messages.chain(enums).map(in_scope).collect(),
            others: (values.chain(extensions).chain(services))
                .map(in_scope)
                .collect(),
            packages: prefix_hashes(package).collect(),
        }
    }

    /// Returns the hashes of all definitions at the top level.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = u64> {
        self.types.iter().chain(&self.others).copied()
    }
}

/// Returns the hashes of a full name and of all scopes that contain it, except the outermost scope,
/// which has no name.
pub(super) fn prefix_hashes(full_name: &str) -> impl Iterator<Item = u64> {
    let ends = full_name.match_indices('.').map(|(at, _)| at);
    let ends = ends.chain((!full_name.is_empty()).then_some(full_name.len()));
    let mut start = 0;
    ends.scan(HASH_START, move |state, end| {
        *state = hash(*state, &full_name[start..end]);
        start = end;
        Some(*state)
    })
}

/// Returns the hash of a text followed by `more`. `start` is the hash of the text alone.
fn hash(start: u64, more: &str) -> u64 {
    more.bytes().fold(start, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(HASH_PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::parser::parse;

    fn names(text: &str) -> TopNames {
        TopNames::of(&parse("a.proto", text, &Budget::unlimited()).unwrap().file)
    }

    #[test]
    fn the_hash_of_a_name_is_the_same_for_definitions_packages_and_prefixes() {
        let types = names("package a.b; message C { message D {} } enum E { F = 0; }").types;
        let within: Vec<_> = prefix_hashes("a.b.C.D").collect();
        assert_eq!(within.len(), 4);
        assert_eq!(within[2], types[0]);
        assert_eq!(prefix_hashes("a.b.E").last(), Some(types[1]));
        let packages = names("package a.b.C;").packages;
        assert_eq!(*packages, within[..3]);
        assert_eq!(prefix_hashes("").count(), 0);
    }

    #[test]
    fn every_kind_of_definition_at_the_top_level_has_a_hash() {
        let text = "message M { int32 inner = 1; } enum E { V = 0; } service S {}
            extend M { optional int32 x = 100; }";
        let all = names(
            &format!("syntax = \"proto2\"; package p; {text}")
                .replace("int32 inner", "optional int32 inner"),
        );
        let defined: Vec<_> = all.definitions().collect();
        for name in ["p.M", "p.E", "p.V", "p.S", "p.x"] {
            let own = prefix_hashes(name).last().unwrap();
            assert!(defined.contains(&own), "{name}");
        }
        assert_eq!(defined.len(), 5);
    }
}

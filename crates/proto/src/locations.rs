//! The locations of definitions and options in a text, in the form that takes the least memory.

use std::sync::Arc;

use protobuf::Message as _;
use protobuf::descriptor::SourceCodeInfo;
use protobuf::descriptor::source_code_info::Location;

/// The locations of a file, as an encoded SourceCodeInfo. They are decoded only when an error or a
/// look-up needs a place in the file, which is rare. Decoded locations take more memory than
/// everything else in a descriptor.
#[derive(Clone, Debug, Default)]
pub(super) struct Locations(Arc<[u8]>);

impl Locations {
    /// Encodes the locations. If they exceed the 2 GiB that can be encoded, they are dropped, and
    /// the places in the file are unknown.
    pub(super) fn of(info: &SourceCodeInfo) -> Self {
        Self(info.write_to_bytes().unwrap_or_default().into())
    }

    /// Returns these locations followed by `more`.
    pub(super) fn with(&self, more: &SourceCodeInfo) -> Self {
        match Self::of(more).0 {
            more if more.is_empty() => self.clone(),
            // Two encoded messages in a row are one message with the elements of both.
            more => Self([&*self.0, &*more].concat().into()),
        }
    }

    /// Returns a copy of the bytes. Copies that are made at the end of a compile are adjacent in
    /// memory. The originals lie in memory between parts of descriptors. These parts are freed, but
    /// the originals would keep the pages in use.
    pub(super) fn moved(&self) -> Self {
        Self(Arc::from(&*self.0))
    }

    /// Decodes the locations.
    pub(super) fn decoded(&self) -> Vec<Location> {
        let info = SourceCodeInfo::parse_from_bytes(&self.0);
        info.map(|info| info.location).unwrap_or_default()
    }
}

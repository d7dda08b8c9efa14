//! A descriptor that is decoded when it is first read.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use protobuf::Message as _;
use protobuf::descriptor::FileDescriptorProto;

/// The descriptor of a file, which is decoded when it is first read. After an edit in a large
/// collection of files, most descriptors are never read, and an encoded descriptor takes a fraction
/// of the memory.
#[derive(Debug)]
pub(super) struct LazyDescriptor {
    decoded: OnceLock<FileDescriptorProto>,
    /// The encoded form, or `None` if this run of the compiler made the descriptor.
    encoded: Option<Arc<[u8]>>,
}

impl LazyDescriptor {
    /// Returns a descriptor that was made in this run.
    pub(crate) fn new(file: FileDescriptorProto) -> Self {
        Self {
            decoded: OnceLock::from(file),
            encoded: None,
        }
    }

    /// Returns the descriptor that [`Self::encode`] encoded.
    pub(crate) fn of_encoded(encoded: Arc<[u8]>) -> Self {
        Self {
            decoded: OnceLock::new(),
            encoded: Some(encoded),
        }
    }

    /// Returns the encoded form, or `None` if the descriptor exceeds the 2 GiB that can be encoded.
    pub(crate) fn encode(&self) -> Option<Arc<[u8]>> {
        match &self.encoded {
            Some(encoded) => Some(Arc::clone(encoded)),
            None => Some(self.write_to_bytes().ok()?.into()),
        }
    }

    /// Returns whether the descriptor was encoded by an earlier run.
    pub(crate) fn is_encoded(&self) -> bool {
        self.encoded.is_some()
    }

    /// Returns whether the descriptor is in memory in decoded form.
    pub(crate) fn is_decoded(&self) -> bool {
        self.decoded.get().is_some()
    }
}

impl Deref for LazyDescriptor {
    type Target = FileDescriptorProto;

    fn deref(&self) -> &FileDescriptorProto {
        self.decoded.get_or_init(|| {
            // Every encoded descriptor can be decoded: messages nest less deeply than the decoder
            // allows, and the values of options are not decoded.
            let file = self.encoded.as_deref().map(Self::Target::parse_from_bytes);
            file.and_then(Result::ok).unwrap_or_default()
        })
    }
}

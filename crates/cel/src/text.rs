//! Strings and bytes that are borrowed from a payload or a program, or that are reference-counted.

use std::ops::Deref;
use std::rc::Rc;

/// A string that is borrowed or shared.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// A part of the payload or of the program.
    Borrowed(&'a str),
    /// A string that an evaluation created.
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// Bytes that are borrowed or shared.
#[derive(Clone, Debug)]
pub enum Bytes<'a> {
    /// A part of the payload or of the program.
    Borrowed(&'a [u8]),
    /// Bytes that an evaluation created.
    Shared(Rc<[u8]>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

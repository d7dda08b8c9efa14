#![forbid(unsafe_code)]
//! `.proto` files → descriptors, or everything that is wrong with them, each at its place.
//!
//! The texts below the import paths are read once (`sources`), handed to one of two front ends
//! (`builtin`, the default, or `protoc`), and what the first is too lenient about is
//! checked after it (`verify`). The front ends run on a thread of their own, with
//! a stack that the deepest file let through can't overflow. Nothing in a file can take the process
//! down or make it wait for ever; nothing here knows routes or payloads, or writes outside the
//! system's temporary directory.

mod builtin;
mod cache;
mod deadline;
mod definition;
mod definitions;
mod fault;
pub mod features;
mod float;
mod lexer;
mod linker;
mod literal;
mod options;
mod outline;
mod parsed;
mod parser;
mod path;
mod places;
mod protoc;
mod report;
mod rules;
mod sources;
mod symbols;
mod texts;
mod verify;
mod well_known;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use protobuf::descriptor::{DescriptorProto, FileDescriptorProto};
use protobuf::{Message, UnknownFields};

use gateway_diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};
use places::Places;

pub use definition::{Definition, Definitions};
pub use texts::Texts;

/// Of the compilers' thread. Measured: the deepest nesting that is let through
/// (`outline`'s bound) passes in a debug build with a hundredth of this.
const STACK_BYTES: usize = 64 << 20;

/// The extension of MessageOptions, FieldOptions and OneofOptions that carries buf.validate's rules.
const RULES_EXTENSION: u32 = 1159;

/// Which front end reads the .proto files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// The one in this binary.
    #[default]
    Builtin,
    /// The `protoc` program on the PATH.
    Protoc,
}

/// The compiled files: every file below the import paths and what they import, imports before
/// importers.
#[derive(Debug)]
pub struct Descriptors {
    files: Vec<FileDescriptorProto>,
    sources: BTreeMap<String, Arc<SourceFile>>,
    compiler: Compiler,
    messages: HashMap<String, Found>,
}

/// Where a message is: the file, and its path in the descriptor as SourceCodeInfo writes it.
#[derive(Debug)]
struct Found {
    file: usize,
    path: Vec<i32>,
}

/// What came of the files.
#[derive(Debug)]
pub enum Compiled {
    /// All of them.
    Whole(Descriptors),
    /// Those without a fault that need none with one; and the others, as texts.
    Part(Descriptors, Vec<Arc<SourceFile>>),
    /// Nothing that anything can be told from.
    Nothing,
}

/// Reads and compiles every .proto file below `roots`: [`Texts::read`], then [`Texts::compile`].
pub fn compile(
    roots: &[PathBuf],
    compiler: Compiler,
    found: &mut Diagnostics,
) -> Option<Descriptors> {
    Texts::read(roots, compiler).compile(found)
}

/// A file as far as its text alone tells: it may not compile.
#[derive(Debug)]
pub struct Outlined {
    /// As others import it.
    pub name: String,
    /// Its text.
    pub source: Arc<SourceFile>,
    /// The names that it imports.
    pub imports: Vec<String>,
}

/// What a compiler library panics with becomes a diagnostic.
pub fn on_a_large_stack<T: Send>(
    found: &mut Diagnostics,
    work: impl FnOnce(&mut Diagnostics) -> T + Send,
) -> Option<T> {
    let outcome = thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("proto-compiler".to_owned())
            .stack_size(STACK_BYTES);
        let work = || {
            let mut found = Diagnostics::new();
            let made = work(&mut found);
            (made, found)
        };
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().map_err(|panic| reason(&*panic)),
            Err(error) => Err(error.to_string()),
        }
    });
    match outcome {
        Ok((made, more)) => {
            found.append(more);
            Some(made)
        }
        Err(reason) => {
            found.push(Diagnostic::error(format!(
                "the .proto compiler failed: {reason}"
            )));
            None
        }
    }
}

/// What a panic says.
pub fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}

impl Descriptors {
    fn new(
        files: Vec<FileDescriptorProto>,
        sources: BTreeMap<String, Arc<SourceFile>>,
        compiler: Compiler,
    ) -> Self {
        let mut messages = HashMap::new();
        for (file, descriptor) in files.iter().enumerate() {
            for (at, message) in descriptor.message_type.iter().enumerate() {
                let name = full_name(descriptor.package(), message.name());
                collect(
                    message,
                    name,
                    Found {
                        file,
                        path: vec![4, index(at)],
                    },
                    &mut messages,
                );
            }
        }
        Self {
            files,
            sources,
            compiler,
            messages,
        }
    }

    /// Every file, imports before importers, well-known types included where they are imported.
    pub fn files(&self) -> &[FileDescriptorProto] {
        &self.files
    }

    /// The user's files by import name; what isn't here came with the gateway (or with protoc).
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<SourceFile>)> {
        self.sources
            .iter()
            .map(|(name, file)| (name.as_str(), file))
    }

    /// The text of the user's file of this import name.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceFile>> {
        self.sources.get(name)
    }

    /// The descriptor of a message by its full name, without a leading dot.
    pub fn message(&self, full_name: &str) -> Option<&DescriptorProto> {
        let Found { file, path } = self.messages.get(full_name)?;
        let mut numbers = path.iter().skip(1).step_by(2).map(|&at| at as usize);
        let mut message = self.files.get(*file)?.message_type.get(numbers.next()?)?;
        for at in numbers {
            message = message.nested_type.get(at)?;
        }
        Some(message)
    }

    /// Where a message of the user's is defined: its name in the text.
    pub fn place_of(&self, message: &str) -> Option<Place> {
        let Found { file, path } = self.messages.get(message)?;
        let file = &self.files[*file];
        let places = Places::of(file, self.source(file.name())?, self.compiler);
        Some(places.at(&[path, &[1][..]].concat()))
    }

    /// Whether buf.validate's rules stand in a message or anywhere below it.
    pub fn has_rules(&self, message: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![message];
        while let Some(name) = open.pop() {
            let Some(message) = self.message(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            if carries_rules(message) {
                return true;
            }
            let types = message.field.iter().map(|field| field.type_name());
            open.extend(types.map(|name| name.trim_start_matches('.')));
        }
        false
    }
}

/// Of the message itself. Extensions that the descriptor model doesn't know stay unknown fields.
fn carries_rules(message: &DescriptorProto) -> bool {
    let ruled = |fields: &UnknownFields| fields.get(RULES_EXTENSION).is_some();
    ruled(message.options.special_fields().unknown_fields())
        || message
            .field
            .iter()
            .any(|f| ruled(f.options.special_fields().unknown_fields()))
        || message
            .oneof_decl
            .iter()
            .any(|o| ruled(o.options.special_fields().unknown_fields()))
}

fn collect(message: &DescriptorProto, name: String, at: Found, all: &mut HashMap<String, Found>) {
    for (nested_at, nested) in message.nested_type.iter().enumerate() {
        let path = [&at.path[..], &[3, index(nested_at)]].concat();
        let file = at.file;
        collect(
            nested,
            full_name(&name, nested.name()),
            Found { file, path },
            all,
        );
    }
    all.insert(name, at);
}

/// A name inside a package or message; either may be nameless.
pub(crate) fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

/// An index as SourceCodeInfo writes it.
pub(crate) fn index(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_compiler_is_a_diagnostic() {
        let mut found = Diagnostics::new();
        let made: Option<()> = on_a_large_stack(&mut found, |_| panic!("out of {}", "luck"));
        assert_eq!(made, None);
        assert!(
            found
                .render(false)
                .contains("the .proto compiler failed: out of luck")
        );
    }
}

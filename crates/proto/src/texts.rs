//! The texts below the import paths, read once: what is compiled, outlined and told from what stands there
//! later are the same bytes.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::Cache;
use crate::compiler::Compiler;
use crate::descriptors::Descriptors;
use crate::sources::ProtoSources;
use crate::stack::on_a_large_stack;
use crate::{builtin, protoc};
use gateway_diagnostic::{Diagnostics, SourceFile};

/// Reads and compiles every .proto file below `roots`, which are existing directories: [`Texts::read`],
/// then [`Texts::compile`] without a cache. None if there are errors, all of which are in `found`.
pub fn compile(
    roots: &[PathBuf],
    compiler: Compiler,
    found: &mut Diagnostics,
) -> Option<Descriptors> {
    Texts::read(roots, compiler).compile(&mut Cache::default(), found)
}

/// What came of the files.
#[derive(Debug)]
pub enum Compiled {
    /// All files.
    Whole(Descriptors),
    /// The files without a fault that need none with one; and the texts of the others.
    Part(Descriptors, Vec<Arc<SourceFile>>),
    /// Nothing that anything can be told from.
    Nothing,
}

/// A file as far as its text alone tells: it may not compile.
#[derive(Debug)]
pub struct Outlined {
    /// The name by which others import it.
    pub name: String,
    /// Its text.
    pub source: Arc<SourceFile>,
    /// The names that it imports.
    pub imports: Vec<String>,
}

/// Every .proto file below the import paths, and what they import, as they were when they were read.
#[derive(Debug)]
pub struct Texts {
    sources: ProtoSources,
    /// What couldn't be read.
    found: Diagnostics,
    compiler: Compiler,
}

impl Texts {
    /// Reads what `compiler` is to compile below `roots` (existing directories, the first wins where two have
    /// a file of the same name).
    pub fn read(roots: &[PathBuf], compiler: Compiler) -> Self {
        let mut found = Diagnostics::new();
        let mut sources = ProtoSources::read(roots, &mut found);
        if compiler == Compiler::Builtin {
            sources.drop_well_known();
        }
        Self {
            sources,
            found,
            compiler,
        }
    }

    /// Compiles the files. None if there are errors, all of which are in `found`.
    pub fn compile(&self, cache: &mut Cache, found: &mut Diagnostics) -> Option<Descriptors> {
        match self.compile_each(cache, found) {
            Compiled::Whole(descriptors) => Some(descriptors),
            Compiled::Part(..) | Compiled::Nothing => None,
        }
    }

    /// Compiles the files as [`Self::compile`] does, and returns those without a fault even if others
    /// have some. Only the built-in front end can.
    pub fn compile_each(&self, cache: &mut Cache, found: &mut Diagnostics) -> Compiled {
        let (sources, mut here) = (&self.sources, self.found.clone());
        let files = on_a_large_stack(&mut here, |found| match self.compiler {
            Compiler::Builtin => builtin::compile(sources, cache, found),
            Compiler::Protoc => protoc::compile(sources, found),
        });
        let sound = !here.has_errors();
        found.append(here);
        let Some(files) = files else {
            return Compiled::Nothing;
        };
        let mut texts = sources.texts();
        if sound {
            return Compiled::Whole(Descriptors::new(files, texts, self.compiler));
        }
        // What couldn't be read may define anything.
        if self.found.has_errors() || self.compiler != Compiler::Builtin {
            return Compiled::Nothing;
        }
        let names: HashSet<&str> = files.iter().map(|file| file.name()).collect();
        let mut others = Vec::new();
        texts.retain(|name, text| {
            let is_sound = names.contains(name.as_str());
            if !is_sound {
                others.push(Arc::clone(text));
            }
            is_sound
        });
        Compiled::Part(Descriptors::new(files, texts, self.compiler), others)
    }

    /// Returns what can be told of each file when they don't compile.
    pub fn outlines(&self) -> Vec<Outlined> {
        let outlined = self.sources.iter().map(|(name, source)| Outlined {
            name: name.to_owned(),
            source: Arc::clone(&source.file),
            imports: source
                .outline
                .imports
                .iter()
                .map(|import| import.name.clone())
                .collect(),
        });
        outlined.collect()
    }
}

/// Of names and texts, and of what couldn't be read: equal ones compile to the same.
impl Hash for Texts {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for (name, source) in self.sources.iter() {
            name.hash(hasher);
            source.file.text.hash(hasher);
        }
        self.found.render(false).hash(hasher);
    }
}

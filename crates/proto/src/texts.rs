//! The texts of the files below the import paths. Each file is read once, so that the compiler, the
//! outlines and the comparison with later versions use the same bytes.

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

/// Reads and compiles every .proto file below `roots` with [`Texts::read`] and [`Texts::compile`],
/// without a cache. The roots are existing directories. Adds all errors to `found`, and returns
/// `None` if there are any.
pub fn compile(
    roots: &[PathBuf],
    compiler: Compiler,
    found: &mut Diagnostics,
) -> Option<Descriptors> {
    Texts::read(roots, compiler).compile(&mut Cache::default(), found)
}

/// The result of compiling the files.
#[derive(Debug)]
pub enum Compiled {
    /// All files compiled.
    Whole(Descriptors),
    /// The descriptors of the files that have no errors and import no files with errors, and the
    /// texts of the other files.
    Part(Descriptors, Vec<Arc<SourceFile>>),
    /// There are no descriptors: the front end failed, a file could not be read, or protoc reported
    /// an error.
    Nothing,
}

/// The facts about a file that are known even if the file does not compile.
#[derive(Debug)]
pub struct Outlined {
    /// The name by which other files import the file.
    pub name: String,
    /// The text of the file.
    pub source: Arc<SourceFile>,
    /// The names of the files that the file imports.
    pub imports: Vec<String>,
}

/// The texts of the .proto files below the import paths, and of the files that they import. The
/// texts stay the same even if the files change.
#[derive(Debug)]
pub struct Texts {
    sources: ProtoSources,
    /// The errors of reading.
    found: Diagnostics,
    compiler: Compiler,
}

impl Texts {
    /// Reads the files below `roots` that `compiler` is to compile. The roots are existing
    /// directories. If two roots have a file of the same name, the file of the first root is used.
    pub fn read(roots: &[PathBuf], compiler: Compiler) -> Self {
        Self::read_after(None, roots, compiler)
    }

    /// Reads the files like [`Self::read`]. Every file is read, but files with the same bytes as in
    /// `earlier` share its texts, which saves most of the time and memory.
    pub fn read_after(earlier: Option<&Self>, roots: &[PathBuf], compiler: Compiler) -> Self {
        let mut found = Diagnostics::new();
        let earlier = earlier.map(|earlier| &earlier.sources);
        let mut sources = ProtoSources::read(roots, earlier, &mut found);
        if compiler == Compiler::Builtin {
            sources.drop_well_known();
        }
        Self {
            sources,
            found,
            compiler,
        }
    }

    /// Compiles the files. Adds all errors to `found`, and returns `None` if there are any.
    pub fn compile(&self, cache: &mut Cache, found: &mut Diagnostics) -> Option<Descriptors> {
        match self.compile_each(cache, found) {
            Compiled::Whole(descriptors) => Some(descriptors),
            Compiled::Part(..) | Compiled::Nothing => None,
        }
    }

    /// Compiles the files as [`Self::compile`] does, and returns the files without errors even if
    /// other files have errors. Only the built-in front end can do this.
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
        // A file that could not be read may define anything.
        if self.found.has_errors() || self.compiler != Compiler::Builtin {
            return Compiled::Nothing;
        }
        let names: HashSet<&str> = files.iter().map(|it| it.name()).collect();
        let mut others = Vec::new();
        texts.retain(|name, text| {
            let is_sound = names.contains(name.as_str());
            if !is_sound {
                others.push(Arc::clone(&text.file));
            }
            is_sound
        });
        Compiled::Part(Descriptors::new(files, texts, self.compiler), others)
    }

    /// Returns the outline of each file, which is known even if the file does not compile.
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

/// The hash covers names, texts and errors of reading. With the same compiler, texts of equal
/// hashes compile to the same result.
impl Hash for Texts {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for (name, source) in self.sources.iter() {
            name.hash(hasher);
            source.hash.hash(hasher);
        }
        self.found.render(false).hash(hasher);
    }
}

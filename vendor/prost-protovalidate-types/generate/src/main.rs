//! Compiles `buf/validate/validate.proto` and writes `src/generated/` of the crate around it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

const FILES: [&str; 1] = ["buf/validate/validate.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let import_path = types.join("proto");
    // Another directory as the argument: to compare what is checked in with what would be written.
    let out = env::args_os().nth(1);
    let out = out.map_or_else(|| types.join("src/generated"), PathBuf::from);
    fs::create_dir_all(&out)?;

    // Neither comments nor positions are used at run time, and they are two thirds of the bytes.
    let mut compiler = protox::Compiler::new([&import_path])?;
    compiler.include_imports(true).include_source_info(false);
    let descriptors = compiler.open_files(FILES)?.file_descriptor_set();
    let descriptor_path = out.join("file_descriptor_set.bin");
    fs::write(&descriptor_path, descriptors.encode_to_vec())?;

    let mut config = prost_build::Config::new();
    config
        .out_dir(&out)
        .file_descriptor_set_path(&descriptor_path)
        .skip_protoc_run();
    prost_reflect_build::Builder::new()
        .file_descriptor_set_path(&descriptor_path)
        .descriptor_pool("DESCRIPTOR_POOL")
        .compile_protos_with_config(config, &FILES, &[&import_path])?;
    Ok(())
}

//! Makes the types of records from their definition in `proto/`.

use std::error::Error;

const FILES: [&str; 2] = ["merit/v1/decision.proto", "merit/v1/captured.proto"];
const FOLDER: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={FOLDER}/{file}");
    }
    let definitions = protox::compile(FILES, [FOLDER])?;
    prost_build::Config::new()
        .btree_map(["."])
        .compile_fds(definitions)?;
    Ok(())
}

//! `evaluate`: what the learned signals are worth on texts that nothing was fitted on or chosen by,
//! and how long they take.
//!
//! Every figure comes through the library and the engine that serve requests. What is weak is
//! printed as plainly as what is strong. The same models and texts give the same figures; only
//! times differ.

mod asking;
mod banks;
mod entities;
mod precision;
mod report;
mod sequence;
mod sets;

use anyhow::{Context as _, Result};
use asking::Asking;
use clap::Parser;
use report::Report;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Evaluates the learned signals on held-out texts.
#[derive(Debug, Parser)]
#[command(name = "evaluate")]
struct Arguments {
    /// Folder of the data sets that heads were fitted on, for their held-out parts; without it only
    /// the sets of the repository
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// File whose part between the marks becomes the tables
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
    /// Also fit the domain head again on the encoder alone
    #[arg(long, requires = "data")]
    fit: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let sets = sets::Sets::new(arguments.data);
    let asking = Asking::open()?;
    let mut report = Report::default();
    sequence::run(&asking, &sets, &mut report)?;
    if arguments.fit {
        precision::encoder_alone(&asking, &sets, &mut report)?;
    }
    precision::run(&asking, &sets, &mut report)?;
    entities::run(&asking, &sets, &mut report)?;
    banks::run(&asking, &sets, &mut report)?;
    let text = report.render();
    if let Some(file) = &arguments.readme {
        let old =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        fs::write(file, report::between_marks(&old, &text)?)?;
    }
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

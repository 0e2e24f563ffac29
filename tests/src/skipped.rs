//! Tests that lack what only some machines have say so, where nothing captures it.

use std::io::Write as _;

/// Says what is skipped, and why.
pub fn skipped(what: &str) {
    // Where even that cannot be written, nobody is there to read it.
    writeln!(std::io::stderr().lock(), "SKIPPED: {what}").ok();
}

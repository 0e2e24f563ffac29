//! Models that are opened on demand, by scripts.

use super::*;
use inference::fake::Fake;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Opens a script, as often as it is allowed to.
pub(crate) struct Scripted {
    pub(crate) fake: Arc<Fake>,
    pub(crate) opened: AtomicUsize,
    pub(crate) missing: AtomicUsize,
}

impl Scripted {
    pub(crate) fn new(fake: Fake) -> Arc<Self> {
        Arc::new(Self {
            fake: Arc::new(fake),
            opened: AtomicUsize::new(0),
            missing: AtomicUsize::new(0),
        })
    }

    /// Nothing is there the first `times`.
    pub(crate) fn missing(fake: Fake, times: usize) -> Arc<Self> {
        let scripted = Self::new(fake);
        scripted.missing.store(times, Ordering::Relaxed);
        scripted
    }
}

impl Open for Scripted {
    fn open(
        &self,
        _settings: &Inference,
        _languages: Option<Arc<dyn DetectLanguage>>,
    ) -> Result<Opened, LoadError> {
        if self
            .missing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            return Installed::default().open(&Inference::default(), None);
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Opened {
            catalog: self.fake.clone(),
            asker: self.fake.clone(),
            engine: None,
        })
    }
}

#[test]
fn opens_once_and_tries_again_after_a_failure() {
    let open = Scripted::missing(Fake::default(), 1);
    let models = Models::new(open.clone(), Inference::default());
    let failed = models.embedder(&Wanted::default()).unwrap_err().to_string();
    assert!(
        failed.contains("--models") && failed.contains("cargo xtask models"),
        "{failed}"
    );
    for _ in 0..2 {
        assert!(models.embedder(&Wanted::default()).is_ok());
    }
    assert_eq!(open.opened.load(Ordering::Relaxed), 1);
}

//! Where something stands in the client's body.

use std::fmt;

/// A path of the client's body, `messages[1].content[0].source`. Kept in pieces: most are never
/// shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    steps: [Option<Step>; MOST_STEPS],
}

const MOST_STEPS: usize = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Member(&'static str),
    Element(u32),
}

impl Place {
    /// The member of the body itself.
    pub(super) fn top(name: &'static str) -> Self {
        Self::default().member(name)
    }

    /// A member of what stands here.
    pub(super) fn member(self, name: &'static str) -> Self {
        self.step(Step::Member(name))
    }

    /// An element of what stands here.
    pub(super) fn element(self, index: usize) -> Self {
        self.step(Step::Element(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    /// A member whose name the client chose.
    pub(super) fn named<'n>(&self, name: &'n str) -> Named<'_, 'n> {
        Named { place: self, name }
    }

    /// Goes a step deeper; what lies too deep is told by what it stands in.
    fn step(mut self, step: Step) -> Self {
        if let Some(free) = self.steps.iter_mut().find(|step| step.is_none()) {
            *free = Some(step);
        }
        self
    }

    fn is_top(&self) -> bool {
        self.steps.first().is_none_or(Option::is_none)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().flatten().enumerate() {
            match step {
                Step::Member(name) if at == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A member of a place, by a name of the client's.
#[derive(Debug)]
pub(super) struct Named<'p, 'n> {
    place: &'p Place,
    name: &'n str,
}

impl fmt::Display for Named<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.place.is_top() { "" } else { "." };
        write!(f, "{}{dot}{}", self.place, self.name)
    }
}

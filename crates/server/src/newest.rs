//! A bounded number of connections: the newest go on.

use std::collections::VecDeque;
use tokio_util::sync::CancellationToken;

/// What goes on, oldest first. One too many ends the oldest, so that those who connect and say
/// nothing keep out nobody.
#[derive(Debug)]
pub struct Newest {
    most: usize,
    going_on: VecDeque<CancellationToken>,
}

impl Newest {
    /// Lets `most` go on at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            going_on: VecDeque::new(),
        }
    }

    /// Makes room for one more, and returns what ends it. To be cancelled also when it is over.
    pub fn begin(&mut self) -> CancellationToken {
        if self.going_on.len() >= self.most {
            self.going_on.retain(|other| !other.is_cancelled());
        }
        if self.going_on.len() >= self.most
            && let Some(oldest) = self.going_on.pop_front()
        {
            oldest.cancel();
        }
        let stop = CancellationToken::new();
        self.going_on.push_back(stop.clone());
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ends() {
        let mut newest = Newest::new(2);
        let [first, second] = [newest.begin(), newest.begin()];
        assert!(!first.is_cancelled());
        // One that is over makes room.
        second.cancel();
        let third = newest.begin();
        assert!(!first.is_cancelled());
        let _fourth = newest.begin();
        assert!(first.is_cancelled() && !third.is_cancelled());
    }
}

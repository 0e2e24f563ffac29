//! Patterns that read a text together.
//!
//! One automaton stands for all patterns of a set; its states are built as texts demand them. It is
//! driven here, block by block, and not by the engine: a search looks at the clock in between, and
//! it ends where a text demands new states without end. There a byte costs as much as all patterns
//! together, so each of them reads the text by itself instead.

use super::{PatternError, engine::Engine};
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Input, MatchKind};
use std::sync::{Arc, Mutex, PoisonError};

/// Bound of one set's compiled patterns, bytes; a larger set is split.
const SET_LIMIT: usize = 8 << 20;
/// Bound of one set's states, bytes.
const CACHE_LIMIT: usize = 1 << 20;
/// Patterns of one set, at most: where a text demands too many states, each reads it by itself.
const SET: usize = 128;
/// Bytes between two looks at the clock. Of a text that demands new states each byte takes
/// microseconds.
const BLOCK: usize = 512;
/// How often a search may use up the room for states...
const SPARE: usize = 2;
/// ...and bytes that it must read for each further time.
const WORTH: usize = 64 << 10;
/// Searches at a time whose states are kept for later ones.
const KEPT: usize = 4;

/// Patterns that are searched together.
#[derive(Debug, Default)]
pub(in crate::families) struct PatternSet {
    sets: Vec<Set>,
}

/// Patterns of one automaton, each with its slot.
#[derive(Debug)]
struct Set {
    /// `None` for a pattern that no automaton can stand for.
    automaton: Option<Automaton>,
    members: Vec<(Arc<Engine>, usize)>,
}

impl PatternSet {
    /// Compiles `(pattern, slot)` pairs; each pattern is already in the engine's own dialect.
    pub(in crate::families) fn build(patterns: &[(String, usize)]) -> Result<Self, PatternError> {
        let engine = |(pattern, slot): &(String, usize)| (Arc::new(Engine::new(pattern)), *slot);
        Self::of(&patterns.iter().map(engine).collect::<Vec<_>>())
    }

    /// Compiles patterns, each with its slot.
    pub(in crate::families) fn of(members: &[(Arc<Engine>, usize)]) -> Result<Self, PatternError> {
        let mut sets = Vec::new();
        for members in members.chunks(SET) {
            add(members, &mut sets)?;
        }
        Ok(Self { sets })
    }

    /// How often a text is read for all patterns.
    pub(in crate::families) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// Sets `hits[slot]` for every pattern found in `text`, until it `is_late`. Returns the slots of
    /// those that were not looked for.
    pub(in crate::families) fn mark(
        &self,
        text: &str,
        is_late: impl Fn() -> bool,
        hits: &mut [bool],
    ) -> Vec<usize> {
        self.mark_wanted(text, |_| true, is_late, hits)
    }

    /// Sets `hits[slot]` for every wanted pattern found in `text`, and perhaps for others; until it
    /// `is_late`. Returns the slots of the wanted ones that were not looked for.
    pub(in crate::families) fn mark_wanted(
        &self,
        text: &str,
        is_wanted: impl Fn(usize) -> bool,
        is_late: impl Fn() -> bool,
        hits: &mut [bool],
    ) -> Vec<usize> {
        let mut unread = Vec::new();
        for set in &self.sets {
            let wanted = set.members.iter().filter(|(_, slot)| is_wanted(*slot));
            let wanted: Vec<&(Arc<Engine>, usize)> = wanted.collect();
            if !wanted.is_empty() {
                unread.extend(set.mark(text, &wanted, &is_late, hits));
            }
        }
        unread
    }
}

fn add(members: &[(Arc<Engine>, usize)], sets: &mut Vec<Set>) -> Result<(), PatternError> {
    let texts: Vec<&str> = members.iter().map(|(engine, _)| engine.as_str()).collect();
    let automaton = Automaton::build(&texts);
    match members {
        [] => return Ok(()),
        [(engine, _)] if automaton.is_none() => engine.compiled()?,
        members if automaton.is_none() => {
            let (left, right) = members.split_at(members.len() / 2);
            add(left, sets)?;
            return add(right, sets);
        }
        _ => {}
    }
    sets.push(Set {
        automaton,
        members: members.to_vec(),
    });
    Ok(())
}

impl Set {
    /// Marks what is found, and returns the slots of `wanted` for which it was too late.
    fn mark(
        &self,
        text: &str,
        wanted: &[&(Arc<Engine>, usize)],
        is_late: impl Fn() -> bool,
        hits: &mut [bool],
    ) -> Vec<usize> {
        let slots: Vec<usize> = self.members.iter().map(|(_, slot)| *slot).collect();
        let found = |pattern: usize| {
            if let Some(slot) = slots.get(pattern) {
                hits[*slot] = true;
            }
        };
        let end = match &self.automaton {
            Some(automaton) => automaton.search(text, &is_late, found),
            None => End::Crowded,
        };

        // What was found is found, however the search ended.
        let rest = wanted.iter().filter(|(_, slot)| !hits[*slot]);
        let rest: Vec<_> = rest.collect();
        match end {
            End::Read => Vec::new(),
            End::Late => rest.into_iter().map(|(_, slot)| *slot).collect(),
            End::Crowded => {
                let mut unread = Vec::new();
                for (engine, slot) in rest {
                    let found = (!is_late()).then(|| engine.is_match(text));
                    match found.flatten() {
                        Some(is_found) => hits[*slot] |= is_found,
                        None => unread.push(*slot),
                    }
                }
                unread
            }
        }
    }
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was read that could lead to a match.
    Read,
    /// It was too late.
    Late,
    /// The text demands too many states.
    Crowded,
}

/// Finds which of several patterns occur in a text.
#[derive(Debug)]
struct Automaton {
    dfa: DFA,
    /// States of searches that are over, for the next ones.
    caches: Mutex<Vec<Cache>>,
}

impl Automaton {
    /// Compiles patterns; `None` if they are too large together.
    fn build(patterns: &[&str]) -> Option<Self> {
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(CACHE_LIMIT)
            .skip_cache_capacity_check(true);
        let compiler = thompson::Config::new()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(SET_LIMIT));
        let dfa = DFA::builder()
            .configure(config)
            .thompson(compiler)
            .build_many(patterns);
        Some(Self {
            dfa: dfa.ok()?,
            caches: Mutex::default(),
        })
    }

    /// Calls `found` with the number of every pattern that is found, some of them often, until it
    /// `is_late`.
    fn search(&self, text: &str, is_late: impl Fn() -> bool, found: impl FnMut(usize)) -> End {
        let kept = self
            .caches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut cache = kept.unwrap_or_else(|| self.dfa.create_cache());
        let end = self.walk(&mut cache, text, is_late, found);
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if caches.len() < KEPT {
            caches.push(cache);
        }
        end
    }

    fn walk(
        &self,
        cache: &mut Cache,
        text: &str,
        is_late: impl Fn() -> bool,
        found: impl FnMut(usize),
    ) -> End {
        if is_late() {
            return End::Late;
        }
        let Ok(start) = self.dfa.start_state_forward(cache, &Input::new(text)) else {
            return End::Crowded;
        };
        let cleared = cache.clear_count();
        let mut step = Step {
            dfa: &self.dfa,
            state: start,
            marked: None,
            found,
        };
        for (count, block) in text.as_bytes().chunks(BLOCK).enumerate() {
            if is_late() {
                return End::Late;
            }
            let clears = cache.clear_count() - cleared;
            if clears > SPARE && count * BLOCK < clears * WORTH {
                return End::Crowded;
            }
            if let Some(end) = step.block(cache, block) {
                return end;
            }
        }
        step.end(cache)
    }
}

/// A place in a text and in the automaton.
struct Step<'a, F> {
    dfa: &'a DFA,
    state: LazyStateID,
    /// The last state whose patterns were told, and how often states had been dropped by then:
    /// where most places of a text end a match, they are mostly the same ones.
    marked: Option<(LazyStateID, usize)>,
    found: F,
}

impl<F: FnMut(usize)> Step<'_, F> {
    /// Reads on; an end if nothing can be found behind it.
    fn block(&mut self, cache: &mut Cache, block: &[u8]) -> Option<End> {
        for &byte in block {
            let Ok(next) = self.dfa.next_state(cache, self.state, byte) else {
                return Some(End::Crowded);
            };
            self.state = next;
            if next.is_tagged() {
                if next.is_dead() {
                    return Some(End::Read);
                }
                if !next.is_match() {
                    return Some(End::Crowded);
                }
                self.mark(cache);
            }
        }
        None
    }

    /// Tells what the text's end completes.
    fn end(&mut self, cache: &mut Cache) -> End {
        let Ok(last) = self.dfa.next_eoi_state(cache, self.state) else {
            return End::Crowded;
        };
        self.state = last;
        if last.is_match() {
            self.mark(cache);
        }
        End::Read
    }

    fn mark(&mut self, cache: &Cache) {
        let marked = Some((self.state, cache.clear_count()));
        if self.marked == marked {
            return;
        }
        self.marked = marked;
        for index in 0..self.dfa.match_len(cache, self.state) {
            (self.found)(self.dfa.match_pattern(cache, self.state, index).as_usize());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use regex::RegexSet;
    use std::cell::Cell;

    fn found(hits: &[bool]) -> Vec<usize> {
        (0..hits.len()).filter(|at| hits[*at]).collect()
    }

    #[test]
    fn a_set_too_large_for_one_automaton_is_split() {
        let patterns: Vec<_> = (0..40).map(|n| (format!(r"(?i)x{n}\w{{80}}"), n)).collect();
        let set = PatternSet::build(&patterns).unwrap();
        let mut hits = vec![false; 40];
        let unread = set.mark(&format!("X7{}", "é".repeat(80)), || false, &mut hits);
        assert!(set.sets.len() > 1 && unread.is_empty());
        assert_eq!(hits.iter().position(|hit| *hit), Some(7));
    }

    #[test]
    fn what_no_automaton_can_stand_for_is_searched_for_alone() {
        let patterns = [(r"\bé\b".to_owned(), 0), ("é|b".to_owned(), 1)];
        let set = PatternSet::build(&patterns).unwrap();
        let mut hits = vec![false; 2];
        assert!(set.mark("a é", || false, &mut hits).is_empty());
        assert_eq!((set.sets(), found(&hits)), (2, vec![0, 1]));
    }

    /// Patterns that need other states for each text of two letters, and one that is found.
    fn crowded() -> (PatternSet, String) {
        let mut patterns: Vec<_> = (0..60)
            .map(|n| (format!("[ab]{{{n}}}a[ab]{{20}}c"), n))
            .collect();
        patterns.push(("b[ab]*d".into(), 60));
        let mut random = 7_u32;
        let mut text: String = (0..4_000)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if random >> 31 == 0 { 'a' } else { 'b' }
            })
            .collect();
        text.push('d');
        (PatternSet::build(&patterns).unwrap(), text)
    }

    #[test]
    fn a_text_that_demands_too_many_states_is_read_by_each_pattern() {
        let (set, text) = crowded();
        let automaton = set.sets[0].automaton.as_ref().unwrap();
        assert_eq!(automaton.search(&text, || false, |_| {}), End::Crowded);
        let mut hits = vec![false; 61];
        assert!(set.mark(&text, || false, &mut hits).is_empty());
        assert_eq!(found(&hits), [60]);
    }

    #[test]
    fn a_search_looks_at_the_clock() {
        let (set, text) = crowded();
        for looks in 0..3 {
            let left = Cell::new(looks);
            let is_late = || {
                left.set(left.get() - 1);
                left.get() < 0
            };
            let mut hits = vec![false; 61];
            let unread = set.mark(&text, is_late, &mut hits);
            assert_eq!((unread.len(), left.get()), (61, -1), "{looks}");
        }
    }

    proptest! {
        #[test]
        fn many_sets_find_what_one_finds(
            words in vec(
                "[ab]{1,3}|[ab]\\.\\*[ab]|[ab]\\?b|\\^[ab]|[ab]+\\$|\\(\\?-u:\\\\b\\)[ab]|a\\.\\{0,3\\}b",
                1..400,
            ),
            text in "[ab é\n]{0,12}",
        ) {
            let patterns: Vec<_> =
                words.into_iter().enumerate().map(|(at, word)| (word, at)).collect();
            let texts = patterns.iter().map(|(pattern, _)| pattern);
            let one = RegexSet::new(texts).unwrap();
            let expected: Vec<usize> = one.matches(&text).iter().collect();
            let sets = PatternSet::build(&patterns).unwrap();
            prop_assert_eq!(sets.sets.len(), patterns.len().div_ceil(SET));
            let mut hits = vec![false; patterns.len()];
            prop_assert!(sets.mark(&text, || false, &mut hits).is_empty());
            prop_assert_eq!(found(&hits), expected.clone());

            let is_wanted = |at: usize| at % 150 == 7;
            let mut hits = vec![false; patterns.len()];
            let unread = sets.mark_wanted(&text, is_wanted, || false, &mut hits);
            let of_wanted = |all: Vec<usize>| -> Vec<usize> {
                all.into_iter().filter(|at| is_wanted(*at)).collect()
            };
            prop_assert_eq!(of_wanted(found(&hits)), of_wanted(expected));
            prop_assert!(unread.is_empty());
            hits.fill(false);
            let unread = sets.mark_wanted(&text, is_wanted, || true, &mut hits);
            let wanted: Vec<usize> = (0..patterns.len()).filter(|at| is_wanted(*at)).collect();
            prop_assert_eq!(unread, wanted);
        }
    }
}

//! The simulated world: sessions of coding agents, models with prices, provider caches, and what an
//! answer is worth.
//!
//! Every assumption is a field of [`Assumptions`] or a constant here, and the report prints them.

use conversation::session::Phase;
use fastrand::Rng;
use selection::card::{Prices, Tokens};

/// Models: name, prompt price per million tokens, completion price, ability. A task of difficulty d
/// is solved with probability 1 / (1 + exp(-STEEPNESS * (ability - d))).
pub(crate) const MODELS: [(&str, f64, f64, f64); 3] = [
    ("small", 0.15, 0.60, 0.45),
    ("medium", 0.80, 4.00, 0.65),
    ("large", 3.00, 15.00, 0.85),
];
const STEEPNESS: f64 = 10.0;
/// What the selector takes off for price: this times the price relative to the dearest model's.
const PRICE_WEIGHT: f64 = 0.25;
/// Tokens: of a tool's result, of a step's answer, of a turn's last answer, of the user's words, of
/// a summary.
const TOOL_RESULT: f64 = 1_500.0;
const STEP_ANSWER: f64 = 250.0;
const LAST_ANSWER: f64 = 700.0;
const USER_WORDS: f64 = 150.0;
const SUMMARY: f64 = 2_000.0;
/// An agent compacts when its history exceeds this, tokens.
const CONTEXT_LIMIT: f64 = 120_000.0;
/// Tokens per second of an answer, and seconds of a tool.
const SPEED: f64 = 60.0;
const TOOL_SECONDS: f64 = 5.0;
/// Share of sessions that begin with a helper request (a title) of 300 tokens.
const HELPERS: f64 = 0.5;

/// Prints what is assumed in every cell.
pub(crate) fn assumptions(out: &mut impl std::io::Write) -> std::io::Result<()> {
    for (name, prompt, completion, ability) in MODELS {
        writeln!(
            out,
            "model {name}: prompt {prompt}, completion {completion} per million tokens; ability {ability}"
        )?;
    }
    writeln!(
        out,
        "solved: 1/(1+exp(-{STEEPNESS}(ability-difficulty))); selector: the same at the difficulty that it sees, less \
         {PRICE_WEIGHT} x relative price\n\
         tokens: {USER_WORDS} said, {TOOL_RESULT} a tool's result, {STEP_ANSWER} a step's answer, {LAST_ANSWER} the last, \
         {SUMMARY} a summary; compaction beyond {CONTEXT_LIMIT}\n\
         answers at {SPEED} tokens/s, tools take {TOOL_SECONDS} s; {HELPERS} of sessions begin with a title request\n\
         unsafe: a switch inside a tool loop, in a compaction, or away from sealed state; the last fails its request"
    )
}

/// One cell of the grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assumptions {
    /// Users' turns of a session, on average; geometric.
    pub(crate) turns: f64,
    /// Requests of a turn, on average; geometric.
    pub(crate) steps: f64,
    /// Tokens of system prompt and tools.
    pub(crate) system: f64,
    /// Price of a cached prompt token, relative to the prompt price.
    pub(crate) cached: f64,
    /// Pause between turns, seconds, on average; exponential.
    pub(crate) pause: f64,
    /// How long providers keep a prefix, seconds.
    pub(crate) lifetime: f64,
    /// How far turns differ in difficulty within a session, standard deviation.
    pub(crate) spread: f64,
    /// Error of the selector's view of difficulty, standard deviation.
    pub(crate) noise: f64,
    /// Share of sessions with state that only its own provider can read (encrypted reasoning).
    pub(crate) sealed: f64,
}

/// A request to any model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) at: f64,
    pub(crate) phase: Phase,
    /// Number of the user's turn.
    pub(crate) turn: usize,
    /// Which conversation: another one after a compaction.
    pub(crate) thread: u32,
    pub(crate) difficulty: f64,
    /// The selector's scores.
    pub(crate) scores: [f64; MODELS.len()],
    /// Tokens that stand at the beginning of an earlier request, and all of them.
    pub(crate) shared: u64,
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) sealed: bool,
}

/// Probability that a model solves a task.
pub(crate) fn solves(model: usize, difficulty: f64) -> f64 {
    1.0 / (1.0 + (-STEEPNESS * (MODELS[model].3 - difficulty)).exp())
}

/// A model's prices.
pub(crate) fn prices(model: usize, world: &Assumptions) -> Prices {
    let (_, prompt, completion, _) = MODELS[model];
    Prices {
        prompt,
        cached: prompt * world.cached,
        cache_write: prompt,
        completion,
    }
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

fn geometric(rng: &mut Rng, mean: f64) -> usize {
    let stop = 1.0 / mean;
    let count = ((1.0 - rng.f64()).ln() / (1.0 - stop).ln()).floor() as usize + 1;
    count.min(20 * mean.ceil() as usize)
}

/// A session's requests.
pub(crate) fn session(rng: &mut Rng, world: &Assumptions) -> Vec<Request> {
    let mut writer = Writer {
        world,
        requests: Vec::new(),
        at: 0.0,
        history: world.system,
        seen: 0.0,
        thread: 0,
        sealed: rng.f64() < world.sealed,
    };
    let usual = 0.15 + 0.65 * rng.f64();
    if rng.f64() < HELPERS {
        writer.helper(rng);
    }
    for turn in 0..geometric(rng, world.turns) {
        if turn > 0 {
            writer.at += exponential(rng, world.pause);
        }
        let difficulty = (usual + world.spread * normal(rng)).clamp(0.0, 1.0);
        let felt = difficulty + world.noise * normal(rng);
        if writer.history > CONTEXT_LIMIT {
            writer.compact(rng, turn, difficulty, felt);
        }
        writer.turn(rng, turn, difficulty, felt);
    }
    writer.requests
}

struct Writer<'a> {
    world: &'a Assumptions,
    requests: Vec<Request>,
    at: f64,
    /// Tokens of the conversation so far.
    history: f64,
    /// Of these, those that a request has held.
    seen: f64,
    thread: u32,
    sealed: bool,
}

impl Writer<'_> {
    fn turn(&mut self, rng: &mut Rng, turn: usize, difficulty: f64, felt: f64) {
        let steps = geometric(rng, self.world.steps);
        self.history += USER_WORDS * (0.5 + rng.f64());
        for step in 0..steps {
            let last = step + 1 == steps;
            let answer = if last { LAST_ANSWER } else { STEP_ANSWER } * (0.5 + rng.f64());
            let phase = if step == 0 {
                Phase::UserTurn
            } else {
                Phase::ToolLoop
            };
            self.request(phase, turn, difficulty, scores(felt), answer);
            if !last {
                self.history += TOOL_RESULT * (0.2 + 1.6 * rng.f64());
                self.at += exponential(rng, TOOL_SECONDS);
            }
        }
    }

    fn request(
        &mut self,
        phase: Phase,
        turn: usize,
        difficulty: f64,
        scores: [f64; MODELS.len()],
        answer: f64,
    ) {
        self.requests.push(Request {
            at: self.at,
            phase,
            turn,
            thread: self.thread,
            difficulty,
            scores,
            shared: self.seen as u64,
            prompt: self.history as u64,
            completion: answer as u64,
            sealed: self.sealed && turn > 0,
        });
        self.at += answer / SPEED;
        self.history += answer;
        self.seen = self.history;
    }

    /// A request beside the conversation, at its beginning, with a prompt of its own.
    fn helper(&mut self, rng: &mut Rng) {
        let felt = 0.05 + 0.1 * rng.f64();
        self.requests.push(Request {
            at: self.at,
            phase: Phase::Helper,
            turn: 0,
            thread: u32::MAX,
            difficulty: felt,
            scores: scores(felt),
            shared: 0,
            prompt: 300,
            completion: 20,
            sealed: false,
        });
    }

    /// A summary takes the place of the history; system prompt and tools stay.
    fn compact(&mut self, rng: &mut Rng, turn: usize, difficulty: f64, _felt: f64) {
        // What is asked is to summarise, whatever the next turn is about.
        let felt = 0.3 + 0.1 * rng.f64();
        self.request(Phase::Compaction, turn, difficulty, scores(felt), SUMMARY);
        self.history = self.world.system + SUMMARY;
        self.seen = self.world.system;
        self.thread += 1;
    }
}

fn scores(felt: f64) -> [f64; MODELS.len()] {
    let dearest = MODELS[MODELS.len() - 1].1;
    std::array::from_fn(|model| solves(model, felt) - PRICE_WEIGHT * MODELS[model].1 / dearest)
}

/// The caches of all providers for one session.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Caches([(u64, f64); MODELS.len()]);

impl Caches {
    /// Tokens of a request that a model has in its cache.
    pub(crate) fn cached(&self, model: usize, request: &Request, world: &Assumptions) -> u64 {
        let (tokens, at) = self.0[model];
        let alive = tokens > 0 && request.at - at <= world.lifetime;
        if alive && request.phase != Phase::Helper {
            tokens.min(request.shared)
        } else {
            0
        }
    }

    /// Answers a request; gives what it used.
    pub(crate) fn answer(
        &mut self,
        model: usize,
        request: &Request,
        world: &Assumptions,
    ) -> Tokens {
        let cached = self.cached(model, request, world);
        if request.phase != Phase::Helper {
            self.0[model] = (request.prompt + request.completion, request.at);
        }
        Tokens {
            prompt: request.prompt,
            cached,
            written: 0,
            completion: request.completion,
        }
    }
}

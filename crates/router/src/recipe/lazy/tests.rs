//! Which models are asked in which case, and lazy against full evaluation on random policies.

mod agreement;
mod cases;
mod script;

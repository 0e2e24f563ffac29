//! No path leaves the allowed set: random policies and requests against an evaluator that shares no
//! code with the router; and the cases by name.

mod beside;
mod cases;
mod lists;
mod naive;
mod paths;
mod places;
pub(super) mod switches;

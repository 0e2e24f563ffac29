//! The stages of a request's way, each with the part of the generation that it uses. The pipeline
//! calls them in order.

pub mod eligibility;
pub mod learning;
pub mod reading;
pub mod request;
pub mod selection;
pub mod sessions;
pub mod targets;

pub use eligibility::Eligibility;
pub use learning::Learning;
pub use reading::{Reading, RecipeReading};
pub use request::RoutingRequest;
pub use sessions::Sessions;
pub use targets::Targets;

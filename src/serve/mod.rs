//! To come.

pub mod allow;
pub mod config;
pub mod glob;

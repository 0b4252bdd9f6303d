//! To come.

pub mod config;
pub mod pointer;
pub mod status;

//! System calls as safe functions. The only folder with unsafe code.
#![allow(unsafe_code)]

pub mod stdio;

//! The environment that the program was started in.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// A variable of the environment. The standard library would wait for whoever changes it; nobody
/// does that here.
pub fn variable(name: &CStr) -> Option<&'static OsStr> {
    // SAFETY: the name ends with a NUL and outlives the call.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv(3) points to a text that ends with a NUL and stays as it is for as long as the
    // environment is not changed: this program has no call that would.
    let value = unsafe { CStr::from_ptr(value) };
    Some(OsStr::from_bytes(value.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_of_the_library() {
        assert_eq!(variable(c"PATH"), std::env::var_os("PATH").as_deref());
        assert_eq!(variable(c"FETCHLOGS_THAT_NOBODY_SETS"), None);
    }
}

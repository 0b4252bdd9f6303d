//! The one binary; everything is in the library, so that the tests reach it too.
#![no_main]

fetchlogs::entry!(fetchlogs::start, fetchlogs::applets::main);

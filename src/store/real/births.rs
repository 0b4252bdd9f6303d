//! The births of real files.

use std::fs::File;
use std::path::Path;

use crate::store::Birth;

#[cfg(target_os = "linux")]
pub use self::linux::Births;
#[cfg(not(target_os = "linux"))]
pub use self::other::Births;

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::RefCell;

    use super::{Birth, File, Path};
    use crate::ids::Born;
    use crate::sys::birth::{self, Place};
    use crate::wire::crc32::Crc32;

    /// What is known of the file systems that births were asked of.
    #[derive(Debug, Default)]
    pub struct Births {
        /// Devices, and whether what they tell is the same for as long as a file lives.
        devices: RefCell<heapless::Vec<(u64, bool), DEVICES_MAX>>,
    }

    /// Logs stand on fewer file systems than this. Of any beyond it is asked each time.
    const DEVICES_MAX: usize = 8;

    impl Births {
        /// The birth of what stands at a path.
        pub fn of_path(&self, path: &Path, device: u64) -> Birth {
            Place::of_path(path).map_or(Birth::default(), |place| self.of(&place, device))
        }

        /// Whether something is mounted at a path.
        pub fn is_mounted(path: &Path) -> bool {
            Place::of_path(path).is_some_and(|place| birth::is_mounted(&place))
        }

        /// The birth of an open file.
        pub fn of_file(&self, file: &File, device: u64) -> Birth {
            self.of(&Place::of_file(file), device)
        }

        fn of(&self, place: &Place, device: u64) -> Birth {
            let at_ns = birth::created_ns(place);
            let handle = birth::handle(place).map(|handle| {
                let mut crc = Crc32::new();
                for word in &handle {
                    crc.update(&word.to_ne_bytes());
                }
                crc.finish()
            });
            let crc_of_time = |ns: u64| Crc32::new().update(&ns.to_be_bytes()).finish();
            let born = match (self.is_lasting(place, device), handle, at_ns) {
                (true, Some(handle), _) => Born::Handle(handle),
                (true, None, Some(ns)) => Born::Time(crc_of_time(ns)),
                (false, _, Some(ns)) => Born::Faint(crc_of_time(ns)),
                (_, _, None) => Born::Unknown,
            };
            Birth { born, at_ns }
        }

        fn is_lasting(&self, place: &Place, device: u64) -> bool {
            let mut devices = self.devices.borrow_mut();
            if let Some((_, known)) = devices.iter().find(|(known, _)| *known == device) {
                return *known;
            }
            let is_lasting = birth::is_lasting(place);
            let _ = devices.push((device, is_lasting));
            is_lasting
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use super::{Birth, File, Path};

    /// This system is not asked.
    #[derive(Debug, Default)]
    pub struct Births;

    impl Births {
        /// Not known.
        pub fn of_path(&self, _path: &Path, _device: u64) -> Birth {
            Birth::default()
        }

        /// Not known.
        pub fn is_mounted(_path: &Path) -> bool {
            false
        }

        /// Not known.
        pub fn of_file(&self, _file: &File, _device: u64) -> Birth {
            Birth::default()
        }
    }
}

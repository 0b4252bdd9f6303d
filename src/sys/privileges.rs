//! The privileges of root, given up for good. User names come from /etc/passwd by hand: a static
//! binary has no other way.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::{cvt, error_saying, files, platform};

/// Becomes `user` for good, without any other group than its own, in whichever groups this process
/// was started.
///
/// `user` is a name from /etc/passwd, a `uid`, or `uid:gid`. A uid alone takes its group from
/// /etc/passwd too, or is its own group if it does not stand there. An error may leave the process
/// half way: end it. To be called before there is a second thread, which would keep its rights.
pub fn drop_privileges(user: &str) -> io::Result<()> {
    let passwd = files::open(Path::new(PASSWD), libc::O_RDONLY)
        .and_then(|file| files::read_small(&file, usize::MAX));
    let passwd = passwd.unwrap_or_default();
    let wanted = find_user(user, &passwd).ok_or_else(|| unknown(user))?;
    // Started as this user already, by a service manager, say, it has no right to change anything.
    if Ids::of_this_process() == Some(wanted) && !has_other_groups(wanted.gid) {
        return Ok(());
    }
    platform::leave_groups().map_err(|error| error_saying(error.kind(), KEPT_GROUPS))?;
    platform::set_gid(wanted.gid)?;
    platform::set_uid(wanted.uid)?;
    verify(wanted)
}

const KEPT_GROUPS: &str = "only root can leave the groups that this process is in; start it as root, or without -u if it is to keep them";

/// Whether this process is in another group than `own`; where that cannot be told it may be.
fn has_other_groups(own: u32) -> bool {
    // `NGROUPS_MAX` of the kernel is far more; who is in so many has others.
    let mut groups = [0; 64];
    // SAFETY: the list has the room that is told, and outlives the call.
    let count = cvt(unsafe { libc::getgroups(groups.len() as _, groups.as_mut_ptr()) });
    let count = count.ok().and_then(|count| usize::try_from(count).ok());
    let groups = count.and_then(|count| groups.get(..count));
    groups.is_none_or(|groups| groups.iter().any(|group| *group != own))
}

const PASSWD: &str = "/etc/passwd";

/// A user and its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ids {
    uid: u32,
    gid: u32,
}

impl Ids {
    /// `None` if the real and the effective ones differ.
    fn of_this_process() -> Option<Ids> {
        // SAFETY: the four take and touch nothing and never fail.
        let (uid, euid, gid, egid) = unsafe {
            (
                libc::getuid(),
                libc::geteuid(),
                libc::getgid(),
                libc::getegid(),
            )
        };
        (uid == euid && gid == egid).then_some(Ids { uid, gid })
    }
}

fn verify(wanted: Ids) -> io::Result<()> {
    let back_to_root = wanted.uid != 0 && platform::set_uid(0).is_ok();
    if back_to_root || Ids::of_this_process() != Some(wanted) {
        let text = "the system did not take root's rights away";
        return Err(error_saying(ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

fn unknown(user: &str) -> io::Error {
    let text = format!("no user \"{}\" in {PASSWD}", user.as_bytes().escape_ascii());
    error_saying(ErrorKind::NotFound, text)
}

/// Finds `user` in the text of a passwd file, lines of `NAME:PASSWORD:UID:GID:...`; or takes it as
/// numbers.
fn find_user(user: &str, passwd: &[u8]) -> Option<Ids> {
    if let Some((uid, gid)) = user.split_once(':') {
        return Some(Ids {
            uid: parse_id(uid.as_bytes())?,
            gid: parse_id(gid.as_bytes())?,
        });
    }
    let users = || passwd.split(|byte| *byte == b'\n').filter_map(parse_line);
    if let Some((_, ids)) = users().find(|(name, _)| *name == user.as_bytes()) {
        return Some(ids);
    }
    let uid = parse_id(user.as_bytes())?;
    let listed = users().find(|(_, ids)| ids.uid == uid);
    Some(listed.map_or(Ids { uid, gid: uid }, |(_, ids)| ids))
}

/// The name and the numbers of one line; `None` for comments, references to elsewhere and broken
/// lines.
fn parse_line(line: &[u8]) -> Option<(&[u8], Ids)> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let _password = fields.next()?;
    let uid = parse_id(fields.next()?)?;
    let gid = parse_id(fields.next()?)?;
    Some((name, Ids { uid, gid }))
}

/// A decimal number. The highest one means "leave it as it is" to the system and is nobody's.
fn parse_id(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::in_child;

    const SAMPLE: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        # a comment:x:1:1\n\
        broken:x:12\n\
        huge:x:4294967295:5::/:\n\
        +::::::\n\
        :x:7:7::/:\n\
        logs:*:514:4:logs:/var/empty:/bin/false\n\
        99:x:1000:1001::/:\n\
        last:x:600:601";

    fn found(user: &str) -> Option<(u32, u32)> {
        find_user(user, SAMPLE).map(|ids| (ids.uid, ids.gid))
    }

    #[test]
    fn names_are_looked_up() {
        assert_eq!(found("root"), Some((0, 0)));
        assert_eq!(found("logs"), Some((514, 4)));
        assert_eq!(found("last"), Some((600, 601)));
        assert_eq!(
            found("99"),
            Some((1000, 1001)),
            "a name goes before a number"
        );
    }

    #[test]
    fn numbers_need_no_entry() {
        assert_eq!(found("514"), Some((514, 4)));
        assert_eq!(found("7777"), Some((7777, 7777)));
        assert_eq!(found("12:34"), Some((12, 34)));
    }

    #[test]
    fn everything_else_is_nobody() {
        let users = [
            "",
            ":",
            "12:",
            ":12",
            "log",
            "LOGS",
            "broken",
            "huge",
            "+",
            "-1",
            "+1",
            "4294967295",
            "1:2:3",
        ];
        for user in users {
            assert_eq!(found(user), None, "{user:?}");
        }
    }

    #[test]
    fn any_bytes_can_stand_in_the_file() {
        arbtest::arbtest(|u| {
            let passwd: Vec<u8> = u.arbitrary()?;
            let user: String = u.arbitrary()?;
            if let Some(ids) = find_user(&user, &passwd) {
                assert!(ids.uid != u32::MAX && ids.gid != u32::MAX);
            }
            Ok(())
        })
        .budget_ms(100);
    }

    #[test]
    fn an_unknown_user_is_named_in_the_message() {
        let error = drop_privileges("no such\nuser").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no user \"no such\\nuser\" in /etc/passwd"
        );
    }

    /// Whether this process is in no other group than that of user 65533, once it is that user.
    fn is_alone_as(start: Ids, groups: &[u32], user: &str) -> io::Result<bool> {
        // SAFETY: the list outlives the call, which is told its length.
        cvt(unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) }).unwrap();
        // SAFETY: takes a number.
        cvt(unsafe { libc::setgid(start.gid) }).unwrap();
        // SAFETY: takes a number.
        cvt(unsafe { libc::setuid(start.uid) }).unwrap();
        drop_privileges(user)?;
        // SAFETY: with a length of 0 it only counts.
        Ok(unsafe { libc::getgroups(0, std::ptr::null_mut()) } == 0 || groups == [start.gid])
    }

    #[test]
    fn no_other_group_is_kept_by_whoever_is_that_user_already() {
        let (root, other) = (
            Ids { uid: 0, gid: 0 },
            Ids {
                uid: 65533,
                gid: 65532,
            },
        );
        if Ids::of_this_process() != Some(root) {
            println!("skipped: root alone can be in other groups at will");
            return;
        }
        let alone = |start, groups: &'static [u32], user: &'static str| {
            let child = in_child(move || match is_alone_as(start, groups, user) {
                Ok(is_alone) => 2 + u8::from(is_alone),
                Err(error) => 4 + u8::from(error.to_string() == KEPT_GROUPS),
            });
            child.wait()
        };
        assert_eq!(alone(root, &[4, 42], "0:0"), 3);
        assert_eq!(alone(root, &[4, 42], "65533:65532"), 3);
        assert_eq!(alone(other, &[], "65533:65532"), 3);
        assert_eq!(alone(other, &[65532], "65533:65532"), 3, "its own");
        assert_eq!(alone(other, &[4], "65533:65532"), 5, "told");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_privilege_comes_back_with_a_program() {
        let child = in_child(|| {
            let is_root = Ids::of_this_process() == Some(Ids { uid: 0, gid: 0 });
            crate::sys::process::empty_bounding_set();
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let set = status.lines().find(|line| line.starts_with("CapBnd:"));
            let is_empty = set.unwrap().ends_with("0000000000000000");
            u8::from(is_empty || !is_root)
        });
        assert_eq!(child.wait(), 1);
    }

    #[test]
    fn rights_that_are_gone_stay_gone() {
        let child = in_child(|| {
            let was_root = Ids::of_this_process() == Some(Ids { uid: 0, gid: 0 });
            // SAFETY: one group, in an array that outlives the call.
            let _ = cvt(unsafe { libc::setgroups(1, [4].as_ptr()) });
            let dropped = drop_privileges("65533:65532");
            // SAFETY: with a length of 0 it only counts.
            let groups = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
            let is_there = Ids::of_this_process()
                == Some(Ids {
                    uid: 65533,
                    gid: 65532,
                });
            let right = if was_root {
                dropped.is_ok() && is_there && groups == 0 && drop_privileges("0:0").is_err()
            } else {
                dropped.is_err()
            };
            u8::from(right && drop_privileges("65533:65532").is_ok() == was_root)
        });
        assert_eq!(child.wait(), 1);
    }
}

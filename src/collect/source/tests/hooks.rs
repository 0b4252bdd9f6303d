//! What the operator's program is to hear, and what it does to the copies that it is told of.

use std::path::Path;

use super::*;
use crate::collect::copy::{HookKind, Syncs};
use crate::store::Kind;
use crate::wire::md5::Md5;

const COPY: &str = "/l/m.20261122132956";
const UNVERIFIED: &str = "/p/m.unverified";

fn md5(bytes: &[u8]) -> Option<[u8; 16]> {
    Some(Md5::new().update(bytes).finish())
}

impl Rig {
    /// One that hears of everything.
    fn hearing() -> Rig {
        let mut rig = Rig::offering();
        rig.hooks = Some(HookNews::default());
        rig
    }

    /// It is given a generation, and the next one.
    fn given(&mut self, bytes: &[u8], md5: Option<[u8; 16]>) {
        self.connect();
        let size = bytes.len() as u64;
        let answer = format!("O 7 v2 at=0 size={size} m=1 b=00000001\n");
        self.receive(answer.as_bytes());
        self.receive(&data_frame(0, bytes));
        self.end(7, size, md5);
    }

    fn heard(&mut self) -> Vec<(HookKind, Option<u64>, String)> {
        let list = self.with(|source, cx| source.waiting_hooks(cx)).unwrap();
        let list = list.iter();
        list.map(|event| (event.kind, event.bytes, event.md5_text()))
            .collect()
    }
}

#[test]
fn what_happens_to_a_generation_stands_on_the_list_until_it_was_handed_over() {
    let mut rig = Rig::hearing();
    rig.given(b"abc", md5(b"abc"));
    rig.work();
    let text = "900150983cd24fb0d6963f7d28e17f72".to_owned();
    let rotated = (HookKind::Rotated, Some(3), String::new());
    let verified = (HookKind::Verified, Some(3), text);
    assert_eq!(rig.heard(), [rotated, verified.clone()]);
    assert!(!rig.disk.exists(UNVERIFIED));
    rig.restart();
    rig.wait();
    let list = rig.with(|source, cx| source.waiting_hooks(cx)).unwrap();
    assert_eq!(list[0].path(Path::new("/l/m")).unwrap(), Path::new(COPY));
    assert!(rig.hooks.as_ref().unwrap().is_new.take());
    assert!(
        rig.with(|source, cx| source.remove_hook(&list[0], cx))
            .unwrap()
    );
    assert_eq!(rig.heard(), [verified]);
}

#[test]
fn a_copy_stays_on_the_other_list_until_what_is_to_be_heard_is_durable() {
    let mut rig = Rig::hearing();
    rig.source.share_barriers();
    rig.given(b"abc", md5(b"abc"));
    rig.change_with_barriers();
    rig.work();
    assert!(rig.source.owes_hooks() && rig.disk.exists(UNVERIFIED));
    rig.with(|source, cx| source.settle_hooks(Syncs::Barrier, cx));
    assert!(!rig.source.owes_hooks() && rig.source.owes_record());
    rig.with(|source, cx| source.put_unwritten_on_record(cx));
    assert!(!rig.source.owes_record() && !rig.disk.exists(UNVERIFIED));
    assert_eq!(rig.heard().len(), 2);
}

#[test]
fn where_the_list_cannot_be_written_the_copy_is_compared_once_more() {
    let mut rig = Rig::hearing();
    rig.given(b"abc", md5(b"abc"));
    rig.disk.remove("/p/m.hooks");
    rig.disk.put_other("/p/m.hooks", Kind::Directory);
    rig.work();
    assert!(rig.said().iter().any(|text| text.contains("m.hooks")));
    assert!(rig.disk.exists(UNVERIFIED));
    rig.disk.remove("/p/m.hooks");
    rig.restart();
    rig.wait();
    rig.work();
    assert_eq!(rig.heard().len(), 1);
    assert!(!rig.disk.exists(UNVERIFIED));
}

#[test]
fn a_copy_that_is_moved_away_before_it_was_verified_is_no_loss() {
    let mut rig = Rig::hearing();
    rig.given(b"abc", md5(b"abc"));
    rig.disk.remove(COPY);
    rig.said();
    rig.work();
    let said = rig.said();
    let text = format!("not verified {COPY}: somebody has moved it away");
    assert_eq!(said, [text]);
    assert!(!rig.source.in_error());
    assert!(!rig.disk.exists("/l/m.gaps") && !rig.disk.exists(UNVERIFIED));
}

#[test]
fn a_copy_that_is_gone_with_its_disk_is_not_as_it_should_be() {
    let mut rig = Rig::hearing();
    rig.given(b"abc", md5(b"abc"));
    rig.disk.remove(COPY);
    rig.disk.remove("/l/m");
    rig.work();
    assert!(rig.source.in_error());
    let heard = rig.heard();
    assert_eq!(heard.last().unwrap().0, HookKind::Differs);
}

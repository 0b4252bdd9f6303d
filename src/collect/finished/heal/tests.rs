use super::*;
use crate::ids::Inode;
use crate::inside::fake::Fake;
use crate::wire::frame::Frame;

#[test]
fn a_sign_of_life_is_no_answer_and_no_fault() {
    let mut disk = Fake::new();
    let mut heal = Heal::new(Finished {
        path: "/l/m.1".into(),
        inode: Inode(7),
        size: 10,
        md5: None,
        by_content: false,
        classic: false,
    });
    let alive = Frame::Alive { size: 10 }.to_bytes();
    let (mut receiver, mut rest) = (Receiver::new(), &alive[..]);
    while !rest.is_empty() {
        let taken = heal.take(&mut receiver, rest, &mut disk).unwrap();
        rest = &rest[taken..];
    }
    assert!(heal.question().is_some() && !heal.is_answered());
}

#[test]
fn what_a_copy_was_gets_one_name_however_often_that_is_interrupted() {
    let mut disk = Fake::new();
    let path = Path::new("/l/m.1");
    disk.write("/l/m.1", b"bad");
    disk.write("/l/m.1.damaged", b"older");
    for _ in 0..2 {
        let name = second_name(&mut disk, path).unwrap();
        assert_eq!(name, Path::new("/l/m.1.damaged.1"));
    }
    assert_eq!(disk.names().len(), 3);
}

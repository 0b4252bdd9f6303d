use super::*;

#[test]
fn the_place_for_a_transform_takes_no_room() {
    assert_eq!(size_of::<Plain>(), 0);
    assert!(size_of::<Connection>() <= 2 * size_of::<TcpStream>());
}

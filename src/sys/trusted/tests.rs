use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use super::*;
use crate::sys::testing::make_fifo;

const OTHER: u32 = 65_533;
const THIRD: u32 = 65_532;

/// A directory `top` with `dir/log`, and beside it `root/log`, which is nobody else's business. The
/// way to it leads through the link `way`, so that every name behind that is looked at by itself.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene {
            dir: tempfile::tempdir().unwrap(),
        };
        for dir in ["top", "top/dir", "root"] {
            fs::create_dir(scene.dir.path().join(dir)).unwrap();
        }
        symlink("top", scene.dir.path().join("way")).unwrap();
        fs::write(scene.at("dir/log"), "a line\n").unwrap();
        fs::write(scene.at("../root/log"), "secret\n").unwrap();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("way").join(name)
    }

    fn link(&self, target: impl AsRef<Path>, name: &str, owner: u32) {
        symlink(target, self.at(name)).unwrap();
        lchown(self.at(name), Some(owner), Some(owner)).unwrap();
    }

    fn give(&self, name: &str, owner: u32, mode: u32) {
        fs::set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
        chown(self.at(name), Some(owner), Some(owner)).unwrap();
    }
}

/// What others own can be made by root alone.
fn is_root() -> bool {
    let is_root = tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0;
    if !is_root {
        println!("skipped: root alone can give files to others");
    }
    is_root
}

fn text(opened: io::Result<File>) -> String {
    let mut text = String::new();
    opened.unwrap().read_to_string(&mut text).unwrap();
    text
}

fn why<T>(result: io::Result<T>) -> Option<Untrusted> {
    let error = result.map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::PermissionDenied || Untrusted::of(&error).is_none());
    Untrusted::of(&error).cloned()
}

#[test]
fn our_links_are_followed_wherever_they_stand() {
    let scene = Scene::new();
    symlink("dir", scene.at("relative")).unwrap();
    symlink(scene.at("relative"), scene.at("absolute")).unwrap();
    symlink("../top/./absolute//", scene.at("winding")).unwrap();
    symlink("/", scene.at("slash")).unwrap();
    let round = scene.at("slash").display().to_string() + scene.at("winding").to_str().unwrap();
    for dir in [
        "dir",
        "relative",
        "absolute",
        "winding",
        "dir/../winding",
        &round,
    ] {
        let dir = scene.at(dir);
        assert_eq!(
            text(open(&dir.join("log"))),
            "a line\n",
            "{}",
            dir.display()
        );
        assert!(open_dir(&dir).unwrap().metadata().unwrap().is_dir());
        assert!(
            Place::of(&dir.join("log"))
                .unwrap()
                .metadata()
                .unwrap()
                .is_file()
        );
    }
    assert!(open_dir(Path::new("/")).is_ok());
    assert_eq!(
        open(&scene.at("none/log")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let no_dir = open(&scene.at("dir/log/log")).unwrap_err();
    assert_eq!(no_dir.kind(), ErrorKind::NotADirectory);
    assert_eq!(
        open_dir(&scene.at("dir/log")).unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    assert_eq!(
        open(Path::new("/a\0b")).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn a_link_that_is_turned_elsewhere_leads_there_at_once() {
    let scene = Scene::new();
    let opener = Opener::default();
    symlink("dir", scene.at("link")).unwrap();
    let path = scene.at("link/log");
    for _ in 0..3 {
        assert_eq!(text(opener.open(&path)), "a line\n");
        assert_eq!(
            opener.open(&scene.at("link/none")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
    fs::create_dir(scene.at("new")).unwrap();
    fs::write(scene.at("new/log"), "another\n").unwrap();
    fs::remove_file(scene.at("link")).unwrap();
    symlink("new", scene.at("link")).unwrap();
    assert_eq!(text(opener.open(&path)), "another\n");
    fs::remove_file(scene.at("link")).unwrap();
    assert_eq!(opener.open(&path).unwrap_err().kind(), ErrorKind::NotFound);
    fs::create_dir(scene.at("link")).unwrap();
    fs::write(scene.at("link/log"), "no link\n").unwrap();
    assert_eq!(text(opener.open(&path)), "no link\n");
    if is_root() {
        fs::rename(scene.at("link"), scene.at("kept")).unwrap();
        scene.link("../root", "link", OTHER);
        assert!(matches!(
            why(opener.open(&path)),
            Some(Untrusted::Link(_, OTHER))
        ));
        lchown(scene.at("link"), Some(0), None).unwrap();
        assert_eq!(text(opener.open(&path)), "secret\n");
        lchown(scene.at("link"), Some(OTHER), None).unwrap();
        fs::remove_file(scene.at("../root/log")).unwrap();
        assert!(opener.open(&path).is_err());
    }
}

#[test]
fn a_link_in_the_last_place_is_refused_and_nothing_is_waited_for() {
    let scene = Scene::new();
    symlink("log", scene.at("dir/link")).unwrap();
    make_fifo(&scene.at("dir/fifo"));
    let errno = open(&scene.at("dir/link")).unwrap_err().raw_os_error();
    assert!(matches!(errno, Some(libc::ELOOP | libc::EMLINK)));
    assert!(open(&scene.at("dir/fifo")).is_ok());
    let fifo = Place::of(&scene.at("dir/fifo")).unwrap();
    assert!(fifo.open_write().is_err(), "nobody reads there");
}

#[test]
fn links_in_a_circle_are_an_error() {
    let scene = Scene::new();
    symlink("there", scene.at("here")).unwrap();
    symlink("here", scene.at("there")).unwrap();
    assert!(open(&scene.at("here/log")).is_err());
    assert!(open_dir(&scene.at("there")).is_err());
}

#[test]
fn a_link_of_somebody_else_is_refused_at_any_depth() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let root = fs::canonicalize(scene.at("../root")).unwrap();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/b/log"), "secret\n").unwrap();
    scene.link(&root, "last", OTHER);
    scene.link("../root", "relative", OTHER);
    // Ours, and yet it leads through one that is not.
    symlink("last", scene.at("ours")).unwrap();
    for (path, link) in [
        ("last/log", "last"),
        ("last/a/b/log", "last"),
        ("relative/a/b/log", "relative"),
        ("dir/../relative/log", "dir/../relative"),
        ("ours/log", "last"),
    ] {
        let path = scene.at(path);
        let expected = Some(Untrusted::Link(scene.at(link), OTHER));
        // Behind the link `way` the place is known as the directory that it leads to.
        let shown = |why: Option<Untrusted>| match why {
            Some(Untrusted::Link(path, uid)) => {
                let tail = path.strip_prefix(scene.dir.path()).unwrap();
                let tail = tail.strip_prefix("top").unwrap();
                Some(Untrusted::Link(scene.at(tail.to_str().unwrap()), uid))
            }
            other => other,
        };
        assert_eq!(shown(why(open(&path))), expected, "{}", path.display());
        assert_eq!(shown(why(open_dir(path.parent().unwrap()))), expected);
        assert_eq!(shown(why(Place::of(&path))), expected);
    }
    lchown(scene.at("last"), Some(0), Some(0)).unwrap();
    assert_eq!(text(open(&scene.at("ours/a/b/log"))), "secret\n");
}

#[test]
fn a_link_that_was_planted_under_a_second_name_is_refused() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    symlink("../../root", scene.at("dir/link")).unwrap();
    fs::create_dir(scene.at("others")).unwrap();
    scene.give("others", OTHER, 0o755);
    fs::hard_link(scene.at("dir/link"), scene.at("others/link")).unwrap();
    assert_eq!(text(open(&scene.at("dir/link/log"))), "secret\n");
    assert!(matches!(
        why(open(&scene.at("others/link/log"))),
        Some(Untrusted::Link(_, 0))
    ));
}

#[test]
fn a_second_name_is_refused_where_others_may_have_made_it() {
    if !is_root() {
        return;
    }
    for (dir_owner, mode, owner, is_refused) in [
        (0, 0o755, 0, false),
        (0, 0o700, OTHER, false),
        (0, 0o775, OTHER, true),
        (0, 0o775, 0, true),
        (OTHER, 0o755, OTHER, false),
        (OTHER, 0o775, OTHER, false),
        (OTHER, 0o700, 0, true),
        (OTHER, 0o700, THIRD, true),
        (0, 0o1777, 0, true),
        (0, 0o1777, OTHER, true),
        (0, 0o757, OTHER, true),
    ] {
        let scene = Scene::new();
        scene.give("dir/log", owner, 0o600);
        fs::hard_link(scene.at("dir/log"), scene.at("elsewhere")).unwrap();
        scene.give("dir", dir_owner, mode);
        let case = format!("{dir_owner} {mode:o} {owner}");
        let place = Place::of(&scene.at("dir/log")).unwrap();
        for opened in [
            open(&scene.at("dir/log")),
            place.open_append(),
            place.open_write(),
        ] {
            match is_refused {
                true => assert!(
                    matches!(why(opened), Some(Untrusted::SecondName(_))),
                    "{case}"
                ),
                false => drop(opened.unwrap_or_else(|error| panic!("{case}: {error}"))),
            }
        }
        // With one name it is whoever's it may be.
        fs::remove_file(scene.at("elsewhere")).unwrap();
        assert_eq!(text(open(&scene.at("dir/log"))), "a line\n", "{case}");
    }
}

#[test]
fn a_group_that_is_not_the_files_is_somebody_else() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    fs::hard_link(scene.at("dir/log"), scene.at("elsewhere")).unwrap();
    scene.give("dir", 0, 0o770);
    chown(scene.at("dir"), None, Some(OTHER)).unwrap();
    assert!(matches!(
        why(open(&scene.at("dir/log"))),
        Some(Untrusted::SecondName(_))
    ));
    chown(scene.at("elsewhere"), None, Some(OTHER)).unwrap();
    assert!(open(&scene.at("dir/log")).is_ok());
}

#[test]
fn whoever_swaps_directories_gets_nothing_of_ours() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    scene.link("../root", "evil", OTHER);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    let opener = Opener::default();
    let (mut good, mut bad) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(relaxed) {
                fs::rename(scene.at("dir"), scene.at("kept")).unwrap();
                fs::rename(scene.at("evil"), scene.at("dir")).unwrap();
                fs::rename(scene.at("dir"), scene.at("evil")).unwrap();
                fs::rename(scene.at("kept"), scene.at("dir")).unwrap();
            }
        });
        for _ in 0..4_000 {
            match opener.open(&scene.at("dir/log")) {
                Ok(file) => {
                    assert_eq!(text(Ok(file)), "a line\n");
                    good += 1;
                }
                Err(_) => bad += 1,
            }
        }
        is_over.store(true, relaxed);
    });
    assert!(good + bad == 4_000);
}

#[test]
fn a_place_stays_where_it_is() {
    let scene = Scene::new();
    let place = Place::of(&scene.at("dir/new")).unwrap();
    fs::rename(scene.at("dir"), scene.at("moved")).unwrap();
    symlink("../root", scene.at("dir")).unwrap();
    place.create_new(0o600).unwrap().write_all(b"x").unwrap();
    assert!(scene.at("moved/new").exists() && !scene.at("dir/new").exists());
    place.unlink().unwrap();
    assert!(!scene.at("moved/new").exists());
}

#[test]
fn scratch_replaces_whatever_has_its_name() {
    let scene = Scene::new();
    let path = scene.at("dir/scratch");
    let place = Place::of(&path).unwrap();
    let plant: [&dyn Fn(); 5] = [
        &|| drop(File::create(&path).unwrap()),
        &|| symlink("log", &path).unwrap(),
        &|| symlink("nowhere", &path).unwrap(),
        &|| make_fifo(&path),
        &|| fs::hard_link(scene.at("dir/log"), &path).unwrap(),
    ];
    for plant in plant {
        plant();
        place
            .create_scratch(0o600)
            .unwrap()
            .write_all(b"new")
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read(scene.at("dir/log")).unwrap(), b"a line\n");
        assert!(!scene.at("dir/nowhere").exists());
        fs::remove_file(&path).unwrap();
    }
    fs::create_dir(&path).unwrap();
    assert!(place.create_scratch(0o600).is_err());
}

#[test]
fn a_rename_overwrites_nothing() {
    let scene = Scene::new();
    let place = |name: &str| Place::of(&scene.at(name)).unwrap();
    let (a, b, c) = (place("dir/log"), place("b"), place("c"));
    fs::write(scene.at("b"), "b").unwrap();
    let taken = a.rename_new(&b).unwrap_err();
    if taken.kind() == ErrorKind::Unsupported {
        return;
    }
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    a.rename_new(&c).unwrap();
    assert_eq!(fs::read(scene.at("c")).unwrap(), b"a line\n");
    assert_eq!(a.rename_new(&c).unwrap_err().kind(), ErrorKind::NotFound);
    c.link(&a).unwrap();
    assert_eq!(c.link(&b).unwrap_err().kind(), ErrorKind::AlreadyExists);
    c.rename(&b).unwrap();
    assert_eq!(fs::read(scene.at("b")).unwrap(), b"a line\n");
    assert!(Place::of(Path::new("a\0b")).is_err());
    assert!(Place::of(Path::new("/")).is_err());
}

#[test]
fn directories_are_made_only_where_the_way_is_trusted() {
    let scene = Scene::new();
    make_dirs(&scene.at("one/two/three"), 0o777).unwrap();
    make_dirs(&scene.at("one/two/three"), 0o777).unwrap();
    assert!(scene.at("one/two/three").is_dir());
    assert!(make_dirs(&scene.at("dir/log/none"), 0o777).is_err());
    if is_root() {
        scene.link("../root", "evil", OTHER);
        assert!(why(make_dirs(&scene.at("evil/new/er"), 0o777)).is_some());
        assert!(!scene.at("../root/new").exists());
    }
}

#[test]
fn what_is_refused_is_told_with_a_way_out() {
    let link = Untrusted::Link("/app/site".into(), 33).to_string();
    assert!(link.starts_with("/app/site is a link of user 33") && link.contains("chown -h root"));
    let second = Untrusted::SecondName("/app/log".into()).to_string();
    assert!(second.starts_with("/app/log has a second name"));
}

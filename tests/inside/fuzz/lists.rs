//! What boxes tell of their logs: the machine that asks, and the filter that each name passes.

use std::path::{Component, Path};

use super::script::Script;
use crate::collect::config::Config;
use crate::collect::config::family::FamilyConfig;
use crate::collect::family::{Family, Waits};
use crate::limits::{LOCAL_NAME_MAX_LEN, MEMBERS_MAX};
use crate::random::Random;
use crate::time::Mono;
use crate::wire::frame::Frame;
use crate::wire::frame::log::Log;
use crate::wire::glob;

const WAITS: Waits = Waits {
    retry_ms: 100,
    wait_ms: 1_000,
    idle_ms: 5_000,
};

/// A glob, and what a box tells: names in sound frames, or any bytes.
pub fn lists(input: &[u8]) {
    let mut script = Script::new(input);
    let configs = configs();
    let config = &configs[script.below(configs.len())];
    let (mut random, now) = (Random::new(1), Mono::from_ms(1_000));
    let mut family = Family::new(now);
    family.handle_timeout(WAITS, now, &mut random);
    family.handle_connected(&config.asked(), WAITS, now);
    let len = family.output().len();
    family.consume_output(len, WAITS, now);
    family.handle_input(
        b"O 1 v2 at=0 size=0 m=0 b=00000000\n",
        WAITS,
        now,
        &mut random,
    );
    for _ in 0..200 {
        let mut bytes = Vec::new();
        match script.below(5) {
            0 => bytes.extend_from_slice(script.bytes()),
            1 => Log::Begin.append_to(&mut bytes),
            2 => bytes.extend_from_slice(&Frame::Alive { size: 0 }.to_bytes()),
            _ => Log::Path(script.bytes()).append_to(&mut bytes),
        }
        family.handle_input(&bytes, WAITS, now, &mut random);
        let Some(logs) = family.has_news().then(|| family.take_logs()) else {
            continue;
        };
        assert!(logs.paths.len() <= MEMBERS_MAX);
        assert!(logs.paths.is_sorted_by(|a, b| a < b));
        logs.paths.iter().for_each(|path| check(config, path));
    }
}

fn configs() -> Vec<FamilyConfig> {
    let text = |template: &str| {
        let globs = ["/v/*", "/v/*/m", "/*/[!a]?*", "/v/.*"];
        let lines = globs.map(|glob| format!("10.0.0.1 {glob}\n"));
        format!("copies {template}\n{}", lines.concat())
    };
    let read = |template| Config::parse(text(template).as_bytes()).unwrap().families;
    ["/l/%h/%f", "/l/%h/%p"]
        .into_iter()
        .flat_map(read)
        .collect()
}

/// Whatever a box says, a copy is below its own directory, and none of the files beside others.
fn check(config: &FamilyConfig, path: &[u8]) {
    let Ok(member) = config.member(path) else {
        return;
    };
    assert!(glob::finds(&config.source.remote, path));
    assert_eq!(*member.remote, *path);
    let inner = member.local.strip_prefix("/l/10.0.0.1").unwrap();
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(name) => name.len() <= LOCAL_NAME_MAX_LEN,
        _ => false,
    };
    assert!(inner.components().count() >= 1 && inner.components().all(is_plain));
    let name = Path::new(inner.file_name().unwrap())
        .to_str()
        .unwrap_or("x");
    let is_own = [
        ".gaps",
        ".kept",
        ".damaged",
        ".healing",
        ".inflating",
        ".pointer",
    ];
    assert!(!name.starts_with('.') && !is_own.iter().any(|ending| name.ends_with(ending)));
    assert!(!path.iter().any(u8::is_ascii_control));
}

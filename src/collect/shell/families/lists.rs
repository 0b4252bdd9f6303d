//! What boxes tell of their logs: which sources come with it, and which go.

use super::claims::{Claims, Taken};
use super::pace::Pace;
use super::{Leaving, name_of};
use crate::collect::config::SourceConfig;
use crate::collect::config::family::{FamilyConfig, Odd};
use crate::collect::copy::directory_of;
use crate::collect::error::Shortage;
use crate::collect::family::Logs;
use crate::collect::shell::apply::descriptors_for;
use crate::collect::shell::hooks::HookRuns;
use crate::collect::shell::slot::Slot;
use crate::collect::shell::{Collector, conf};
use crate::collect::source::shortage_of;
use crate::collect::view::summary::Count;
use crate::limits::{
    LEAVE_MS, LEAVE_UNVERIFIED_MS, LIST_EACH_MS, MEMBERS_MAX, ROOM_LOOK_MS, ROOM_OF_FILE_LEN,
};
use crate::store::WriteStore;
use crate::sys;
use crate::time::Mono;
use crate::wire::escape::{Escaped, OneLine};

impl Collector {
    /// A box has told all its logs.
    pub(super) fn take_list(&mut self, index: u32, logs: &Logs) {
        if index as usize >= self.families.len() {
            return;
        }
        // It comes back to its place at the end.
        let mut slot = self.families.swap_remove(index as usize);
        let is_told = |list: &[Box<[u8]>], path: &[u8]| {
            list.binary_search_by(|known| (**known).cmp(path)).is_ok()
        };
        slot.leaving
            .retain(|leaving| !is_told(&logs.paths, &leaving.path));
        slot.refused.retain(|path| is_told(&logs.paths, path));
        let now = self.now.mono;
        let mut is_cut = logs.is_cut;
        slot.more_at = None;
        let lacked = std::mem::take(&mut slot.lacking);
        // What is not in a full list that was cut may be there all the same.
        if !is_cut || logs.paths.len() < MEMBERS_MAX {
            for path in &slot.members {
                let is_leaving = slot.leaving.iter().any(|leaving| leaving.path == *path);
                if !is_told(&logs.paths, path) && !is_leaving {
                    slot.leaving.push(Leaving {
                        path: path.clone(),
                        since: now,
                        at: now.plus_ms(LEAVE_MS),
                    });
                }
            }
        }
        let paths = logs.paths.iter().map(|path| &**path);
        let new: Vec<&[u8]> = paths.filter(|path| !is_told(&slot.members, path)).collect();
        let mut added = Vec::new();
        let short = match new.is_empty() {
            true => None,
            false => self.shortage_for(&slot.config.source, new.len()),
        };
        if let Some(short) = &short {
            slot.more_at = Some(now.plus_ms(ROOM_LOOK_MS));
            slot.lacking = format!("{short}; the logs that came are followed when there is room");
        } else if !new.is_empty() {
            let slots = self.slots.iter().flatten();
            let mut claims = Claims::of(slots.map(Slot::config));
            for path in new {
                if slot.members.len() + added.len() >= MEMBERS_MAX {
                    // There is room again when those that are gone have left.
                    is_cut |= slot.leaving.is_empty();
                    slot.more_at = Some(now.plus_ms(LEAVE_MS)).filter(|_| !is_cut);
                    break;
                }
                let known = |list: &[Box<[u8]>]| list.binary_search_by(|it| (**it).cmp(path));
                match source_for(&slot.config, path, &mut claims) {
                    Ok(source) if slot.pace.take(now).is_some() => {
                        conf::make_dir_of(&source, &mut |what| self.journal.complain(&what));
                        added.push(source);
                    }
                    Ok(_) => {
                        slot.more_at = Some(slot.pace.next());
                        break;
                    }
                    Err(NoSource::OwnLine) => {}
                    Err(NoSource::Refused { why, is_lacking }) => {
                        let (name, shown) = (name_of(&slot.config), Escaped(path));
                        let what = format!("the box tells of {shown}: it is refused: {why}");
                        if let Err(at) = known(&slot.refused) {
                            slot.refused.insert(at, path.into());
                            self.tell(&mut slot.telling, &format!("{name}: {what}"));
                        }
                        if is_lacking && slot.lacking.is_empty() {
                            slot.lacking = what;
                        }
                    }
                }
            }
        }
        if is_cut {
            let what =
                format!("the box has more than {MEMBERS_MAX} logs: the others are not fetched");
            if !slot.is_cut_told {
                let name = name_of(&slot.config);
                self.tell(&mut slot.telling, &format!("{name}: {what}"));
            }
            slot.lacking = what;
        }
        slot.is_cut_told = is_cut;
        // Not all were looked at yet.
        if slot.more_at.is_some() && slot.lacking.is_empty() {
            slot.lacking.clone_from(&lacked);
        }
        if slot.lacking != lacked {
            self.shown.note_news();
        }
        for source in &added {
            if let Err(at) = slot.members.binary_search(&source.remote) {
                slot.members.insert(at, source.remote.clone());
            }
        }
        match &added[..] {
            [] => {}
            [one] => {
                let (name, path) = (name_of(&slot.config), Escaped(&one.remote));
                let what = format!("{name}: {path} is followed from now on");
                self.tell(&mut slot.moving, &what);
            }
            all => {
                let (name, count) = (name_of(&slot.config), Count(all.len(), "log"));
                let what = format!("{name}: {count} more followed from now on");
                self.tell(&mut slot.moving, &what);
            }
        }
        self.families.push(slot);
        let last = self.families.len() - 1;
        self.families.swap(index as usize, last);
        self.add_sources(added);
    }

    /// What is short where so many logs more would be followed, each with its copy and what belongs
    /// to that.
    fn shortage_for(&mut self, source: &SourceConfig, logs: usize) -> Option<Shortage> {
        // Parts of the way there are made with the first copy.
        let mut dirs = directory_of(&source.local).ancestors();
        let room = dirs.find_map(|dir| self.store.room(dir).ok())?;
        let keep = source.keep_free.of(room.total);
        let need = 2 * ROOM_OF_FILE_LEN * logs.min(MEMBERS_MAX) as u64;
        let is_short = room.total > 0 && keep > 0 && room.free < keep.saturating_add(need);
        is_short.then(|| shortage_of(room, keep))
    }

    /// Takes those for which it was too early.
    pub(super) fn let_come(&mut self, index: u32) {
        let Some(slot) = self.families.get_mut(index as usize) else {
            return;
        };
        let now = self.now.mono;
        if slot.more_at.is_some_and(|at| at <= now) {
            slot.list_at = now.plus_ms(LIST_EACH_MS);
            let logs = slot.family.take_logs();
            self.take_list(index, &logs);
        }
    }

    /// Says what a box can bring about, as often as that may be.
    fn tell(&mut self, pace: &mut Pace, what: &str) {
        match pace.take(self.now.mono) {
            Some(0) => {
                let more = "what follows of that kind is told once a minute";
                self.journal.complain(&OneLine(&format!("{what}; {more}")));
            }
            Some(_) => self.journal.complain(&OneLine(what)),
            None => {}
        }
    }

    /// Begins to follow some logs more. All others go on as they are.
    fn add_sources(&mut self, sources: Vec<SourceConfig>) {
        if sources.is_empty() {
            return;
        }
        for config in sources {
            let addresses = self.resolver.addresses_of(&config);
            let mut slot = Slot::new(config, addresses, self.now);
            slot.look_at_room_soon();
            slot.join_status(&mut self.statuses);
            let at = slot.poll_timeout(&self.options.periods);
            let free = self.slots.iter().position(Option::is_none);
            let index = free.unwrap_or(self.slots.len());
            match free {
                Some(free) => self.slots[free] = Some(slot),
                None => self.slots.push(Some(slot)),
            }
            self.deadlines.set(index as u32, at);
        }
        self.note_sources();
    }

    fn note_sources(&mut self) {
        sys::rlimit::raise_descriptor_limit(descriptors_for(
            self.slots.len() + self.families.len(),
        ));
        let states = self.slots.iter().flatten().map(Slot::state);
        self.manager.recount(states);
        self.shown.note_news();
    }

    /// Ends the sources of logs that the box has no more, once what it sent is here.
    pub(super) fn let_leave(&mut self, index: u32) {
        let now = self.now.mono;
        let Some(family) = self.families.get_mut(index as usize) else {
            return;
        };
        let due = |leaving: &Leaving| leaving.at <= now;
        if !family.leaving.iter().any(due) {
            return;
        }
        let mut is_any = false;
        for at in (0..family.leaving.len()).rev() {
            let Some(family) = self.families.get(index as usize) else {
                return;
            };
            if !due(&family.leaving[at]) {
                continue;
            }
            let Leaving { path, since, .. } = &family.leaving[at];
            let since = *since;
            let is_it = |config: &SourceConfig| {
                let own = &family.config.source;
                config.remote == *path && config.address == own.address && config.port == own.port
            };
            let place = (self.slots.iter())
                .position(|slot| slot.as_ref().is_some_and(|slot| is_it(slot.config())));
            let may_leave = place.is_none_or(|place| self.may_leave(place, since));
            let is_whole = (place.and_then(|place| self.slots[place].as_ref()))
                .is_some_and(|slot| slot.left_to_do().is_known_whole);
            let Some(family) = self.families.get_mut(index as usize) else {
                return;
            };
            if !may_leave {
                family.leaving[at].at = now.plus_ms(LEAVE_MS);
                continue;
            }
            if let Some(place) = place {
                if let Some(mut slot) = self.slots[place].take() {
                    slot.leave_status(&mut self.statuses);
                    if let Some(hooks) = &mut self.hooks {
                        hooks.forget(slot.config());
                    }
                }
                self.deadlines.set(place as u32, None);
            }
            let Leaving { path, .. } = family.leaving.swap_remove(at);
            let (name, text) = (name_of(&family.config), Escaped(&path));
            let doubt = match is_whole {
                true => "",
                false => "; whether all of it is here is not known",
            };
            let what =
                format!("{name}: {text} is gone on the box, and not followed any more{doubt}");
            family.members.retain(|member| *member != path);
            let mut moving = family.moving;
            self.tell(&mut moving, &what);
            if let Some(family) = self.families.get_mut(index as usize) {
                family.moving = moving;
            }
            is_any = true;
        }
        if is_any {
            // What was refused because of their files is not any more.
            if let Some(family) = self.families.get_mut(index as usize)
                && !family.refused.is_empty()
            {
                family.more_at = Some(now);
            }
            self.note_sources();
        }
    }

    /// Whether the source of a log that the box has no more since a moment may end: what it was
    /// sent is here, its copies are as far as they come, the operator has taken note of what was
    /// lost, and his program knows.
    fn may_leave(&mut self, place: usize, since: Mono) -> bool {
        let slot_of = |collector: &Collector| collector.slots[place].as_ref().map(Slot::left_to_do);
        let Some(left) = slot_of(self) else {
            return true;
        };
        // What was lost is an error until somebody takes note, and only a source shows it.
        if left.is_behind || left.has_losses || left.owes_record {
            return false;
        }
        if left.is_unverified {
            if since.plus_ms(LEAVE_UNVERIFIED_MS) > self.now.mono {
                return false;
            }
            // It may not even say that it does not have their files.
            self.drive(place as u32, &mut |slot, cx, _| slot.give_up_asking(cx));
        }
        let has_program = self.hooks.as_ref().is_some_and(HookRuns::has_helper);
        !has_program || slot_of(self).is_none_or(|left| !left.has_hooks)
    }
}

/// Why a log of which a box has told gets no source by a line.
enum NoSource {
    /// It has one by another line.
    OwnLine,
    /// It is refused.
    Refused {
        /// Why.
        why: String,
        /// It was asked for, so it is lacking here.
        is_lacking: bool,
    },
}

/// The source for a log of which a box has told, or why there is none.
fn source_for(
    config: &FamilyConfig,
    path: &[u8],
    claims: &mut Claims,
) -> Result<SourceConfig, NoSource> {
    let source = match config.member(path) {
        Ok(source) => source,
        // Where a line of its own fetches it, nothing is wrong with its name.
        Err(_) if claims.has_log(&config.source, path) => return Err(NoSource::OwnLine),
        Err(odd) => {
            return Err(NoSource::Refused {
                why: odd.to_string(),
                is_lacking: odd != Odd::NotAsked,
            });
        }
    };
    match claims.take(&source) {
        Ok(()) => Ok(source),
        Err(Taken::Log) => Err(NoSource::OwnLine),
        Err(Taken::File) => Err(NoSource::Refused {
            why: format!("{} is the file of another log", source.local.display()),
            is_lacking: true,
        }),
    }
}

//! What arrives, and what comes of it.

use std::io;

use super::net::{Arrival, End, Line, Pipe, Stage};
use super::site::Served;
use super::world::World;
use crate::collect::error::Closed;
use crate::serve::session::Session;
use crate::time::Mono;

const ECONNREFUSED: i32 = 111;
const ECONNRESET: i32 = 104;

impl World {
    /// Delivers what arrives at this moment.
    pub fn arrive(&mut self) -> bool {
        let numbers: Vec<u32> = self.net.conns.keys().copied().collect();
        let mut moved = false;
        for number in numbers {
            moved |= self.answer_call(number) || self.arrive_up(number) | self.arrive_down(number);
        }
        moved
    }

    fn answer_call(&mut self, number: u32) -> bool {
        let Some(conn) = self.net.conns.get_mut(&number) else {
            return false;
        };
        let link = &self.net.links[conn.site];
        match conn.stage {
            Stage::Calling(at) if at <= self.now_ms && link.line != Line::Dark => {}
            _ => return false,
        }
        if !conn.at_host {
            self.net.conns.remove(&number);
            return true;
        }
        if !link.box_up {
            conn.stage = Stage::Calling(u64::MAX);
            return true;
        }
        let (site, source) = (conn.site, conn.source);
        let mono = Mono::from_ms(self.now_ms);
        let is_refused = link.line == Line::Refused;
        let server = self.sites[site].server.as_mut().filter(|_| !is_refused);
        let Some(server) = server else {
            self.net.conns.remove(&number);
            self.set_conn(source, None);
            let refused = io::Error::from_raw_os_error(ECONNREFUSED);
            self.with_source(source, |source, cx, _| {
                source.handle_closed(Closed::NotMade(refused), cx);
            });
            return true;
        };
        conn.stage = Stage::Made;
        if server.sessions.len() < server.config.max_clients_per_ip {
            conn.at_box = true;
            server.sessions.push(Served {
                conn: number,
                session: Session::new(super::host::address_of(99), mono),
                ready: false,
            });
        } else {
            conn.down.finish(self.now_ms + link.delay_ms, End::Fin);
        }
        self.with_source(source, |source, cx, _| source.handle_connected(cx));
        true
    }

    fn arrive_up(&mut self, number: u32) -> bool {
        let Some(conn) = self.net.conns.get_mut(&number) else {
            return false;
        };
        let link = &self.net.links[conn.site];
        if !link.box_up || link.line == Line::Dark {
            return false;
        }
        let (site, at_ms) = (conn.site, self.now_ms + link.delay_ms);
        let Some(arrival) = conn.up.take(self.now_ms, link.step) else {
            return false;
        };
        if !conn.at_box {
            let is_end = matches!(arrival, Arrival::End(_));
            conn.up = Pipe::default();
            if !is_end {
                conn.down.finish(at_ms, End::Reset);
            }
            return true;
        }
        let Some(at) = self.session_of(site, number) else {
            return false;
        };
        match arrival {
            Arrival::Bytes(bytes) => {
                self.trace.bytes("asked", number, &bytes);
                let had_file = self.session_file(site, at).is_some();
                self.with_session(site, at, |session, cx, _| session.handle_input(&bytes, cx));
                // What happened between opening the file and watching it was not told.
                if !had_file && self.session_file(site, at).is_some() && self.sites[site].hints {
                    self.with_session(site, at, |session, cx, _| session.handle_hint(cx));
                }
            }
            Arrival::End(_) => {
                self.with_session(site, at, |session, _, _| session.handle_closed());
            }
        }
        true
    }

    pub fn session_of(&self, site: usize, number: u32) -> Option<usize> {
        let sessions = &self.sites[site].server.as_ref()?.sessions;
        sessions.iter().position(|served| served.conn == number)
    }

    fn session_file(&self, site: usize, at: usize) -> Option<u32> {
        let server = self.sites[site].server.as_ref()?;
        server.sessions.get(at)?.session.file()
    }

    fn arrive_down(&mut self, number: u32) -> bool {
        let Some(conn) = self.net.conns.get_mut(&number) else {
            return false;
        };
        let (site, source) = (conn.site, conn.source);
        let link = &mut self.net.links[site];
        if link.line == Line::Dark || !self.net.host_up {
            let is_given_up = conn.at_box && conn.down.is_given_up(self.now_ms);
            if is_given_up && let Some(at) = self.session_of(site, number) {
                self.with_session(site, at, |session, _, _| session.handle_closed());
                return true;
            }
            return false;
        }
        if conn.at_host && self.host.is_changing(source) {
            return false;
        }
        let most = link.step.min(link.cut_after.unwrap_or(usize::MAX));
        let Some(arrival) = conn.down.take(self.now_ms, most) else {
            return false;
        };
        if !conn.at_host {
            conn.down.drop_all();
            conn.up.finish(self.now_ms + link.delay_ms, End::Reset);
            if !conn.at_box {
                self.net.conns.remove(&number);
            }
            return true;
        }
        match arrival {
            Arrival::Bytes(mut bytes) => {
                self.trace.bytes("brought", number, &bytes);
                if let Some(left) = &mut link.cut_after {
                    *left -= bytes.len().min(*left);
                    if *left == 0 {
                        link.cut_after = None;
                        conn.down.finish(self.now_ms, End::Reset);
                        conn.up.finish(self.now_ms, End::Reset);
                    }
                }
                self.room_again(site, number);
                self.with_source(source, |source, cx, _| source.handle_input(&mut bytes, cx));
            }
            Arrival::End(end) => {
                conn.at_host = false;
                self.set_conn(source, None);
                let closed = match end {
                    End::Fin => Closed::ByServer,
                    End::Reset => Closed::Broken(io::Error::from_raw_os_error(ECONNRESET)),
                };
                self.was_disconnected(source);
                self.with_source(source, |source, cx, _| source.handle_closed(closed, cx));
            }
        }
        true
    }

    /// A session's socket takes bytes again, once a third of its room is free, as kernels have it.
    fn room_again(&mut self, site: usize, number: u32) {
        let window = self.net.links[site].window;
        let conn = self.net.conns.get(&number);
        if conn.is_none_or(|conn| conn.down.room(window) * 3 < window) {
            return;
        }
        if let Some(at) = self.session_of(site, number)
            && let Some(server) = &mut self.sites[site].server
        {
            server.sessions[at].ready = true;
        }
    }
}

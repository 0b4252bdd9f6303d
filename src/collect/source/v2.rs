//! The frames of version 2 as they come in, put where they belong. Pure.
//!
//! The order of things is kept here: DATA at the end of the copy and nowhere else, END at its size,
//! NEXT only after END. A server that does otherwise is given up, and what came of an unfinished
//! frame is taken back.

use super::archive;
use super::tokens::Tokens;
use crate::collect::archive::Offered;
use crate::collect::copy::left_out::{LeftOut, Notes};
use crate::collect::copy::loss::{Cause, Loss};
use crate::collect::copy::{FileError, Finished, Generation, LocalCopy, LocalFiles, Origin};
use crate::collect::error::{ProtocolError, SourceError};
use crate::collect::event::Event;
use crate::ids::MaybeOffset;
use crate::limits::{ARCHIVES_MAX, GENERATIONS_PER_PERIOD_MAX, GENERATIONS_PERIOD_MS};
use crate::mutation::{self, Mutation};
use crate::store::WriteStore;
use crate::time::Mono;
use crate::wire::frame::{self, End, Frame, Next, Reason, Role};
use crate::wire::proof::{COVERED_MAX, HEAD_LEN, START_LEN};
use crate::wire::receiver::{Piece, Receiver};
use crate::wire::token::Token;

/// The receiving end of one connection.
pub struct Frames {
    receiver: Receiver,
    /// The place where the open DATA frame began.
    open_at: MaybeOffset,
    /// Whether what came of the frame is not what was sent.
    damaged: bool,
    /// The END of the generation that is complete, while the next is to be named.
    ended: Option<End>,
    /// The tokens that came for its end and for the next one.
    tokens: Option<Box<Tokens>>,
    /// The number of generations named since `nexts_since`.
    nexts: u16,
    nexts_since: Mono,
    /// The size at which the server's file ends and ours does not: it threw away what we keep.
    box_size: MaybeOffset,
    /// The boot of the box, as the answer line told.
    boot: u32,
    /// Whether the answer line announced nothing but a reason.
    refused: bool,
    /// What it announced of the generation held with that: whether all of it is here, and whether
    /// something behind it is lost.
    announced: (bool, bool),
    /// The compressed files that came before the reason.
    archives: Vec<Offered>,
    /// The smallest copy that keeps bytes of a frame whose end did not come.
    least: u16,
    /// Whether the server has told that something is wrong with the log, and not yet that it is
    /// over.
    is_troubled: bool,
    /// What was told as left out.
    notes: Notes,
    /// The size of the file on the server, as last told.
    pub remote_size: u64,
}

/// The meaning of a frame for the source.
pub enum Received {
    /// Go on.
    On,
    /// Bytes were appended, and are sound.
    Grew,
    /// The server leaves out something that may be missing: it is to be put on record, at the
    /// latest before the generation changes.
    Missing(LeftOut),
    /// The file with this token was written to after it had been given whole.
    Late(Box<(LeftOut, Token)>),
    /// A generation is complete: its copy is to get a name, and the next one begins.
    Finished {
        /// The generation that is complete, but for the name of its copy.
        finished: Finished,
        /// The reason for its end.
        reason: Reason,
        /// The size of the server's file of it, if our copy goes on behind that.
        theirs: Option<u64>,
        /// The next one.
        next: Generation,
        /// The tokens that came for both.
        tokens: Option<Box<Tokens>>,
        /// The loss of what came right after it, if that went before the server could send it.
        loss: Option<Loss>,
    },
    /// The digest of a generation that was finished without one.
    Digest(frame::Digest),
    /// The generation held has another token now.
    Token(Token),
    /// What comes next is in these compressed files.
    Archives {
        /// The files, oldest first.
        list: Vec<Offered>,
        /// The server knows that all of the generation held is here.
        is_whole: bool,
        /// Something that came behind it is lost.
        is_lost: bool,
        /// The end of the generation held, if that came, and whether it may be that of a copy.
        ended: Option<(End, bool)>,
    },
    /// Something is wrong with the log on the server, which follows it on all the same.
    Trouble(Box<str>),
}

impl Frames {
    /// The frames after an answer that gave the boot of the box and the size of its file.
    /// `box_size` says that the server's file is complete and shorter than our copy.
    pub fn new(boot: u32, remote_size: u64, box_size: Option<u64>) -> Frames {
        Frames {
            receiver: Receiver::new(),
            open_at: MaybeOffset::NONE,
            damaged: false,
            ended: None,
            tokens: None,
            nexts: 0,
            nexts_since: Mono::default(),
            box_size: box_size.into(),
            boot,
            refused: false,
            announced: (false, false),
            archives: Vec::new(),
            // A proof of a few bytes is worth little: other generations may begin alike.
            least: HEAD_LEN as u16,
            is_troubled: false,
            notes: Notes::default(),
            remote_size,
        }
    }

    /// The frames after an answer that refuses, and says of the generation held whether all of it
    /// is here, and whether something behind it is lost.
    pub fn refused(is_whole: bool, is_lost: bool) -> Frames {
        Frames {
            refused: true,
            announced: (is_whole, is_lost),
            ..Frames::new(0, 0, None)
        }
    }

    /// Whether something is wrong with the log on the server, as it told last.
    pub fn is_troubled(&self) -> bool {
        self.is_troubled
    }

    /// Whether the size on the server is known to be beyond what we hold, and by how much.
    pub fn behind(&self, held: u64) -> u64 {
        self.remote_size.saturating_sub(held)
    }

    /// The size of the server's file as it was told last, if the server serves one.
    pub fn server_size(&self) -> Option<u64> {
        (!self.refused).then_some(self.remote_size)
    }

    /// Keeps also few bytes of a frame whose end does not come, as far as they can prove anything:
    /// the link brings no more at once, and the server may not know shorter frames.
    pub(super) fn keep_few(&mut self) {
        self.least = START_LEN as u16;
    }

    /// The receiver of the frames.
    pub(super) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Whether nothing of what was sent is unfinished: the connection can be given up without
    /// anything coming twice.
    pub(super) fn is_between(&self) -> bool {
        self.receiver.is_between() && self.open_at.get().is_none() && self.ended.is_none()
    }

    /// Takes the time, before bytes are taken.
    pub fn tick(&mut self, now: Mono) {
        if now.since_ms(self.nexts_since) >= GENERATIONS_PERIOD_MS {
            self.nexts = 0;
            self.nexts_since = now;
        }
    }

    /// Takes bytes from the front of `input`, as many as it tells, and puts them where they belong.
    pub fn take<F, S: WriteStore<File = F>>(
        &mut self,
        input: &[u8],
        copy: &mut LocalCopy<F>,
        files: &mut LocalFiles<'_, S>,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<(usize, Received), SourceError> {
        let (taken, piece) = self.receiver.next(input);
        let outcome = match piece {
            Piece::Nothing => Received::On,
            Piece::DataStart(offset) => {
                self.start_data(offset, copy)?;
                Received::On
            }
            Piece::Data(bytes) => {
                // At once, before the checksum of the frame is known: a frame may take long, and
                // `open_at` tells where to cut if it turns out to be bad.
                copy.append(bytes, files).map_err(SourceError::Files)?;
                Received::On
            }
            Piece::DataEnd => {
                self.open_at = MaybeOffset::NONE;
                // The size was told when the server last said something of it; bytes that came
                // since say more.
                self.remote_size = self.remote_size.max(copy.size());
                Received::Grew
            }
            Piece::Small => {
                let step = self
                    .receiver
                    .small(Step::of)
                    .map_err(ProtocolError::Frame)?;
                self.apply(step, copy, files, events)?
            }
            Piece::Sums => return Err(ProtocolError::Order.into()),
            Piece::Bad(bad) => {
                // Bytes under a wrong checksum are not worth keeping, however many they are.
                self.damaged = true;
                return Err(ProtocolError::Frame(bad).into());
            }
        };
        Ok((taken, outcome))
    }

    /// Takes back what came of a frame whose end did not come, as the connection is over, but for
    /// as much as the next request can prove byte for byte. So a link that breaks again and again
    /// gets on nevertheless. Tells from where on the copy is still to be proved, if it is.
    pub fn abandon<F, S: WriteStore<File = F>>(
        &mut self,
        copy: &mut LocalCopy<F>,
        files: &mut LocalFiles<'_, S>,
    ) -> Result<Option<u64>, FileError> {
        let Some(offset) = self.open_at.take() else {
            return Ok(None);
        };
        if self.damaged || copy.size() < self.least.into() {
            return copy.cut(offset, files).map(|()| None);
        }
        // A proof has room for no more blocks (PROTOCOL.md, "Order").
        copy.cut(offset + COVERED_MAX, files)?;
        Ok(Some(offset).filter(|offset| *offset < copy.size()))
    }

    fn start_data<F>(&mut self, offset: u64, copy: &LocalCopy<F>) -> Result<(), SourceError> {
        // With `end=1` our copy goes on where the server's ends, so nothing can be appended to it.
        if self.ended.is_some() || self.refused || self.box_size.get().is_some() {
            return Err(ProtocolError::Order.into());
        }
        if offset != copy.size() {
            return Err(ProtocolError::Offset.into());
        }
        self.open_at = MaybeOffset::some(offset);
        Ok(())
    }

    fn apply<F, S: WriteStore<File = F>>(
        &mut self,
        step: Step,
        copy: &mut LocalCopy<F>,
        files: &mut LocalFiles<'_, S>,
        events: &mut dyn FnMut(Event<'_>),
    ) -> Result<Received, SourceError> {
        match step {
            // It would be answered with the same question, for ever.
            Step::Archive(_) if !archive::ARE_ASKED_FOR => Err(ProtocolError::Archive.into()),
            Step::Archive(offered) if self.ended.is_none() => {
                // So many are told at once.
                if self.archives.len() < ARCHIVES_MAX {
                    self.archives.push(*offered);
                }
                Ok(Received::On)
            }
            Step::Archive(_) | Step::Log => Err(ProtocolError::Order.into()),
            Step::Refused(_) if self.refused && !self.archives.is_empty() => {
                let (is_whole, is_lost) = self.announced;
                Ok(Received::Archives {
                    list: std::mem::take(&mut self.archives),
                    is_whole,
                    is_lost,
                    ended: None,
                })
            }
            Step::Refused(reason) if self.refused => Err(SourceError::Refused(reason)),
            Step::Refused(reason) => {
                self.is_troubled = true;
                Ok(Received::Trouble(reason))
            }
            _ if self.refused => Err(ProtocolError::Order.into()),
            Step::Alive(size) => {
                self.remote_size = size;
                self.is_troubled = false;
                Ok(Received::On)
            }
            Step::Hole { offset, len } => {
                self.start_data(offset, copy)?;
                self.open_at = MaybeOffset::NONE;
                copy.append_zeros(len, files).map_err(SourceError::Files)?;
                self.remote_size = self.remote_size.max(copy.size());
                Ok(Received::Grew)
            }
            Step::End(end) => {
                // What was sent has to add up: a copy of another size is not the generation that
                // ended.
                if self.ended.is_some() || end.size != self.box_size.get().unwrap_or(copy.size()) {
                    return Err(ProtocolError::Size.into());
                }
                self.ended = Some(end);
                Ok(Received::On)
            }
            Step::Next(next) => self.next(next, copy),
            Step::Digest(digest) => Ok(Received::Digest(digest)),
            Step::File(Role::Present, token) => Ok(Received::Token(token)),
            Step::File(role, token) => {
                self.tokens.get_or_insert_default().take(role, token);
                Ok(Received::On)
            }
            Step::Note(note) => Ok(self.note(note, events)),
        }
    }

    /// Tells what the server leaves out, but for what may be had all the same.
    fn note(&mut self, note: LeftOut, events: &mut dyn FnMut(Event<'_>)) -> Received {
        let late = self.tokens.as_mut().and_then(|tokens| tokens.late.take());
        match late.filter(|_| note.late_size().is_some()) {
            Some(token) => Received::Late(Box::new((note, token))),
            None => self.tell_left_out(note, events),
        }
    }

    /// Tells what the server leaves out, once. What may be missing is returned, for the caller to
    /// put on record.
    pub fn tell_left_out(&mut self, note: LeftOut, events: &mut dyn FnMut(Event<'_>)) -> Received {
        let Some(note) = self.notes.news(note) else {
            return Received::On;
        };
        // Told even where it cannot be noted: the error alone would not say what it was about.
        events(Event::LeftOut(&note));
        match note.is_missing {
            true => Received::Missing(note),
            false => Received::On,
        }
    }

    /// Acts on NEXT: the generation that ended gets a name of its own, and the next one begins.
    fn next<F>(&mut self, next: Next, copy: &mut LocalCopy<F>) -> Result<Received, SourceError> {
        let (Some(end), Some(held)) = (self.ended.take(), copy.generation()) else {
            return Err(ProtocolError::Order.into());
        };
        if mutation::is_on(Mutation::NextIgnored) {
            return Ok(Received::On);
        }
        if !self.archives.is_empty() && self.box_size.get().is_none() {
            let is_suspect = self.tokens.as_ref().is_some_and(|it| it.is_suspect);
            return Ok(Received::Archives {
                list: std::mem::take(&mut self.archives),
                is_whole: true,
                is_lost: next.after_loss,
                ended: Some((end, is_suspect)),
            });
        }
        // Each generation costs syncs for which other sources wait, be there bytes in it or not.
        self.nexts += 1;
        if self.nexts > GENERATIONS_PER_PERIOD_MAX {
            return Err(ProtocolError::Storm.into());
        }
        self.is_troubled = false;
        let size = copy.size();
        let origin = Origin {
            mtime_ns: next.mtime_ns,
            boot: self.boot,
        };
        let generation = Generation {
            inode: next.inode,
            origin: Some(origin),
            classic: false,
        };
        let at_least = self.remote_size.checked_sub(end.size);
        let loss = next.after_loss.then_some(Loss {
            inode: held.inode,
            offset: end.size,
            at_least: at_least.filter(|len| *len > 0),
            cause: Cause::Overtaken,
        });
        // The rotation gives the name.
        let finished = Finished {
            path: std::path::PathBuf::new(),
            inode: held.inode,
            size: end.size,
            md5: end.md5,
            by_content: false,
            classic: held.classic,
        };
        let theirs = self.box_size.take().filter(|box_size| *box_size < size);
        // Nothing is known of the next one yet.
        self.remote_size = 0;
        Ok(Received::Finished {
            finished,
            reason: end.reason,
            theirs,
            loss,
            next: generation,
            tokens: self.tokens.take(),
        })
    }
}

/// A small frame that has left the receiver.
enum Step {
    Alive(u64),
    Hole {
        offset: u64,
        len: u64,
    },
    End(End),
    Next(Next),
    Digest(frame::Digest),
    File(Role, Token),
    Note(LeftOut),
    Refused(Box<str>),
    Archive(Box<Offered>),
    /// Nothing of it belongs here.
    Log,
}

impl Step {
    fn of(frame: Frame<'_>) -> Step {
        match frame {
            Frame::Alive { size } => Step::Alive(size),
            Frame::Hole { offset, len } => Step::Hole { offset, len },
            Frame::End(end) => Step::End(end),
            Frame::Next(next) => Step::Next(next),
            Frame::Digest(digest) => Step::Digest(digest),
            Frame::File { role, token } => Step::File(role, token),
            Frame::Note(note) => Step::Note(LeftOut::of(&note)),
            Frame::Archive(archive) => Step::Archive(Box::new(Offered::of(&archive))),
            Frame::Log(_) => Step::Log,
            Frame::Error { text, .. } => {
                Step::Refused(crate::wire::escape::Escaped(text).to_string().into())
            }
        }
    }
}

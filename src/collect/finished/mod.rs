//! The finished copies of a source: each is compared with the server's digest, and healed where it
//! differs. Pure.

pub mod double;
pub mod heal;
pub mod queue;

use self::double::Double;
use self::heal::Heal;
use self::queue::Queue;
use super::copy::Finished;

/// The finished copies of one source that are not known to be right yet.
pub struct FinishedCopies<F> {
    /// The copies that are to be compared.
    queue: Queue<F>,
    /// The copy that turned out to differ. While there is one, no other is compared.
    heal: Option<Box<Heal<F>>>,
    /// The copy that is right and seems to be here twice.
    double: Option<Box<Double<F>>>,
    /// Whether that some are right is still to be made durable before they leave the list.
    owes_hooks: bool,
}

impl<F> FinishedCopies<F> {
    /// No finished copies.
    pub fn new() -> FinishedCopies<F> {
        FinishedCopies {
            queue: Queue::default(),
            heal: None,
            double: None,
            owes_hooks: false,
        }
    }

    /// The copies that are to be compared.
    pub fn queue(&self) -> &Queue<F> {
        &self.queue
    }

    /// The copies that are to be compared, to be changed.
    pub fn queue_mut(&mut self) -> &mut Queue<F> {
        &mut self.queue
    }

    /// The copy that is being healed.
    pub fn heal(&self) -> Option<&Heal<F>> {
        self.heal.as_deref()
    }

    /// The copy that is being healed, to go on with it.
    pub fn heal_mut(&mut self) -> Option<&mut Heal<F>> {
        self.heal.as_deref_mut()
    }

    /// Begins to heal a copy, which differs.
    pub fn begin_heal(&mut self, finished: Finished) {
        debug_assert!(self.heal.is_none(), "one copy is healed at a time");
        self.heal = Some(Box::new(Heal::new(finished)));
    }

    /// Ends the heal of a copy, which is right now or cannot be made so.
    pub fn end_heal(&mut self) {
        self.heal = None;
    }

    /// The copy that is compared with an older one.
    pub fn double_mut(&mut self) -> Option<&mut Double<F>> {
        self.double.as_deref_mut()
    }

    /// Begins to compare a copy with an older one.
    pub fn begin_double(&mut self, double: Double<F>) {
        self.double = Some(Box::new(double));
    }

    /// Ends the comparison with an older copy. Returns it.
    pub fn end_double(&mut self) -> Option<Box<Double<F>>> {
        self.double.take()
    }

    /// Whether the list on the disk has to stay as it is until something else is durable.
    pub fn owes_hooks(&self) -> bool {
        self.owes_hooks
    }

    /// Has the list on the disk stay as it is until something else is durable.
    pub fn owe_hooks(&mut self) {
        self.owes_hooks = true;
    }

    /// Lets the list on the disk follow. Tells whether it waited for that.
    pub fn settle_hooks(&mut self) -> bool {
        std::mem::take(&mut self.owes_hooks)
    }

    /// All copies that are not known to be right yet, as the list on the disk has them.
    pub fn all(&self) -> impl Iterator<Item = &Finished> {
        let in_heal = self.heal.iter().map(|heal| heal.finished());
        let in_double = self.double.iter().map(|double| double.finished());
        self.queue.all().chain(in_heal).chain(in_double)
    }

    /// Whether there is something to do that needs no server.
    pub fn has_work(&self) -> bool {
        match &self.heal {
            // The other comparisons wait, even while the server is asked.
            Some(heal) => heal.is_answered(),
            None => self.double.is_some() || self.queue.has_work(),
        }
    }
}

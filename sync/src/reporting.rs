//! Turns from one parent to the next, and back

use crate::{
    allow_list::Row,
    hub::{Conversation, Hub},
    marks::AT_PARENT,
    origin::{DeviceId, Role},
    parents,
    planted::{self, Fault},
    replica::Replica,
    signed::Unproven,
    talk::{Event, Now, Output, PeerId},
    topics::Kind,
    wire::{Ack, Need},
};

impl Hub {
    /// To whom we report now, where several are named.
    pub fn parent(&self) -> Option<&DeviceId> {
        self.parents.now()
    }

    /// The peer as the conversations know it: who is our parent now is just that.
    pub(crate) fn now_called(&self, peer: PeerId) -> PeerId {
        match peer {
            PeerId::Above(device) if self.parents.now() == Some(&device) => PeerId::Parent,
            other => other,
        }
    }

    /// What goes to the parent goes to it by name, where several are named.
    pub(crate) fn address(&self, outputs: &mut [Output]) {
        let Some(device) = self.parents.now() else { return };
        for output in outputs {
            if let Output::Send { to, .. } = output
                && *to == PeerId::Parent
            {
                *to = PeerId::Above(device.clone());
            }
        }
    }

    /// A line came or went.
    pub(crate) fn line_turned(&mut self, now: Now, peer: PeerId, there: bool) {
        if let PeerId::Above(device) = &peer {
            self.parents.line(device, there);
        }
        match self.now_called(peer) {
            PeerId::Above(_) => {}
            peer if there => self.conversation(&peer).line_up(now),
            peer => self.conversation(&peer).session.line_down(),
        }
    }

    /// The order of parents as HQ has signed it by now.
    pub(crate) fn order_parents(&mut self, replica: &Replica, now: Option<Now>) {
        if self.settings.lines.is_empty() {
            return;
        }
        let is_hq = |device: &DeviceId| {
            replica.all_known().any(|row| row.role == Role::Hq && row.device == *device)
        };
        let list = parents::order(own_row(replica), &self.settings.lines, is_hq);
        if self.parents.reorder(list) {
            self.begin_anew();
            if let Some(now) = now.filter(|_| self.parents.is_up()) {
                self.conversation(&PeerId::Parent).line_up(now);
            }
        }
    }

    /// Whether this one may be our parent at all.
    pub(crate) fn may_lead(&self, replica: &Replica, row: &Row) -> bool {
        let signed = own_row(replica).map_or(&[][..], |own| &own.parents);
        parents::may_lead(row, replica.identity().store, signed)
    }

    /// Where there are several, nobody knows after a stop whose word the marks of before were.
    pub(crate) fn forget_last_parent(&mut self) {
        if self.settings.lines.len() > 1 && !planted::is(Fault::OldParentBelieved) {
            self.marks.clear(AT_PARENT, None);
        }
    }

    /// What the one before had is not what this one has, and what was under way to him is lost.
    fn begin_anew(&mut self) {
        self.peers.remove(&PeerId::Parent);
        self.conversation(&PeerId::Parent);
        if !planted::is(Fault::OldParentBelieved) {
            self.marks.clear(AT_PARENT, None);
        }
    }

    fn turned(&mut self, now: Now, outputs: &mut Vec<Output>) {
        self.begin_anew();
        if self.parents.is_up() {
            self.conversation(&PeerId::Parent).line_up(now);
        }
        if let Some(device) = self.parents.now() {
            outputs.push(Output::Event(Event::ParentNow { device: device.clone() }));
        }
    }

    /// Leaves a parent that is silent, and knocks at those before the present one.
    pub(crate) fn look_after_parents(
        &mut self,
        replica: &Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) {
        if self.parents.now().is_none() {
            return;
        }
        let heard = |hub: &Hub| hub.peers.get(&PeerId::Parent).and_then(|one| one.session.heard());
        if !planted::is(Fault::ParentNeverLeft) && self.parents.look(now.steady, heard(self)) {
            self.turned(now, outputs);
        }
        for device in self.parents.knocks(now.steady) {
            let to = PeerId::Above(device);
            let fresh = Conversation::new(self.settings.beat_ms);
            let bytes = self.need(replica, &PeerId::Parent, &fresh).encode(replica.keys().as_ref());
            outputs.push(Output::Send { to, kind: Kind::Need, bytes });
        }
        if let Some(at) = self.parents.wake_at(heard(self)) {
            outputs.push(Output::WakeAt(at));
        }
    }

    /// Two lists of parents may differ for a while, so that one whom we report to reports to us. Each hears the other and
    /// neither hears HQ: so whoever finds that turns to the next.
    pub(crate) fn look_for_circle(
        &mut self,
        replica: &Replica,
        from: &PeerId,
        kind: Kind,
        bytes: &[u8],
    ) {
        let PeerId::Child(device) = from else { return };
        if self.parents.now() != Some(device) {
            return;
        }
        let is_its = match kind {
            Kind::Need => Need::decode(bytes).is_ok_and(|need| is_of(replica, device, need)),
            Kind::Ack => Ack::decode(bytes).is_ok_and(|ack| is_of(replica, device, ack)),
            Kind::Live | Kind::Bulk | Kind::View | Kind::Snap => false,
        };
        if is_its {
            self.parents.reports_to_us();
        }
    }

    /// One whom we do not report to speaks to us. When it stands before the present one and says what it has, it hears
    /// us: we go back to it.
    pub(crate) fn take_aside(
        &mut self,
        replica: &mut Replica,
        now: Now,
        from: &PeerId,
        kind: Kind,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        let PeerId::Above(device) = from else { return Ok(()) };
        if kind != Kind::Need || !self.parents.is_before(device) {
            return Ok(());
        }
        let unproven = Need::decode(&bytes).map_err(|cause| cause.to_string())?;
        self.take_papers(replica, now, &unproven.message().papers)?;
        if self.proven(replica, from, unproven)?.is_none()
            || !self.parents.answered(device, now.steady)
        {
            return Ok(());
        }
        self.begin_anew();
        self.conversation(&PeerId::Parent).line_up(now);
        self.take_need(replica, now, &PeerId::Parent, &bytes)
    }
}

/// Whether this device has signed a message.
fn is_of<M>(replica: &Replica, device: &DeviceId, unproven: Unproven<'_, M>) -> bool {
    let row = replica.known(unproven.signer()).filter(|row| row.device == *device);
    row.is_some_and(|row| unproven.proven_with(replica.keys().as_ref(), &row.key).is_ok())
}

/// The signed row of this device.
fn own_row(replica: &Replica) -> Option<&Row> {
    replica.known(replica.identity().origin)
}

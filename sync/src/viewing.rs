//! Fetches views from the parent, hands them to children

use crate::{
    hlc::Millis,
    hub::{Conversation, Hub, streams_of},
    origin::Role,
    planted::{self, Fault},
    replica::Replica,
    talk::{Event, Now, Output, PeerId},
    topics::Kind,
    view::{self, Edition, Fetched, ViewError, ViewHead},
    view_wire::{HasView, STRETCH_BYTES_MAX, ViewAsk, ViewPart},
};
use std::collections::BTreeMap;

/// A child asks again after this long while nothing new is known to be under way.
pub const ASK_EVERY_MS: i64 = 30_000;
/// The same while it waits for a stretch.
pub const ASK_AGAIN_MS: i64 = 2_000;

impl Hub {
    /// Does what is due about views.
    pub(crate) fn pump_views(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) {
        if replica.halted().is_some() {
            return;
        }
        let done = self.take_stretch(replica).and_then(|()| {
            self.ask_parent(replica, now, outputs)?;
            self.answer_children(replica, outputs)
        });
        if let Err(cause) = done {
            outputs.push(Output::Event(Event::NotKept { reason: cause.to_string() }));
        }
    }

    /// Keeps the stretch that came, and wants the next at once.
    fn take_stretch(&mut self, replica: &mut Replica) -> Result<(), ViewError> {
        let Some(peer) = self.peers.get_mut(&PeerId::Parent) else { return Ok(()) };
        let Some(part) = peer.views.came.take() else { return Ok(()) };
        let head = &part.stretch.head;
        let signed = replica.known(head.origin).is_some_and(|row| {
            row.role == Role::Hq
                && (head.verify(replica.keys().as_ref(), &row.key)
                    || planted::is(Fault::ViewNotVerified))
        });
        if !signed {
            return Ok(());
        }
        let fetched = replica.fetch_view(&part.stretch)?;
        peer.views.fetching = fetched == Fetched::Part;
        if fetched == Fetched::Wrong {
            self.whole_views.insert(head.view.clone());
        } else {
            self.whole_views.remove(&head.view);
        }
        if fetched != Fetched::Useless {
            peer.views.ask_at = 0;
        }
        Ok(())
    }

    fn ask_parent(
        &mut self,
        replica: &Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) -> Result<(), ViewError> {
        let nonce = self.nonce;
        let Some(peer) = self.peers.get_mut(&PeerId::Parent) else { return Ok(()) };
        if !peer.session.is_known() {
            return Ok(());
        }
        if peer.views.ask_at <= now.steady.0 {
            let mut views: BTreeMap<String, HasView> = BTreeMap::new();
            for head in view::heads(replica.db())? {
                let has =
                    if self.whole_views.contains(&head.view) { (0, 0) } else { head.edition() };
                let one =
                    HasView { view: head.view.clone(), has, fetches: (0, 0), after: Vec::new() };
                views.insert(head.view, one);
            }
            for name in view::pulls(replica.db())? {
                let Some((head, _, after)) = view::pulling(replica.db(), &name)? else { continue };
                let one =
                    HasView { view: name.clone(), has: (0, 0), fetches: (0, 0), after: Vec::new() };
                let one = views.entry(name).or_insert(one);
                (one.fetches, one.after) = (head.edition(), after);
            }
            let signer = replica.identity().origin;
            let ask = ViewAsk { nonce, views: views.into_values().collect(), signer };
            let bytes = ask.encode(replica.keys().as_ref());
            outputs.push(Output::Send { to: PeerId::Parent, kind: Kind::View, bytes });
            let wait = if peer.views.fetching { ASK_AGAIN_MS } else { ASK_EVERY_MS };
            peer.views.ask_at = now.steady.0 + wait;
        }
        outputs.push(Output::WakeAt(Millis(peer.views.ask_at)));
        Ok(())
    }

    /// Answers each child that has asked and lacks something; the others keep their question until there is an answer.
    fn answer_children(
        &mut self,
        replica: &Replica,
        outputs: &mut Vec<Output>,
    ) -> Result<(), ViewError> {
        let asking = |peer: &Conversation| peer.views.asked.is_some() && peer.session.is_up();
        if !self.peers.values().any(asking) {
            return Ok(());
        }
        let heads = view::heads(replica.db())?;
        let nonce = self.nonce;
        for (name, peer) in self.peers.iter_mut().filter(|(_, peer)| asking(peer)) {
            let streams = streams_of(replica, name);
            let asked = peer.views.asked.as_ref().expect("only those who ask");
            let newer = heads.iter().filter(|head| streams.contains(&head.stream));
            let Some((head, has, after)) = newer.filter_map(|head| lacks(head, asked)).next()
            else {
                continue;
            };
            let stretch = view::stretch(replica.db(), head, has, &after, STRETCH_BYTES_MAX)?;
            let part = ViewPart { nonce, stretch, signer: replica.identity().origin };
            let bytes = part.encode(replica.keys().as_ref());
            outputs.push(Output::Send { to: name.clone(), kind: Kind::View, bytes });
            peer.views.asked = None;
        }
        Ok(())
    }
}

/// Whether somebody lacks this version; if so, what it has instead and after which key to go on.
fn lacks<'h>(head: &'h ViewHead, asked: &ViewAsk) -> Option<(&'h ViewHead, Edition, Vec<u8>)> {
    let Some(one) = asked.views.iter().find(|one| one.view == head.view) else {
        return Some((head, (0, 0), Vec::new()));
    };
    let go_on = one.fetches == head.edition();
    let after = if go_on { one.after.clone() } else { Vec::new() };
    (one.has < head.edition()).then_some((head, one.has, after))
}

//! Who may be inside a port, and who waits before it. A stranger costs little until it has proven who it is: those that have
//! not are few together and fewer from one address, and where there is no place left, the address that has most gives one up.
//!
//! ```text
//!   accepted -> the porch (a socket, nothing read) -> inside, not proven -> inside, proven
//! ```
//!
//! Somebody from an address that holds less than another never waits for it. Somebody from the same address waits until one of
//! the others goes, proves itself, or has had its time.

use ferrohub_model::clock::{Clock, Moment, timeout_at};
use ferrohub_model::limits;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// An address as those behind it share places: an IPv4 address, or the network of an IPv6 one (a site has 2^64 of those).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(IpAddr);

impl Origin {
    /// That of a peer.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            address @ IpAddr::V4(_) => Self(address),
        }
    }
}

/// How many of each kind a port holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Inside, proven or not.
    inside: usize,
    /// Of these from one address.
    inside_each: usize,
    /// Inside and not proven.
    unproven: usize,
    /// Of these from one address.
    unproven_each: usize,
    /// On the porch.
    waiting: usize,
    /// Time after which one that has proven nothing gives way to another of its own address.
    patience: Duration,
}

impl Room {
    /// Divides `share` connections; a quarter of them may wait.
    pub(crate) fn of(share: usize, patience: Duration) -> Self {
        let waiting = (share / 4).max(1);
        let inside = share.saturating_sub(waiting).max(1);
        Self {
            inside,
            inside_each: inside,
            unproven: inside.min(limits::UNPROVEN_CONNECTIONS),
            unproven_each: inside.min(limits::UNPROVEN_CONNECTIONS_OF_ADDRESS),
            waiting,
            patience,
        }
    }
}

impl Room {
    /// The same, with a quarter of the places left to others whatever one address proves: a port where one credential opens any
    /// number of connections.
    pub(crate) fn with_some_for_others(self) -> Self {
        Self { inside_each: (self.inside - self.inside / 4).max(1), ..self }
    }
}

/// The places of one port.
pub(crate) struct Places {
    room: Room,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// Those who wait and those who are inside, by address. Of those who have proven who they are only the number is known.
#[derive(Default)]
struct State {
    next: u64,
    groups: HashMap<Origin, Group>,
    waiting: usize,
    unproven: usize,
    proven: usize,
}

#[derive(Default)]
struct Group {
    waiting: VecDeque<(u64, Arc<Signals>)>,
    /// In the order in which they came in.
    unproven: BTreeMap<u64, (Moment, Arc<Signals>)>,
    proven: usize,
}

/// What a connection is told.
#[derive(Default)]
struct Signals {
    enter: Notify,
    leave: CancellationToken,
}

/// The place of one connection, given back when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    origin: Origin,
    id: u64,
    signals: Arc<Signals>,
}

impl Places {
    pub(crate) fn new(room: Room, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { room, clock, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between two changes of the state can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on the porch for a new connection, and one inside if there is one. `None`: the porch is full of others of its
    /// own address.
    pub(crate) fn arrive(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let origin = Origin::of(address);
        let mut state = self.lock();
        if state.waiting >= self.room.waiting && !state.make_way_for(origin) {
            return None;
        }
        let id = state.next;
        state.next += 1;
        let signals = Arc::<Signals>::default();
        state.groups.entry(origin).or_default().waiting.push_back((id, signals.clone()));
        state.waiting += 1;
        state.admit(&self.room, self.clock.monotonic());
        Some(Place { places: self.clone(), origin, id, signals })
    }

    fn admit(&self) {
        self.lock().admit(&self.room, self.clock.monotonic());
    }
}

impl Place {
    /// Waits for a place inside until `deadline`; false when there was none.
    pub(crate) async fn enter(&self, deadline: Moment) -> bool {
        let (clock, patience) = (self.places.clock.as_ref(), self.places.room.patience);
        loop {
            let turn = (clock.monotonic() + patience).min(deadline);
            let entered = tokio::select! {
                () = self.signals.leave.cancelled() => return false,
                entered = timeout_at(clock, turn, self.signals.enter.notified()) => entered,
            };
            match entered {
                Ok(()) => return true,
                Err(_) if clock.monotonic() >= deadline => return false,
                // Somebody's time may be over by now.
                Err(_) => self.places.admit(),
            }
        }
    }

    /// Ends when the place is wanted for somebody else.
    pub(crate) async fn taken(&self) {
        self.signals.leave.cancelled().await;
    }

    /// The peer has proven who it is: nobody takes its place any more.
    pub(crate) fn prove(&self) {
        let mut state = self.places.lock();
        if state.remove_unproven(self.origin, self.id) {
            state.proven += 1;
            state.groups.entry(self.origin).or_default().proven += 1;
            state.admit(&self.places.room, self.places.clock.monotonic());
        }
    }

    /// Whether it has.
    pub(crate) fn is_proven(&self) -> bool {
        let state = self.places.lock();
        !self.signals.leave.is_cancelled() && !state.groups.get(&self.origin).is_some_and(|group| group.holds(self.id))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        let was_here = state.remove_unproven(self.origin, self.id) || state.remove_waiting(self.origin, self.id);
        // One that is in no list and was not sent away had proven itself.
        if !was_here && !self.signals.leave.is_cancelled() {
            state.remove_proven(self.origin);
        }
        state.admit(&self.places.room, self.places.clock.monotonic());
    }
}

impl Group {
    fn inside(&self) -> usize {
        self.unproven.len() + self.proven
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.inside() == 0
    }

    fn holds(&self, id: u64) -> bool {
        self.unproven.contains_key(&id) || self.waiting.iter().any(|(waiting, _)| *waiting == id)
    }
}

impl State {
    fn tidy(&mut self, origin: Origin) {
        if self.groups.get(&origin).is_some_and(Group::is_empty) {
            self.groups.remove(&origin);
        }
    }

    fn remove_unproven(&mut self, origin: Origin, id: u64) -> bool {
        let found = self.groups.get_mut(&origin).is_some_and(|group| group.unproven.remove(&id).is_some());
        self.unproven -= usize::from(found);
        self.tidy(origin);
        found
    }

    fn remove_proven(&mut self, origin: Origin) {
        if let Some(group) = self.groups.get_mut(&origin) {
            group.proven = group.proven.saturating_sub(1);
            self.proven = self.proven.saturating_sub(1);
        }
        self.tidy(origin);
    }

    fn remove_waiting(&mut self, origin: Origin, id: u64) -> bool {
        let Some(group) = self.groups.get_mut(&origin) else { return false };
        let before = group.waiting.len();
        group.waiting.retain(|(waiting, _)| *waiting != id);
        let found = group.waiting.len() < before;
        self.waiting -= usize::from(found);
        self.tidy(origin);
        found
    }

    /// Sends the last one of the longest queue away, unless that is as short as the queue of `origin` will be.
    fn make_way_for(&mut self, origin: Origin) -> bool {
        let own = self.groups.get(&origin).map_or(0, |group| group.waiting.len());
        let longest = self.groups.iter().max_by_key(|(_, group)| group.waiting.len());
        let Some((longest, _)) = longest.filter(|(_, group)| group.waiting.len() > own + 1) else { return false };
        let longest = *longest;
        let Some((_, sent_away)) = self.groups.get_mut(&longest).and_then(|group| group.waiting.pop_back()) else {
            return false;
        };
        sent_away.leave.cancel();
        self.waiting -= 1;
        self.tidy(longest);
        true
    }

    /// Lets in whoever may come in, those first of whose address fewest are inside.
    fn admit(&mut self, room: &Room, now: Moment) {
        while self.waiting > 0 {
            let waiting = self.groups.iter().filter(|(_, group)| !group.waiting.is_empty());
            let may = waiting.filter(|(_, group)| group.inside() < room.inside_each || !group.unproven.is_empty());
            let Some((origin, own)) = may.min_by_key(|(_, group)| group.unproven.len()) else { return };
            let (origin, held) = (*origin, own.unproven.len());
            let full = self.unproven + self.proven >= room.inside || self.unproven >= room.unproven;
            let own_full = held >= room.unproven_each || own.inside() >= room.inside_each;
            if (full || own_full) && !self.take_from(room, (origin, held), own_full, now) {
                return;
            }
            let Some(group) = self.groups.get_mut(&origin) else { return };
            let Some((id, signals)) = group.waiting.pop_front() else { return };
            signals.enter.notify_one();
            group.unproven.insert(id, (now, signals));
            self.waiting -= 1;
            self.unproven += 1;
        }
    }

    /// Takes a place from the address that holds most, or from its own, for one of `origin`, which holds `held`: at once where
    /// that is fair, else if the oldest has had its time.
    fn take_from(&mut self, room: &Room, (origin, held): (Origin, usize), own: bool, now: Moment) -> bool {
        let greediest = if own {
            Some(origin)
        } else {
            self.groups.iter().max_by_key(|(_, group)| group.unproven.len()).map(|(greediest, _)| *greediest)
        };
        let Some((greediest, group)) = greediest.and_then(|greediest| Some((greediest, self.groups.get(&greediest)?)))
        else {
            return false;
        };
        let Some((id, (since, signals))) = group.unproven.first_key_value() else { return false };
        if group.unproven.len() <= held + 1 && now.since(*since) < room.patience {
            return false;
        }
        signals.leave.cancel();
        let id = *id;
        metrics::counter!("ferrohub_connections_displaced_total").increment(1);
        self.remove_unproven(greediest, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn places(room: Room) -> Arc<Places> {
        Places::new(room, SystemClock::shared())
    }

    fn room(inside: usize, unproven_each: usize, waiting: usize) -> Room {
        Room { inside, inside_each: inside, unproven: inside, unproven_each, waiting, patience: PATIENCE }
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    async fn enters(place: &Place) -> bool {
        place.enter(SystemClock.monotonic()).await
    }

    fn gone(place: &Place) -> bool {
        place.signals.leave.is_cancelled()
    }

    #[test]
    fn a_share_is_divided() {
        let room = Room::of(100, PATIENCE);
        assert_eq!((room.inside, room.waiting, room.unproven, room.unproven_each), (75, 25, 75, 75));
        let room = Room::of(limits::CONNECTIONS, PATIENCE);
        assert_eq!(room.unproven, limits::UNPROVEN_CONNECTIONS);
        assert_eq!(room.unproven_each, limits::UNPROVEN_CONNECTIONS_OF_ADDRESS);
        assert_eq!((Room::of(1, PATIENCE).inside, Room::of(0, PATIENCE).waiting), (1, 1));
    }

    #[test]
    fn those_of_one_network_are_one() {
        let of = |text: &str| Origin::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_keeps_nobody_else_out() {
        let places = places(room(8, 8, 4));
        let mut silent = Vec::new();
        for _ in 0..12 {
            silent.push(places.arrive(from(1)).unwrap());
        }
        assert!(places.arrive(from(1)).is_none(), "the porch is full of its own kind");
        // Four of another address come in at once, each for the oldest of the first; then they are even.
        for nth in 0..4 {
            let guest = places.arrive(from(2)).unwrap();
            assert!(enters(&guest).await, "{nth}");
            assert!(gone(&silent[nth]), "{nth}");
            silent.push(guest);
        }
        let even = places.arrive(from(2)).unwrap();
        assert!(!enters(&even).await && !gone(&even));
        // A third address takes from either.
        let third = places.arrive(from(3)).unwrap();
        assert!(enters(&third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_proven_itself_stays() {
        let places = places(room(2, 2, 2));
        let (first, second) = (places.arrive(from(1)).unwrap(), places.arrive(from(1)).unwrap());
        assert!(enters(&first).await && enters(&second).await);
        assert!(!first.is_proven());
        first.prove();
        second.prove();
        assert!(first.is_proven());
        let guest = places.arrive(from(2)).unwrap();
        assert!(!enters(&guest).await && !gone(&first) && !gone(&second));
        SystemClock.sleep(PATIENCE * 2).await;
        assert!(!enters(&guest).await && !gone(&first), "not for its age either");
        drop(second);
        assert!(enters(&guest).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_proves_itself_often_leaves_some_places_to_others() {
        let places = places(room(8, 8, 8).with_some_for_others());
        let known: Vec<Place> = (0..8).map(|_| places.arrive(from(1)).unwrap()).collect();
        for place in &known[..6] {
            assert!(enters(place).await);
            place.prove();
        }
        assert!(!enters(&known[6]).await, "a quarter is for others");
        let guest = places.arrive(from(2)).unwrap();
        assert!(enters(&guest).await);
        drop(known);
        let again = places.arrive(from(1)).unwrap();
        assert!(enters(&again).await);
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_address_the_oldest_gives_way_when_it_has_had_its_time() {
        let places = places(room(10, 2, 2));
        let old: Vec<Place> = (0..2).map(|_| places.arrive(from(1)).unwrap()).collect();
        let young = places.arrive(from(1)).unwrap();
        assert!(!enters(&young).await, "there is room, but not for this address");
        let begun = SystemClock.monotonic();
        assert!(young.enter(begun + PATIENCE * 4).await);
        assert_eq!(SystemClock.monotonic().since(begun).as_secs(), PATIENCE.as_secs());
        assert!(gone(&old[0]) && !gone(&old[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_comes_back_however_a_connection_ends() {
        let places = places(room(3, 3, 3));
        for round in 0..50 {
            let kept: Vec<Place> = (0..6).map(|_| places.arrive(from(1)).unwrap()).collect();
            if round % 2 == 0 {
                kept[round % 3].prove();
            }
            // Takes places of the first address.
            let others: Vec<Place> = (2..5).filter_map(|last| places.arrive(from(last))).collect();
            drop(kept);
            drop(others);
            let state = places.lock();
            assert_eq!((state.waiting, state.unproven, state.proven, state.groups.len()), (0, 0, 0, 0), "{round}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_queue_makes_way_on_the_porch() {
        let places = places(room(1, 1, 4));
        let inside = places.arrive(from(9)).unwrap();
        inside.prove();
        let queue: Vec<Place> = (0..4).map(|_| places.arrive(from(1)).unwrap()).collect();
        let guest = places.arrive(from(2)).unwrap();
        assert!(gone(&queue[3]) && !gone(&queue[0]));
        drop(inside);
        assert!(enters(&queue[0]).await || enters(&guest).await);
    }
}

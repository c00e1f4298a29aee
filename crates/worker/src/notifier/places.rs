//! How many notifications of each organization are on their way, so that one whose receivers are slow
//! leaves room for others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::OrganizationId;
use tokio::sync::Notify;

/// The places that organizations have taken.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Mutex<HashMap<OrganizationId, usize>>,
    freed: Notify,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    organization: OrganizationId,
}

impl Places {
    /// Takes a place.
    pub(super) fn take(&self, organization: OrganizationId) -> Place<'_> {
        self.change(|taken| *taken.entry(organization).or_default() += 1);
        Place {
            places: self,
            organization,
        }
    }

    /// Returns the organizations that have taken as many as `most`.
    pub(super) fn full(&self, most: usize) -> Vec<OrganizationId> {
        self.change(|taken| {
            let full = taken.iter().filter(|(_, taken)| **taken >= most);
            full.map(|(organization, _)| *organization).collect()
        })
    }

    /// Waits until a place has become free.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<OrganizationId, usize>) -> T) -> T {
        change(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.change(|taken| {
            if let Some(places) = taken.get_mut(&self.organization) {
                *places -= 1;
            }
            taken.retain(|_, places| *places > 0);
        });
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use domain::OrganizationId;
    use uuid::Uuid;

    use super::Places;

    #[test]
    fn an_organization_has_room_again_when_one_of_its_places_is_free() {
        let places = Places::default();
        let [ours, theirs] = [1, 2].map(|id| OrganizationId::from(Uuid::from_u128(id)));
        let (first, _theirs) = (places.take(ours), places.take(theirs));
        assert_eq!(places.full(2), []);
        let _second = places.take(ours);
        assert_eq!(places.full(2), [ours]);
        drop(first);
        assert_eq!(places.full(2), []);
    }
}

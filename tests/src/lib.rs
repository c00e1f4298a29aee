//! User journeys against the devstack.

//! Certificate requests, profiles, issuing, chains and sealed keys.

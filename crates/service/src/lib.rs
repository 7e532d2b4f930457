//! What the product does: authentication, authorization, the ARM engine, registry, hub, provisioning, certificates, worker.

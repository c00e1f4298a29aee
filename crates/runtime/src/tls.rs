//! TLS: one provider of cryptography for every client of the process.

/// Makes rustls use *ring*. Does nothing when a provider is set already.
pub fn init() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

//! Connects to the host of a webhook, and never to an address that is not permitted.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::WebhookUrl;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::addresses::Addresses;
use super::config::WebhookConfig;
use super::error::WebhookError;

/// Makes encrypted connections.
#[derive(Clone)]
pub(super) struct Connector {
    addresses: Addresses,
    tls: TlsConnector,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(config: &WebhookConfig, addresses: Addresses) -> Result<Self, WebhookError> {
        Ok(Self {
            addresses,
            tls: TlsConnector::from(Arc::new(tls(config)?)),
            timeout: config.connect_timeout(),
        })
    }

    /// Connects to a host. Its name is resolved once, and the connection goes to an address that was
    /// looked at: what the name means a moment later makes no difference.
    pub(super) async fn connect(
        &self,
        to: &WebhookUrl,
    ) -> Result<TlsStream<TcpStream>, WebhookError> {
        let url = to.as_url();
        let port = url.port_or_known_default().ok_or(WebhookError::Host)?;
        let (name, addresses) = match url.host().ok_or(WebhookError::Host)? {
            Host::Ipv4(ip) => literal(ip.into(), port),
            Host::Ipv6(ip) => literal(ip.into(), port),
            Host::Domain(domain) => {
                let name = ServerName::try_from(domain.to_owned());
                let found = lookup_host((domain, port)).await;
                (
                    name.map_err(|_| WebhookError::Host)?,
                    found.map_err(WebhookError::Resolve)?.collect(),
                )
            }
        };
        let stream = self.open(&self.permitted(addresses)?).await?;
        let connected = self.tls.connect(name, stream).await;
        connected.map_err(WebhookError::Unreachable)
    }

    fn permitted(&self, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, WebhookError> {
        addresses.retain(|address| self.addresses.permit(address.ip()));
        if addresses.is_empty() {
            return Err(WebhookError::Forbidden);
        }
        Ok(addresses)
    }

    /// Connects to the first address that answers.
    async fn open(&self, addresses: &[SocketAddr]) -> Result<TcpStream, WebhookError> {
        let mut last = WebhookError::Host;
        for address in addresses {
            match timeout(self.timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = WebhookError::Unreachable(error),
                Err(_) => last = WebhookError::TimedOut,
            }
        }
        Err(last)
    }
}

fn literal(ip: IpAddr, port: u16) -> (ServerName<'static>, Vec<SocketAddr>) {
    (ServerName::from(ip), vec![SocketAddr::new(ip, port)])
}

fn tls(config: &WebhookConfig) -> Result<ClientConfig, WebhookError> {
    let mut roots = RootCertStore::empty();
    // What cannot be read is not trusted; a call that would need it says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &config.webhook_ca_file {
        let pem = fs::read(path).map_err(|error| WebhookError::CaFile(error.into()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| WebhookError::CaFile(error.into()))?;
            let added = roots.add(certificate);
            added.map_err(|error| WebhookError::CaFile(error.into()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

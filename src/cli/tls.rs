//! TLS on the way to a node: which authorities are trusted, and what a failure means. Nodes
//! do not speak TLS themselves, but a proxy in front of them may.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};

use crate::config::{CA_FILE_ENV, NodeAddress};

/// How long a connection may take. Nodes are near, so a slower one is most likely down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Which authorities may sign the certificate of a node.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsOptions {
    /// For https://: a file with the authorities to trust, instead of the system's [env: SIDECAR_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl TlsOptions {
    /// Connects to `nodes` for HTTP/1.1, which MCP is served over.
    ///
    /// # Errors
    /// There are no authorities to trust; the error is a line for the user.
    pub fn http1(&self, nodes: &[NodeAddress]) -> Result<HttpsConnector<HttpConnector>, String> {
        let config = self.config(nodes.iter().any(NodeAddress::is_tls))?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        Ok(builder.enable_http1().wrap_connector(tcp()))
    }

    /// Connects to `node` for HTTP/2, which gRPC is served over.
    ///
    /// # Errors
    /// There are no authorities to trust; the error is a line for the user.
    pub fn http2(&self, node: &NodeAddress) -> Result<HttpsConnector<HttpConnector>, String> {
        let config = self.config(node.is_tls())?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        Ok(builder.enable_http2().wrap_connector(tcp()))
    }

    /// Without TLS, no authority is read, so that none need be installed.
    fn config(&self, is_used: bool) -> Result<ClientConfig, String> {
        let mut authorities = RootCertStore::empty();
        if is_used {
            let file = self.ca_file.clone();
            let in_environment = || {
                let file = std::env::var_os(CA_FILE_ENV).filter(|file| !file.is_empty());
                file.map(PathBuf::from)
            };
            match file.or_else(in_environment) {
                Some(file) => add_file(&mut authorities, &file)?,
                None => add_system(&mut authorities)?,
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("TLS cannot be used: {error}"))?;
        Ok(builder.with_root_certificates(authorities).with_no_client_auth())
    }
}

fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}

fn add_file(authorities: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let refused = |why: String| format!("--ca-file: got {file:?}{why}");
    let text = std::fs::read(file).map_err(|error| refused(format!(" ({error})")))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| refused(format!(" ({error})")))?;
        authorities.add(certificate).map_err(|error| refused(format!(" ({error})")))?;
    }
    if authorities.is_empty() {
        return Err(refused(", which contains no certificate in the PEM format".to_owned()));
    }
    Ok(())
}

fn add_system(authorities: &mut RootCertStore) -> Result<(), String> {
    let found = rustls_native_certs::load_native_certs();
    authorities.add_parsable_certificates(found.certs);
    if authorities.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!(
            "no certificate authorities are installed on this machine{why}; name a file of them \
             with --ca-file"
        ));
    }
    Ok(())
}

/// What went wrong in TLS, in words that say what to do. `None` if it was something else.
pub fn tls_failure(error: &(dyn Error + 'static)) -> Option<String> {
    let error = find::<rustls::Error>(error)?;
    Some(match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is not trusted, because the issuer is unknown; name a file with the \
             certificate of its authority with --ca-file"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(why) => format!("its certificate is refused: {why}"),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS there; try http://".to_owned()
        }
        // The enum is rustls's, and its other values say enough.
        other => format!("TLS failed: {other}"),
    })
}

/// The first error of type `E` among `error` and its causes. What an [`io::Error`] wraps is
/// not among its causes.
pub fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

//! What does the other side say when it ends TLS?
//!
//! Promises: words from which an operator knows whether it is about the certificate that the destination is shown, and
//! what to do; the other side's word, as TLS names it, stands in them.
//!
//! Must not know: connections.

use std::io;

use rustls::{AlertDescription, Error};

/// What it means that the other side ended it in the words of TLS, if it did; as of 1.3, it may do so about a certificate
/// when the handshake is over on this side. `shows` says whether it is shown a certificate.
pub(super) fn of(error: &io::Error, shows: bool) -> Option<String> {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => Some(words(*alert, shows)),
        _ => None,
    }
}

fn words(alert: AlertDescription, shows: bool) -> String {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        DecryptError, HandshakeFailure, NoCertificate, UnknownCA, UnsupportedCertificate,
    };
    let what = match (alert, shows) {
        (CertificateRequired | NoCertificate, false) => {
            "the destination asks who calls and is shown nothing; its `tls` has no `certificate` and `key`"
        }
        (CertificateRequired | NoCertificate, true) => {
            "the destination asks who calls, and for another kind of certificate than it could be shown"
        }
        (UnknownCA, true) => "the destination does not know who signed the certificate that it is shown",
        (CertificateExpired, true) => "the destination finds that the certificate that it is shown has expired",
        (CertificateRevoked, true) => "the destination finds that the certificate that it is shown was revoked",
        (
            BadCertificate
            | UnsupportedCertificate
            | CertificateUnknown
            | AccessDenied
            | DecryptError
            | HandshakeFailure,
            true,
        ) => "the destination broke off, perhaps because of the certificate that it is shown",
        // What a server of TLS 1.2 says for want of a word of its own (RFC 5246, 7.4.6).
        (HandshakeFailure, false) => {
            "the destination broke off: it takes no TLS that is offered, or asks who calls and is shown nothing"
        }
        _ => "the destination broke off",
    };
    format!("{what} ({alert:?})")
}

#[cfg(test)]
mod tests;

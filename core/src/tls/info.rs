//! What a finished handshake tells.

use rustls::{CommonState, ProtocolVersion};

use crate::proto::{TlsInfo, TlsVersion};

/// What is known after a handshake. `asked_for` is the server name that the client sent: a server knows it, a client says `None`.
/// Before the handshake has ended there is nothing to tell.
pub(crate) fn tls_info(connection: &CommonState, asked_for: Option<&str>) -> Option<TlsInfo> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
        ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
        _ => return None,
    };
    let suite = connection.negotiated_cipher_suite()?.suite();
    // rustls writes `TLS13_AES_128_GCM_SHA256` where IANA has `TLS_AES_128_GCM_SHA256` (RFC 8446 appendix B.4).
    let cipher = suite.as_str().unwrap_or("unknown");
    let cipher = cipher
        .strip_prefix("TLS13_")
        .map_or_else(|| cipher.to_owned(), |rest| format!("TLS_{rest}"));
    let certificate = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.as_ref().to_vec());
    Some(
        TlsInfo::new(version, cipher)
            .with_server_name(asked_for.map(ToOwned::to_owned))
            .with_peer_certificate(certificate),
    )
}

//! What a finished handshake tells.

use rustls::{ConnectionCommon, HandshakeKind, ProtocolVersion};

use crate::proto::{TlsInfo, TlsVersion};

/// The label of tls-exporter (RFC 9266 section 2). Its context is empty, and it has 32 octets.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// What is known after a handshake. `asked_for` is the server name that the client sent: a server knows it, a client says `None`.
/// Before the handshake has ended there is nothing to tell.
pub(crate) fn tls_info<Data>(
    connection: &ConnectionCommon<Data>,
    asked_for: Option<&str>,
) -> Option<TlsInfo> {
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
    // RFC 9266 section 4.2: before TLS 1.3 the value is unique to the connection only with an extension that rustls does not tell
    // about, so there is none.
    let exporter = match version {
        TlsVersion::Tls13 => connection
            .export_keying_material([0; 32], EXPORTER, Some(b""))
            .ok(),
        TlsVersion::Tls12 => None,
    };
    Some(
        TlsInfo::new(version, cipher)
            .with_server_name(asked_for.map(ToOwned::to_owned))
            .with_peer_certificate(certificate)
            .with_exporter(exporter)
            .with_resumed(connection.handshake_kind() == Some(HandshakeKind::Resumed)),
    )
}

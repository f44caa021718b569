//! Certificates that are wrong in one way each.

use mailwire::blocking::Server;
use mailwire::client::Options;
use mailwire::tls::{ClientTls, Pem, Pin, Roots, ServerTls, TlsPolicy};
use mailwire::{Phase, Status};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};

use super::Table;
use crate::send;

pub(super) fn add(table: &mut Table) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "ours");
    let ours = CertifiedIssuer::self_signed(params.clone(), KeyPair::generate().unwrap()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "theirs");
    let theirs = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();

    let mut check = |fault, change: fn(&mut CertificateParams), signer, status, hint| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = match signer {
            Some(signer) => params.signed_by(&key, signer),
            None => params.self_signed(&key),
        };
        let (certificate, key) = (
            Pem::bytes(certificate.unwrap().pem()),
            Pem::bytes(key.serialize_pem()),
        );
        let mut options = mailwire::server::Options::new();
        options.set_tls(ServerTls::new(&certificate, &key).unwrap());
        let server = Server::start(options).unwrap();
        let mut options = Options::new();
        let port = server.addresses()[0].port();
        options.set_server("127.0.0.1", Some(port)).unwrap();
        options.set_tls(TlsPolicy::Required);
        options.set_tls_name("localhost").unwrap();
        let roots = Roots::Only(vec![Pem::bytes(ours.pem())]);
        let mut tls = ClientTls::new().with_roots(&roots).unwrap();
        if fault == "another key" {
            tls = tls.with_pins(&[Pin::of_certificate(ours.der()).unwrap()]);
        }
        options.set_client_tls(tls);
        let error = send(options, &["a@x.example"]).unwrap_err();
        table.add(fault, &error, (status, Phase::Tls), hint);
    };
    check(
        "certificate expired",
        |p| p.not_after = date_time_ymd(2020, 1, 1),
        Some(&ours),
        Status::CertificateExpired,
        "its operator must renew it",
    );
    check(
        "certificate not yet valid",
        |p| p.not_before = date_time_ymd(2090, 1, 1),
        Some(&ours),
        Status::CertificateNotYetValid,
        "is this machine's clock right?",
    );
    check(
        "certificate for another name",
        |p| *p = CertificateParams::new(["other.example".to_owned()]).unwrap(),
        Some(&ours),
        Status::CertificateName,
        "connect by a name it is for",
    );
    check(
        "unknown root",
        |_| {},
        Some(&theirs),
        Status::CertificateUntrusted,
        "if you know its authority, give the CA's file with ca=",
    );
    check(
        "self-signed",
        |_| {},
        None,
        Status::CertificateUntrusted,
        "is self-signed, so nobody vouches for it: if you know it to be the server's, give its file with ca=",
    );
    check(
        "certificate of another purpose",
        |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Some(&ours),
        Status::CertificateInvalid,
        "its operator must replace it",
    );
    check(
        "an authority's own certificate",
        |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        None,
        Status::CertificateInvalid,
        "it needs one of its own, without CA:TRUE",
    );
    check(
        "another key",
        |_| {},
        Some(&ours),
        Status::CertificateUntrusted,
        "ask for the new one's pin",
    );
}

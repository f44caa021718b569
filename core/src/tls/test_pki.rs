//! A throw-away certificate authority for tests, and certificates that are wrong in one way each.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};

use super::{ClientTls, Pem, Roots, ServerTls};

/// An authority with a key of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> Pem {
        Pem::bytes(self.text())
    }

    /// Its own certificate in PEM.
    pub(crate) fn text(&self) -> String {
        self.0.pem()
    }

    /// A client's options that trust this authority alone.
    pub(crate) fn client(&self) -> ClientTls {
        ClientTls::new()
            .with_roots(&Roots::Only(vec![self.pem()]))
            .unwrap()
    }

    /// A good certificate for these names, for servers and clients, changed by `change`.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn expired(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 29);
        })
    }

    pub(crate) fn not_yet_valid(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |params| {
            params.not_before = date_time_ymd(2090, 5, 6);
            params.not_after = date_time_ymd(2095, 1, 1);
        })
    }

    /// Its only name stands in its subject.
    pub(crate) fn common_name_only(&self, name: &str) -> Issued {
        self.issue_with(&[], |params| {
            params.distinguished_name.push(DnType::CommonName, name);
        })
    }

    /// For clients only.
    pub(crate) fn wrong_purpose(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }
}

impl Issued {
    pub(crate) fn certificate(&self) -> Pem {
        Pem::bytes(self.certificate.as_str())
    }

    pub(crate) fn key(&self) -> Pem {
        Pem::bytes(self.key.as_str())
    }

    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::new(&self.certificate(), &self.key()).unwrap()
    }
}

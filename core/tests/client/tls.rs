//! What an outcome tells about TLS, with a server of our own at the other end.

use std::time::Duration;

use mailwire::blocking::{Call, Client, Server};
use mailwire::client::{Content, OnRefused, Options};
use mailwire::proto::{Reply, TlsInfo};
use mailwire::tls::{ClientTls, Pem, Roots, ServerTls, TlsPolicy};
use mailwire::{Delivery, server};

use crate::{MESSAGE, envelope};

#[test]
fn the_outcome_tells_the_state_of_tls_on_success_and_on_failure() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = Pem::bytes(issued.cert.pem());
    let key = Pem::bytes(issued.signing_key.serialize_pem());
    let mut options = server::Options::new();
    options.set_tls(ServerTls::new(&certificate, &key).unwrap());
    let server = Server::start(options).unwrap();
    let mut options = Options::new();
    let port = server.addresses()[0].port();
    options.set_server("localhost", Some(port)).unwrap();
    let trusting = ClientTls::new().with_roots(&Roots::Only(vec![certificate]));
    options.set_client_tls(trusting.unwrap());
    options.set_on_refused(OnRefused::RaiseIfAny);

    for policy in [TlsPolicy::Required, TlsPolicy::None] {
        options.set_tls(policy);
        let client = Client::new(options.clone()).unwrap();
        for delivery in [Delivery::Accepted, Delivery::Refused, Delivery::Unknown] {
            let soon = Duration::from_millis(500);
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let wait = Some(Duration::from_secs(20));
                    let mut event = server.next_event(wait, Call::default()).unwrap().unwrap();
                    match delivery {
                        Delivery::Accepted => event.accept().unwrap(),
                        Delivery::Unknown => std::thread::sleep(soon * 2),
                        _ => event.reply(Reply::new(554, "no").unwrap()).unwrap(),
                    }
                });
                let content = Content::bytes(MESSAGE);
                let call = Call {
                    deadline: (delivery == Delivery::Unknown).then_some(soon),
                    ..Call::default()
                };
                match client.send(&envelope(&["you@localhost"]), content, call) {
                    Ok(outcome) => outcome,
                    Err(error) => error.outcome().unwrap().clone(),
                }
            });
            assert_eq!(outcome.delivery(), delivery);
            let version = outcome.tls().map(|tls| tls.version().name());
            let cipher = outcome.tls().map(TlsInfo::cipher);
            if policy == TlsPolicy::None {
                assert_eq!((version, cipher), (None, None));
            } else {
                assert_eq!(version, Some("TLSv1.3"));
                assert!(cipher.unwrap().starts_with("TLS_"), "{cipher:?}");
            }
        }
    }
}

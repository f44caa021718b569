//! What is asked of a server apart from sending mail, and on whose behalf a session speaks.

use std::time::Duration;

use mailwire::blocking::{Call, Cancel, Client};
use mailwire::client::{Connection, Options, Request};
use mailwire::proto::{Attribute, ClientAttributes, ClientText};
use mailwire::sasl::Credentials;
use mailwire::{Phase, Status};

use crate::script::Server;
use crate::{MESSAGE, envelope, options};

fn ask(options: Options, request: Request<'_>) -> Result<String, mailwire::Error> {
    let client = Client::new(options).unwrap();
    let reply = client.ask(request, Call::default())?;
    Ok(format!(
        "{} {}",
        reply.code(),
        reply.text().replace('\n', "/")
    ))
}

#[test]
fn each_request_is_its_command_and_gives_the_reply_whatever_it_says() {
    let cases = [
        (Request::Noop, "NOOP", "250 2.0.0 ok\n", "250 ok"),
        (
            Request::Verify("joe"),
            "VRFY joe",
            "252 2.1.5 try\n",
            "252 try",
        ),
        (
            Request::Verify("jürgen"),
            "VRFY jürgen SMTPUTF8",
            "550 none\n",
            "550 none",
        ),
        (
            Request::Expand("staff"),
            "EXPN staff",
            "250-<a@x.example>\n250 <b@x.example>\n",
            "250 <a@x.example>/<b@x.example>",
        ),
        (
            Request::Help(""),
            "HELP",
            "214 see the RFC\n",
            "214 see the RFC",
        ),
        (Request::Help("MAIL"), "HELP MAIL", "504 no\n", "504 no"),
        (
            Request::StartQueue("@x.example"),
            "ETRN @x.example",
            "253 4 pending\n",
            "253 4 pending",
        ),
        (
            Request::Extension {
                verb: "XSTATUS",
                argument: "all",
            },
            "XSTATUS all",
            "250 well\n",
            "250 well",
        ),
        (
            Request::Extension {
                verb: "XSTATUS",
                argument: "",
            },
            "XSTATUS",
            "502 5.5.1 no\n",
            "502 no",
        ),
    ];
    for (request, command, reply, expected) in cases {
        let server = Server::once(move |s| {
            s.welcome(&["SMTPUTF8", "ETRN"]);
            s.hear(command);
            s.say(reply);
            s.goodbye();
        });
        assert_eq!(ask(options(&server), request).unwrap(), expected);
        server.join();
    }
}

#[test]
fn what_the_server_does_not_offer_and_what_is_no_command_is_not_sent() {
    let cases = [
        (
            Request::StartQueue("x.example"),
            Status::NotSupported,
            "ETRN",
        ),
        (Request::Verify("jürgen"), Status::NotSupported, "SMTPUTF8"),
        (
            Request::Verify("joe\r\nRSET"),
            Status::InvalidArgument,
            "control",
        ),
        (
            Request::Extension {
                verb: "MAIL",
                argument: "FROM:<>",
            },
            Status::Misuse,
            "MAIL",
        ),
        (
            Request::Extension {
                verb: "X STATUS",
                argument: "",
            },
            Status::InvalidArgument,
            "verb",
        ),
    ];
    for (request, status, word) in cases {
        let server = Server::once(|s| {
            s.welcome(&[]);
            s.goodbye();
        });
        let error = ask(options(&server), request).unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (status, Some(Phase::Command))
        );
        assert!(error.to_string().contains(word), "{error}");
        server.join();
    }
}

#[test]
fn a_connection_that_asked_carries_mail_afterwards_and_one_that_died_is_replaced() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&[]);
            s.hear("NOOP");
            s.say("250 ok\n");
            s.accept_one();
            s.hear("NOOP");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&[]);
            s.hear("NOOP");
            s.say("250 ok\n");
            s.hear("XPAY 1");
            s.hang_up();
        }),
    ]);
    let client = Client::new(options(&server)).unwrap();
    let ask = |request| client.ask(request, Call::default());
    assert!(ask(Request::Noop).unwrap().is_positive());
    let content = mailwire::client::Content::bytes(MESSAGE);
    client
        .send(&envelope(&["a@x.example"]), content, Call::default())
        .unwrap();
    assert!(
        ask(Request::Noop).unwrap().is_positive(),
        "over a second connection"
    );
    // The server may have heard it.
    let pay = Request::Extension {
        verb: "XPAY",
        argument: "1",
    };
    let error = ask(pay).unwrap_err();
    assert_eq!(error.status(), Status::ConnectionLost);
    drop(client);
    server.join();
}

#[test]
fn a_server_that_closes_or_says_nothing_is_an_error_that_says_so() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear("HELP");
        s.say("421 4.3.2 going down\n");
        s.hang_up();
    });
    let error = ask(options(&server), Request::Help("")).unwrap_err();
    assert_eq!(error.reply().unwrap().code(), 421);
    server.join();

    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear("HELP");
        s.closed();
    });
    let mut slow = options(&server);
    slow.set_timeout(Some(Duration::from_secs(3))).unwrap();
    let error = ask(slow, Request::Help("")).unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Command))
    );
    server.join();
}

#[test]
fn asking_can_be_cancelled_and_the_connection_is_not_used_again() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::once(move |s| {
        s.welcome(&[]);
        s.hear("NOOP");
        tell.send(()).unwrap();
        s.closed();
    });
    let client = Client::new(options(&server)).unwrap();
    let cancel = Cancel::new().unwrap();
    let call = Call {
        cancel: Some(&cancel),
        ..Call::default()
    };
    let error = std::thread::scope(|scope| {
        let cancel = &cancel;
        scope.spawn(move || {
            told.recv().unwrap();
            cancel.signal();
        });
        client.ask(Request::Noop, call).unwrap_err()
    });
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Cancelled, Some(Phase::Command))
    );
    assert!(error.peer().is_some());
    drop(client);
    server.join();
}

#[test]
fn a_session_speaks_for_a_client_before_it_logs_in() {
    let server = Server::once(|s| {
        s.welcome(&["XCLIENT ADDR LOGIN", "AUTH PLAIN"]);
        s.hear("XCLIENT ADDR=192.0.2.7 LOGIN=joe");
        s.say("220 once more\n");
        s.hear_start("EHLO ");
        s.say("250-script.example\n250 AUTH PLAIN\n");
        s.hear_start("AUTH PLAIN ");
        s.say("235 2.7.0 ok\n");
        s.hear("NOOP");
        s.say("250 ok\n");
        s.goodbye();
    });
    let mut speaking = options(&server);
    speaking.set_speak_for(joe()).unwrap();
    speaking.set_credentials(Credentials::new("proxy", "secret").unwrap());
    speaking.set_tls(mailwire::tls::TlsPolicy::None);
    speaking.set_allow_plaintext_auth(true);
    assert_eq!(ask(speaking, Request::Noop).unwrap(), "250 ok");
    server.join();
}

#[test]
fn a_server_that_lets_nobody_speak_for_others_gets_no_mail() {
    for (offered, reply, status) in [
        ("PIPELINING", "", Status::NotSupported),
        ("XCLIENT ADDR", "", Status::NotSupported),
        (
            "XCLIENT ADDR LOGIN",
            "550 5.7.0 not you\n",
            Status::Permanent,
        ),
    ] {
        let server = Server::once(move |s| {
            s.welcome(&[offered]);
            if !reply.is_empty() {
                s.hear_start("XCLIENT ");
                s.say(reply);
            }
            s.goodbye();
        });
        let mut speaking = options(&server);
        speaking.set_speak_for(joe()).unwrap();
        let error = ask(speaking, Request::Noop).unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (status, Some(Phase::Command))
        );
        server.join();
    }
}

#[test]
fn nothing_to_say_about_a_client_is_refused_at_once() {
    let error = Options::new()
        .set_speak_for(ClientAttributes::default())
        .unwrap_err();
    assert!(error.to_string().contains("speak_for"), "{error}");
}

#[tokio::test]
async fn an_async_connection_asks_too() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear("NOOP");
        s.say("250 ok\n");
        s.goodbye();
    });
    let mut connection = Connection::open(&options(&server)).await.unwrap();
    assert!(connection.ask(Request::Noop).await.unwrap().is_positive());
    assert!(connection.is_usable());
    connection.quit().await;
    tokio::task::spawn_blocking(|| server.join()).await.unwrap();
}

fn joe() -> ClientAttributes {
    ClientAttributes {
        address: Some(Attribute::Known("192.0.2.7".parse().unwrap())),
        login: ClientText::new("joe").map(Attribute::Known),
        ..ClientAttributes::default()
    }
}

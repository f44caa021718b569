//! A client that nobody here wrote, and that is there wherever this is built: Python's smtplib.

use std::process::Stdio;

use mailwire::sasl::{Mechanism, Secret};
use tokio::process::Command;

use crate::peers::serve;

/// Logs in by one mechanism, and prints how that ended.
const PROGRAM: &str = r#"
import smtplib, sys
port, mechanism, user, password = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port), timeout=20) as client:
    client.ehlo()
    client.user, client.password = user, password
    method = getattr(client, "auth_" + mechanism.lower().replace("-", "_"))
    try:
        print(client.auth(mechanism, method, initial_response_ok=False)[0])
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code)
    client.sendmail("a@b.example", ["c@d.example"], b"x\r\n")
"#;

#[tokio::test]
async fn smtplib_logs_in_by_cram_md5_plain_and_login() {
    for mechanism in [Mechanism::CramMd5, Mechanism::Plain, Mechanism::Login] {
        let server = serve(|options| {
            options.add_user("tim", Secret::new("right")).unwrap();
            options.set_mechanisms(&[mechanism]).unwrap();
            options.set_allow_plaintext_auth(true);
            options.set_auth_required(false);
        });
        for (password, code, user) in [("right", "235", "tim"), ("wrong", "535", "(nobody)")] {
            let ended = Command::new("python3")
                .args(["-c", PROGRAM, &server.port.to_string()])
                .args([mechanism.name(), "tim", password])
                .stdin(Stdio::null())
                .output()
                .await
                .unwrap();
            let (said, complaints) = (
                String::from_utf8_lossy(&ended.stdout),
                String::from_utf8_lossy(&ended.stderr),
            );
            assert_eq!(said.trim(), code, "{mechanism:?}: {complaints}");
            assert!(ended.status.success(), "{complaints}");
            assert_eq!(server.application.users().last().unwrap(), user);
        }
    }
}

//! Writes a certificate for 127.0.0.1 (P-256), which is its own authority, and its key: what every listener shows that is measured
//! over TLS.
//!
//!     bench-certificate --certificate FILE --key FILE

use std::error::Error;

use mailwire_bench::Arguments;
use rcgen::generate_simple_self_signed;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(arguments.text("certificate", ""), made.cert.pem())?;
    std::fs::write(arguments.text("key", ""), made.signing_key.serialize_pem())?;
    Ok(())
}

//! A certificate and its key in files, for a program whose environment names them.
//! Does not start it.

use tempfile::TempDir;
use wsworker::Tls;

/// The files, there as long as this is, and what is in them.
pub struct Files {
    pub tls: Tls,
    dir: TempDir,
}

impl Files {
    /// For the name `localhost` and the address 127.0.0.1.
    pub fn new() -> Files {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = rcgen::CertificateParams::new(names).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.pem"), &certificate).unwrap();
        std::fs::write(dir.path().join("k.pem"), key.serialize_pem()).unwrap();
        let tls = Tls::pem(certificate, key.serialize_pem());
        Files { tls, dir }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// What a program's environment holds for them.
    pub fn env(&self) -> [(&'static str, String); 2] {
        [
            ("WSWORKER_TLS_CERT", self.path("c.pem")),
            ("WSWORKER_TLS_KEY", self.path("k.pem")),
        ]
    }
}

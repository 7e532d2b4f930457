//! The oracle: the openssl command line in a temporary folder, and authorities to test with.

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::{create_issuing, create_root};
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::issue::{Issuer, Serial};
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use futures_util::FutureExt;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

/// The outcome of a future that waits for nobody: keys of this process sign when they are asked.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a key of this process made its caller wait")
}

/// A new key of this process.
pub(crate) fn new_key(kind: KeyKind) -> Arc<SoftwareSigner> {
    Arc::new(SoftwareSigner::generate(kind).unwrap())
}

pub(crate) struct Oracle {
    folder: TempDir,
}

impl Oracle {
    /// Fails loudly where there is no openssl: a skipped oracle proves nothing.
    pub(crate) fn new() -> Self {
        let oracle = Self { folder: TempDir::new().unwrap() };
        oracle.run(&["version"]);
        oracle
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        name.to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn try_run(&self, args: &[&str]) -> Output {
        command(self.folder.path(), args)
            .output()
            .expect("these tests need the openssl command line (Debian: apt install openssl)")
    }

    /// Runs openssl, which must succeed; returns what it printed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "openssl {args:?} failed:\n{text}");
        text
    }

    /// A request as DER. `key` and `extra` are words of `openssl req`.
    pub(crate) fn request(&self, common_name: &str, key: &str, extra: &str) -> Vec<u8> {
        let subject = format!("/CN={common_name}");
        let mut args =
            vec!["req", "-new", "-nodes", "-keyout", "request.key", "-outform", "DER", "-out", "request.der"];
        args.extend(["-subj", subject.as_str()]);
        args.extend(key.split_whitespace());
        args.extend(extra.split_whitespace());
        self.run(&args);
        self.read("request.der")
    }

    /// `openssl verify -x509_strict`; `leaf`, `untrusted` and `root` are PEM.
    pub(crate) fn verify(&self, purpose: &str, leaf: &str, untrusted: &str, root: &str, extra: &[&str]) -> Output {
        self.write("leaf.pem", leaf);
        // openssl refuses an empty file; the root among the untrusted changes nothing.
        self.write("untrusted.pem", if untrusted.is_empty() { root } else { untrusted });
        self.write("root.pem", root);
        let mut args =
            vec!["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root.pem", "-untrusted", "untrusted.pem"];
        args.extend(extra);
        args.push("leaf.pem");
        self.try_run(&args)
    }
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(args);
    command
}

pub(crate) fn assert_ok(output: &Output, what: &str) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("OK"), "{what}:\n{text}");
}

/// A root and an issuing CA under it.
pub(crate) struct Pair {
    pub(crate) root: Issuer,
    pub(crate) issuing: Issuer,
    pub(crate) now: Timestamp,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::at(SystemClock.now())
    }

    pub(crate) fn at(now: Timestamp) -> Self {
        let root = root_at(now);
        let profile = Profile::issuing(SubjectName::parse("CN=Policy A,O=Plant 7").unwrap(), None).unwrap();
        let issuing = ready(create_issuing(&root, &profile, new_key(KeyKind::P384), &SystemRandom, now)).unwrap();
        Self { root, issuing, now }
    }

    /// A leaf with a new P-256 key.
    pub(crate) fn leaf(&self, common_name: &str) -> Certificate {
        issue(&self.issuing, &Profile::leaf(leaf_fields(common_name)).unwrap(), self.now)
    }
}

/// A certificate with a new P-256 key.
pub(crate) fn issue(issuer: &Issuer, profile: &Profile, now: Timestamp) -> Certificate {
    let key = SoftwareSigner::generate(KeyKind::P256).unwrap();
    let serial = Serial::random(&SystemRandom);
    ready(issuer.prepare(profile, key.public_key_info_der(), serial, now).unwrap().issue()).unwrap()
}

pub(crate) fn root_at(now: Timestamp) -> Issuer {
    let name = SubjectName::parse("CN=Test Root,O=Plant 7").unwrap();
    ready(create_root(name, new_key(KeyKind::P384), &SystemRandom, now)).unwrap()
}

pub(crate) fn leaf_fields(common_name: &str) -> LeafFields {
    LeafFields {
        common_name: common_name.to_owned(),
        days: 30,
        credential_id: Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef),
        crl_url: Some("http://pki.test:8080/crl/policy-a.crl".to_owned()),
        issuer_url: Some("http://pki.test:8080/ca/policy-a.cer".to_owned()),
    }
}

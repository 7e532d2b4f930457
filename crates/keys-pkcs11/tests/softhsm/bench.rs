//! A token of SoftHSM2 in a temporary folder.

use ferrohub_clock::SystemClock;
use ferrohub_keys_pkcs11::{Pin, Pkcs11Keys, Settings};
use ferrohub_model::clock::Clock;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// PIN of the token's user.
pub(crate) const PIN: &str = "8642";
const LABEL: &str = "plant-token";
/// SoftHSM's own variable.
const CONF: &str = "SOFTHSM2_CONF";
/// Says to a process that it is the inner one, and where its token is.
const INNER: &str = "FERROHUB_TEST_TOKEN";
/// Where Debian and Fedora put the library.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// The folder of a token.
pub(crate) struct Bench(PathBuf);

/// Runs `test` in another process of this program, which has a token of its own. `name` is the test that calls.
pub(crate) fn in_a_process_of_its_own(name: &str, test: impl AsyncFnOnce(&Bench)) {
    if let Some(folder) = std::env::var_os(INNER) {
        let bench = Bench(folder.into());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test(&bench));
        return;
    }
    let folder = TempDir::new().unwrap();
    let conf = make_token(folder.path());
    let mut inner = Command::new(std::env::current_exe().unwrap());
    inner.args([name, "--exact", "--nocapture"]).env(CONF, conf).env(INNER, folder.path());
    let output = inner.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "in a process of its own:\n{text}");
}

fn make_token(folder: &Path) -> PathBuf {
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = folder.join("softhsm2.conf");
    std::fs::write(&conf, format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display()))
        .unwrap();
    let mut init = Command::new("softhsm2-util");
    init.args(["--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "9753"]).env(CONF, &conf);
    let output = init.output().expect("this test needs SoftHSM2 (Debian: apt install softhsm2 opensc)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    conf
}

impl Bench {
    pub(crate) fn module(&self) -> PathBuf {
        let found = MODULES.iter().map(PathBuf::from).find(|path| path.exists());
        found.expect("SoftHSM2's library is in none of the usual places")
    }

    pub(crate) fn pin(&self) -> Pin {
        Pin::Given(PIN.to_owned().into())
    }

    /// The engine, as a start of the program makes it.
    pub(crate) fn keys(&self) -> Pkcs11Keys {
        self.keys_with(self.pin(), self.module())
    }

    pub(crate) fn keys_with(&self, pin: Pin, module: PathBuf) -> Pkcs11Keys {
        Pkcs11Keys::new(Settings { module, token: LABEL.into(), pin }, SystemClock::shared()).unwrap()
    }

    pub(crate) fn keys_labelled(&self, token: &str) -> Pkcs11Keys {
        let settings = Settings { module: self.module(), token: token.into(), pin: self.pin() };
        Pkcs11Keys::new(settings, SystemClock::shared()).unwrap()
    }

    /// Writes a file with a PIN, and gives its path.
    pub(crate) fn pin_file(&self, pin: &str) -> PathBuf {
        let path = self.0.join("pin");
        std::fs::write(&path, format!("{pin}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A little longer than the engine waits between two tries.
    pub(crate) async fn pause(&self) {
        SystemClock.sleep(Duration::from_millis(1100)).await;
    }

    pub(crate) fn pull_out(&self) {
        std::fs::rename(self.0.join("tokens"), self.0.join("drawer")).unwrap();
        std::fs::create_dir(self.0.join("tokens")).unwrap();
    }

    pub(crate) fn plug_in(&self) {
        std::fs::remove_dir_all(self.0.join("tokens")).unwrap();
        std::fs::rename(self.0.join("drawer"), self.0.join("tokens")).unwrap();
    }

    /// What OpenSC's tool, which is no part of Ferrohub, says of the token.
    pub(crate) fn pkcs11_tool(&self, arguments: &[&str]) -> String {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(self.module()).args(["--token-label", LABEL, "--login", "--pin", PIN]);
        let output = tool.args(arguments).output().expect("this test needs pkcs11-tool (Debian: apt install opensc)");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}");
        text
    }
}

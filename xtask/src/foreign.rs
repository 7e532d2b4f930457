//! Clients that nobody here wrote: their packages, at pinned versions below the target folder, and pytest.

mod halves;

use crate::step::{cargo, output, program, root, run as run_step, say, target};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that the tests call, with the Debian package that has each.
const PROGRAMS: [(&str, &str); 12] = [
    ("openssl", "openssl"),
    ("cc", "gcc"),
    ("patch", "patch"),
    ("python3", "python3-venv"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("swtpm", "swtpm"),
    ("tpm2_activatecredential", "tpm2-tools"),
    ("softhsm2-util", "softhsm2"),
    ("pkcs11-tool", "opensc"),
    ("age", "age"),
    ("ip", "iproute2"),
];
/// pytest's exit code where a filter matches nothing.
const NOTHING_COLLECTED: i32 = 5;

/// Runs pytest over `tests/` with `arguments`; without any, all of it in halves.
///
/// # Errors
/// What could not be installed or built, or that a test failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let clients = Clients::prepare()?;
    match arguments {
        [] => halves::run(&clients),
        _ => run_step("foreign clients", clients.pytest().args(arguments)),
    }
}

/// As [`run`], limited to tests whose names match `filter`.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_filtered(filter: &str) -> Result<(), String> {
    let mut command = Clients::prepare()?.pytest();
    command.args(["-k", filter]);
    let status = command.status().map_err(|error| format!("cannot start pytest: {error}"))?;
    match status.code() {
        Some(0 | NOTHING_COLLECTED) => Ok(()),
        _ => Err(format!("foreign clients: {status}")),
    }
}

/// What pytest needs, installed and built.
struct Clients {
    sdk: PathBuf,
    az: PathBuf,
    node: PathBuf,
    judged: PathBuf,
    properties: PathBuf,
    binary: PathBuf,
}

impl Clients {
    fn prepare() -> Result<Self, String> {
        install_programs()?;
        let sdk = environment("sdk", "requirements.txt")?;
        Ok(Self {
            az: environment("az", "requirements-az.txt")?,
            node: node_packages()?,
            judged: judged_packages(&sdk)?,
            properties: environment("properties", "requirements-properties.txt")?,
            binary: server()?,
            sdk,
        })
    }

    /// pytest, without arguments.
    fn pytest(&self) -> Command {
        self.with_surroundings(program(self.python()))
    }

    /// pytest in a network of its own, without arguments.
    fn pytest_apart(&self) -> Command {
        let mut command = program("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(self.python());
        self.with_surroundings(command)
    }

    fn python(&self) -> PathBuf {
        self.sdk.join("bin").join("python")
    }

    fn with_surroundings(&self, mut command: Command) -> Command {
        // In that folder, so that paths among the arguments are the names of test files.
        command.current_dir(tests()).args(["-m", "pytest"]).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("FERROHUB_TEST_BINARY", &self.binary).env("FERROHUB_TEST_AZ", self.az.join("bin").join("az"));
        command.env("FERROHUB_TEST_NODE", &self.node).env("FERROHUB_TEST_JUDGED", &self.judged);
        command.env("FERROHUB_TEST_PROPERTIES", &self.properties);
        command
    }
}

fn tests() -> PathBuf {
    root().join("tests")
}

/// Builds the program that clients are tried on. A test is built beside it, and all packages are chosen as for the Rust tests, for then
/// what it stands on has the features that it has there: nearly all of it would be compiled once more otherwise.
///
/// # Errors
/// That it does not build.
pub(crate) fn server() -> Result<PathBuf, String> {
    let chosen =
        ["--workspace", "--features", "ferrohub-keys-pkcs11/softhsm", "--bin", "ferrohub", "--test", "softhsm"];
    run_step("build", cargo(&["build", "--locked"]).args(chosen))?;
    Ok(target().join("debug").join("ferrohub"))
}

/// The programs that pytest and the Rust tests call.
pub(crate) fn install_programs() -> Result<(), String> {
    install_missing(&PROGRAMS)
}

/// Asks Debian's package manager for what is missing, and for nothing where all is there.
pub(crate) fn install_missing(programs: &[(&str, &'static str)]) -> Result<(), String> {
    let missing: Vec<&str> = programs.iter().filter(|(name, _)| !is_there(name)).map(|&(_, package)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    run_step("apt-get update", program("apt-get").args(["update", "--quiet"]))?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    run_step("apt-get install", program("apt-get").args(install).args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_there(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// A folder with exactly the Node packages that `tests/node` locks; made where it is missing or the lock has changed.
fn node_packages() -> Result<PathBuf, String> {
    let folder = target().join("foreign").join("node");
    let source = tests().join("node");
    let wanted = read(&source.join("package-lock.json"))?;
    let stamp = folder.join("installed.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    write(&folder.join("package.json"), &read(&source.join("package.json"))?)?;
    write(&folder.join("package-lock.json"), &wanted)?;
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run_step("npm ci", program("npm").args(arguments).current_dir(&folder).stdin(Stdio::null()))?;
    write(&stamp, &wanted)?;
    Ok(folder)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A Python environment that holds exactly what a requirements file of `tests/` names; made where it is
/// missing or the file has changed.
fn environment(name: &str, requirements: &str) -> Result<PathBuf, String> {
    let folder = target().join("foreign").join(name);
    let source = tests().join(requirements);
    let wanted = read(&source)?;
    let stamp = folder.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    }
    run_step(&format!("Python environment {name}"), program("python3").args(["-m", "venv"]).arg(&folder))?;
    install(name, &folder, &source)?;
    write(&stamp, &wanted)?;
    Ok(folder)
}

/// A folder with one folder for each package of `requirements-judged.txt`, without what it depends on, which the environment
/// `sdk` has: so two versions of one package can be judged in one run.
fn judged_packages(sdk: &Path) -> Result<PathBuf, String> {
    let folder = target().join("foreign").join("judged");
    let wanted = read(&tests().join("requirements-judged.txt"))?;
    for line in wanted.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let package = folder.join(line.trim().replacen("==", "-", 1));
        // pip writes the folder last of all, and only when all went well.
        if package.exists() {
            continue;
        }
        let arguments = ["-m", "pip", "install", "--no-input", "--no-cache-dir", "--quiet", "--no-deps", "--target"];
        let mut pip = program(sdk.join("bin").join("python"));
        run_step(&format!("pip install {line}"), pip.args(arguments).arg(&package).arg(line).stdin(Stdio::null()))?;
    }
    Ok(folder)
}

fn install(name: &str, folder: &Path, requirements: &Path) -> Result<(), String> {
    let pip = || {
        let mut command = program(folder.join("bin").join("python"));
        command.args(["-m", "pip"]).stdin(Stdio::null());
        command
    };
    let arguments = ["install", "--no-input", "--no-cache-dir", "--quiet", "--requirement"];
    run_step(&format!("pip install for {name}"), pip().args(arguments).arg(requirements))?;
    // Versions that exclude each other would make failures that look like ours.
    let verdict = output("pip check", pip().arg("check"))?;
    say(verdict.trim());
    Ok(())
}

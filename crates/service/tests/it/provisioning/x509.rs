//! Certificates of openssl's in one folder, and devices that present them.

use super::world::{World, openssl};
use ferrohub_model::error::Error;
use ferrohub_service::hub::DeviceLogin;
use ferrohub_service::provisioning::EnrollmentKind::Group;
use ferrohub_service::provisioning::{DeviceCaller, EnrollmentKind, RegisterRequest};
use serde_json::{Value, json};

pub(super) const CA: &str = "basicConstraints=critical,CA:TRUE";
pub(super) const CERT_SIGN: &str = "keyUsage=critical,keyCertSign,cRLSign";
pub(super) const LEAF: &str = "extendedKeyUsage=clientAuth";
const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// What a certificate is made with besides its names.
pub(super) struct Kind<'a> {
    pub(super) key: &'a [&'a str],
    pub(super) digest: &'a str,
    pub(super) extensions: &'a [&'a str],
    /// Valid in 2020 only.
    pub(super) expired: bool,
}

pub(super) const DEVICE: Kind<'static> = Kind { key: P256, digest: "-sha256", extensions: &[LEAF], expired: false };
pub(super) const AUTHORITY: Kind<'static> =
    Kind { key: P256, digest: "-sha256", extensions: &[CA, CERT_SIGN, "subjectKeyIdentifier=hash"], expired: false };

impl World {
    /// A certificate in files called `name`, for `subject`, by the certificate `issuer` or by itself. Returns its DER.
    pub(super) fn certificate(&self, name: &str, subject: &str, issuer: Option<&str>, kind: &Kind<'_>) -> Vec<u8> {
        let folder = self.folder.path();
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, csr, ext, pem) = (file("key"), file("csr"), file("ext"), file("pem"));
        let subject = format!("/CN={subject}");
        std::fs::write(folder.join(&ext), format!("[extensions]\n{}", kind.extensions.join("\n"))).unwrap();
        let request = ["req", "-new", "-nodes", "-keyout", &key, "-out", &csr, "-subj", &subject, "-newkey"];
        openssl(folder, &[&request, kind.key].concat());
        let own = (pem.clone(), key.clone());
        let (ca, ca_key) = issuer.map_or(own, |issuer| (format!("{issuer}.pem"), format!("{issuer}.key")));
        if kind.expired {
            let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial.txt\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n";
            std::fs::write(folder.join("ca.cnf"), config).unwrap();
            std::fs::write(folder.join("index.txt"), "").unwrap();
            let dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"];
            let by = ["ca", "-batch", "-config", "ca.cnf", "-rand_serial", "-notext", "-in", &csr, "-out", &pem];
            let sign = if issuer.is_some() {
                vec!["-cert", &ca, "-keyfile", &ca_key]
            } else {
                vec!["-selfsign", "-keyfile", &key]
            };
            openssl(folder, &[&by[..], &dates, &sign, &["-extfile", &ext, "-extensions", "extensions"]].concat());
        } else {
            let by = ["x509", "-req", "-in", &csr, "-days", "365", "-out", &pem, kind.digest];
            let sign = match issuer {
                Some(_) => vec!["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"],
                None => vec!["-signkey", &key],
            };
            openssl(folder, &[&by[..], &sign, &["-extfile", &ext, "-extensions", "extensions"]].concat());
        }
        openssl(folder, &["x509", "-in", &pem, "-outform", "DER"])
    }

    /// The text of a certificate made before.
    pub(super) fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{name}.pem"))).unwrap()
    }

    /// Writes an enrollment with this attestation by X.509, whatever there was.
    pub(super) async fn enroll_x509(&self, kind: EnrollmentKind, id: &str, x509: Value, extra: Value) -> Value {
        self.try_enroll(kind, id, json!({"type": "x509", "x509": x509}), extra).await.unwrap()
    }

    pub(super) async fn try_enroll(
        &self,
        kind: EnrollmentKind,
        id: &str,
        attestation: Value,
        extra: Value,
    ) -> Result<Value, Error> {
        let mut body = json!({ "attestation": attestation });
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (dps, caller) = (self.dps().await, self.caller().await);
        let there = self.service().enrollment(&caller, &dps, kind, id).await.is_ok().then_some("*");
        self.service().put_enrollment(&caller, &dps, kind, id, &body, there).await
    }

    /// Names a signing certificate made before in a new group.
    pub(super) async fn group_x509(&self, id: &str, ca: &str, extra: Value) -> Value {
        let x509 = json!({"signingCertificates": {"primary": {"certificate": self.pem(ca)}}});
        self.enroll_x509(Group, id, x509, extra).await
    }

    /// Registers with certificates and gives the final `registrationState`.
    pub(super) async fn register_x509(&self, id: &str, chain: &[&[u8]], csr: Option<String>) -> Result<Value, Error> {
        let peer_chain: Vec<Vec<u8>> = chain.iter().map(|der| der.to_vec()).collect();
        let request = RegisterRequest {
            id_scope: self.scope.clone(),
            registration_id: id.into(),
            peer_chain: peer_chain.clone(),
            csr,
            ..RegisterRequest::default()
        };
        let first = self.service().register(request).await?;
        let caller = DeviceCaller {
            id_scope: &self.scope,
            registration_id: id,
            api_version: None,
            authorization: None,
            peer_chain: &peer_chain,
            peer: Default::default(),
        };
        let done = self.service().operation_status(caller, &first.operation_id).await?;
        Ok(done.body["registrationState"].clone())
    }

    /// Why the device is refused, always with 401002.
    pub(super) async fn refused_x509(&self, id: &str, chain: &[&[u8]]) -> String {
        let error = self.register_x509(id, chain, None).await.unwrap_err();
        assert_eq!((error.http_status(), error.numeric_code()), (401, 401_002), "{error}");
        error.message
    }

    /// Whether the hub lets the device in with these certificates.
    pub(super) async fn connects(&self, device: &str, chain: &[&[u8]]) -> Result<(), String> {
        let login = DeviceLogin {
            host: self.hub_host.clone(),
            device_id: device.into(),
            module_id: None,
            model_id: None,
            token: None,
            peer_chain: chain.iter().map(|der| der.to_vec()).collect(),
            peer: Default::default(),
        };
        self.hubs().connect(login).await.map(drop).map_err(|error| error.message)
    }
}

//! One connection to a token: what is asked of it, as PKCS#11 says it.

use crate::encoding::{self, Kind};
use crate::fault::Fault;
use cryptoki::context::Pkcs11;
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use ferrohub_model::key_reference::KeyReference;
use ferrohub_pki::algorithm::{KeyKind, SignatureAlgorithm};
use quick_cache::unsync::Cache;
use std::fmt;

/// Handles that one connection remembers; of more, those that were not asked for of late are looked up again: ours.
const HANDLES: usize = 4096;

/// The name of a key in the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    id: [u8; 16],
    label: String,
}

impl Name {
    pub(crate) fn of(reference: &KeyReference) -> Self {
        Self { id: *reference.id.as_bytes(), label: format!("ferrohub:{}", reference.scope) }
    }

    fn attributes(&self) -> [Attribute; 2] {
        [Attribute::Id(self.id.to_vec()), Attribute::Label(self.label.as_bytes().to_vec())]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)?;
        f.write_str("/")?;
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key that is in the token.
pub(crate) struct Found {
    pub(crate) kind: KeyKind,
    pub(crate) public_key_info: Vec<u8>,
}

/// A session with a token, logged in.
pub(crate) struct Token {
    module: Pkcs11,
    session: Session,
    handles: Cache<Name, ObjectHandle>,
}

impl Token {
    /// Opens a session with the token of this label and logs in.
    pub(crate) fn connect(module: &Pkcs11, label: &str, pin: &str) -> Result<Self, Fault> {
        let slot = slot_of(module, label)?;
        let session = module.open_rw_session(slot)?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.into()))) {
            // All sessions of a process are logged in together.
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self { module: module.clone(), session, handles: Cache::new(HANDLES) })
    }

    /// Ends the session; gives the library back.
    pub(crate) fn close(self) -> Pkcs11 {
        // That a lost session does not close is why it is closed.
        let _ = self.session.close();
        self.module
    }

    /// Whether the token answers.
    pub(crate) fn alive(&self) -> Result<(), Fault> {
        self.session.get_session_info()?;
        Ok(())
    }

    /// Makes a key that never leaves the token.
    pub(crate) fn generate(&mut self, name: &Name, kind: &Kind) -> Result<Found, Fault> {
        if self.private(name)?.is_some() {
            return Err(Fault::Taken);
        }
        // Tokens let a key do what nobody asked for unless they are told not to.
        let mut public = vec![
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::Encrypt(false),
            Attribute::Wrap(false),
        ];
        public.extend(name.attributes());
        public.extend(kind.parameters());
        let mut private = vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
        ];
        private.extend(name.attributes());
        let (public, private) = self.session.generate_key_pair(&kind.mechanism(), &public, &private)?;
        let kept =
            self.is_kept(private).and_then(|kept| if kept { self.describe(public) } else { Err(gives_keys_out()) });
        if kept.is_err() {
            // What cannot be trusted, or not be described, is not left behind.
            let _ = self.session.destroy_object(private);
            let _ = self.session.destroy_object(public);
        }
        kept
    }

    /// The key of this name.
    pub(crate) fn find(&mut self, name: &Name) -> Result<Found, Fault> {
        let private = self.private(name)?.ok_or(Fault::NoKey)?;
        let public = self.object(name, ObjectClass::PUBLIC_KEY)?;
        let public = public.ok_or_else(|| Fault::Other(format!("the public half of the key {name} is gone")))?;
        let found = self.describe(public)?;
        self.remember(name, private);
        Ok(found)
    }

    /// Signs what [`encoding::to_sign`] made; the token's own form of a signature.
    pub(crate) fn sign(&mut self, name: &Name, algorithm: SignatureAlgorithm, input: &[u8]) -> Result<Vec<u8>, Fault> {
        let mechanism = encoding::mechanism(algorithm);
        let key = match self.handles.get(name) {
            Some(key) => *key,
            None => {
                let key = self.private(name)?.ok_or(Fault::NoKey)?;
                self.remember(name, key);
                key
            }
        };
        Ok(self.session.sign(&mechanism, key, input)?)
    }

    /// Destroys both halves of a key, the private one first: without it, what is left is found and destroyed again.
    pub(crate) fn destroy(&mut self, name: &Name) -> Result<(), Fault> {
        self.handles.remove(name);
        let mut destroyed = 0;
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            if let Some(object) = self.object(name, class)? {
                self.session.destroy_object(object)?;
                destroyed += 1;
            }
        }
        if destroyed == 0 { Err(Fault::NoKey) } else { Ok(()) }
    }

    fn private(&self, name: &Name) -> Result<Option<ObjectHandle>, Fault> {
        self.object(name, ObjectClass::PRIVATE_KEY)
    }

    fn object(&self, name: &Name, class: ObjectClass) -> Result<Option<ObjectHandle>, Fault> {
        let mut template = vec![Attribute::Token(true), Attribute::Class(class)];
        template.extend(name.attributes());
        Ok(self.session.find_objects(&template)?.first().copied())
    }

    fn remember(&mut self, name: &Name, key: ObjectHandle) {
        self.handles.insert(name.clone(), key);
    }

    /// Whether the token did what it was told: the key was made in it, is sensitive, and was never extractable.
    fn is_kept(&self, private: ObjectHandle) -> Result<bool, Fault> {
        let asked = [
            AttributeType::Local,
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
        ];
        let mut told = 0;
        for attribute in self.session.get_attributes(private, &asked)? {
            let good = match attribute {
                Attribute::Local(yes)
                | Attribute::Sensitive(yes)
                | Attribute::AlwaysSensitive(yes)
                | Attribute::NeverExtractable(yes) => yes,
                Attribute::Extractable(yes) => !yes,
                _ => false,
            };
            told += usize::from(good);
        }
        Ok(told == asked.len())
    }

    /// Kind and SubjectPublicKeyInfo of a public key.
    fn describe(&self, public: ObjectHandle) -> Result<Found, Fault> {
        let wanted = [AttributeType::KeyType, AttributeType::EcParams, AttributeType::EcPoint];
        let rsa = [AttributeType::Modulus, AttributeType::PublicExponent];
        let kind = self.session.get_attributes(public, &wanted[..1])?;
        let is_rsa =
            kind.iter().any(|attribute| matches!(attribute, Attribute::KeyType(kind) if *kind == KeyType::RSA));
        let attributes = self.session.get_attributes(public, if is_rsa { &rsa } else { &wanted[1..] })?;
        let (kind, public_key_info) = encoding::public_key(&attributes).map_err(Fault::Other)?;
        Ok(Found { kind, public_key_info })
    }
}

fn gives_keys_out() -> Fault {
    Fault::Other("the token did not make the key sensitive and never extractable, so it was destroyed".to_owned())
}

/// The one token with this label.
fn slot_of(module: &Pkcs11, label: &str) -> Result<Slot, Fault> {
    let mut found = None;
    for slot in module.get_slots_with_token()? {
        // A slot whose token was pulled out in between is none.
        let Ok(token) = module.get_token_info(slot) else { continue };
        if token.label().trim_end() != label {
            continue;
        }
        if found.replace(slot).is_some() {
            return Err(Fault::Login(format!(
                "cannot be told from another with the label '{label}'; give it one of its own"
            )));
        }
    }
    found.ok_or_else(|| Fault::Lost(format!("no token has the label '{label}'")))
}

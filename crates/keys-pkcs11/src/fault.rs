//! What can go wrong with a token, and what that means for whoever asked.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use ferrohub_model::error::Error;

/// Why the token did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is of no use any more, or the token is gone: worth one try with a new connection.
    Lost(String),
    /// It has no room for another key.
    Full,
    /// It does not make keys of this kind.
    Kind(String),
    /// There is a key of this name.
    Taken,
    /// There is no such key.
    NoKey,
    /// The token takes no PIN of ours; a sentence on why.
    Login(String),
    /// Anything else; the text names the function and PKCS#11's code.
    Other(String),
}

impl Fault {
    /// The sentence for whoever asked something of the token with this label.
    pub(crate) fn told(self, token: &str) -> Error {
        match self {
            Self::Lost(text) => Error::unavailable(
                format!("The PKCS#11 token '{token}' is not there: plug it in, or start what serves it."),
                5,
            )
            .with_context(text),
            Self::Full => Error::unavailable(
                format!("The PKCS#11 token '{token}' is full; destroy keys that nobody uses, or use a larger one."),
                60,
            ),
            Self::Kind(text) => Error::invalid_property(
                "keyType",
                format!("The PKCS#11 token '{token}' makes no keys of this kind; choose another."),
            )
            .with_context(text),
            Self::Taken => Error::conflict(format!("The PKCS#11 token '{token}' has a key of this name already.")),
            Self::NoKey => Error::internal(format!("the PKCS#11 token '{token}' does not have the key")),
            Self::Login(text) => Error::unavailable(format!("The PKCS#11 token '{token}' cannot be used: {text}."), 5),
            Self::Other(text) => {
                Error::unavailable(format!("The PKCS#11 token '{token}' does not do what it is asked."), 5)
                    .with_context(text)
            }
        }
    }
}

impl From<Pkcs11Error> for Fault {
    fn from(error: Pkcs11Error) -> Self {
        let text = error.to_string();
        let Pkcs11Error::Pkcs11(code, _) = error else { return Self::Other(text) };
        match code {
            RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SlotIdInvalid
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::UserNotLoggedIn
            | RvError::CryptokiNotInitialized
            // A key that was remembered: its handle may be of a connection before.
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            // SoftHSM says no more when its folder is gone.
            | RvError::GeneralError
            | RvError::FunctionFailed => Self::Lost(text),
            RvError::DeviceMemory => Self::Full,
            RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::CurveNotSupported
            | RvError::DomainParamsInvalid
            | RvError::KeySizeRange => Self::Kind(text),
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                Self::Login("refused the PIN; put the right one in its place, it is read again before the next try".into())
            }
            RvError::PinLocked => {
                Self::Login("has locked its user after too many wrong PINs; its security officer must set a new one".into())
            }
            RvError::PinExpired => Self::Login("says that its PIN has expired; set a new one".into()),
            RvError::UserPinNotInitialized => {
                Self::Login("has no user PIN yet; initialize it with the vendor's tool or with pkcs11-tool --init-pin".into())
            }
            _ => Self::Other(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    #[test]
    fn codes_mean_what_the_callers_need() {
        let of = |code| Fault::from(Pkcs11Error::Pkcs11(code, Function::Sign));
        assert!(matches!(of(RvError::SessionHandleInvalid), Fault::Lost(_)));
        assert!(matches!(of(RvError::TokenNotPresent), Fault::Lost(_)));
        assert_eq!(of(RvError::DeviceMemory), Fault::Full);
        assert!(matches!(of(RvError::CurveNotSupported), Fault::Kind(_)));
        assert!(matches!(of(RvError::PinIncorrect), Fault::Login(text) if text.contains("refused the PIN")));
        assert!(matches!(of(RvError::PinLocked), Fault::Login(text) if text.contains("locked")));
        assert!(matches!(of(RvError::DataLenRange), Fault::Other(_)));
        assert!(matches!(Fault::from(Pkcs11Error::NullFunctionPointer), Fault::Other(_)));
    }
}

//! A bearer token as it is sent: a signed JWT in compact form (RFC 7515, section 7.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::InvalidToken;
use crate::auth::claims::Claims;
use crate::auth::key::VerificationKey;

/// A token whose signature is not verified yet.
///
/// What its header says selects among the keys of the issuer, and nothing else: each key verifies
/// with one algorithm, which the header must name.
#[derive(Debug)]
pub(super) struct Token<'a> {
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    ///
    /// When it is no signed JWT, its algorithm is unknown, or its header has extensions that must
    /// be understood (RFC 7515, section 4.1.11).
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidToken> {
        let (signed, signature) = text.rsplit_once('.').ok_or(InvalidToken::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(InvalidToken::Parts)?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)
            .map_err(|_| InvalidToken::Header)?;
        if header.crit.is_some() {
            return Err(InvalidToken::Critical);
        }
        Ok(Self {
            signed,
            payload,
            signature,
            algorithm: algorithm(&header.alg).ok_or(InvalidToken::Algorithm)?,
            kid: header.kid,
        })
    }

    /// Verifies the signature and returns the claims.
    ///
    /// # Errors
    ///
    /// When the token names another algorithm than the key's, the signature is wrong, or the
    /// payload is no JSON object.
    pub(super) fn verify(&self, key: &VerificationKey) -> Result<Claims, InvalidToken> {
        if self.algorithm != key.algorithm {
            return Err(InvalidToken::Algorithm);
        }
        let signed = self.signed.as_bytes();
        if !crypto::verify(self.signature, signed, &key.decoding_key, key.algorithm)? {
            return Err(InvalidToken::Signature);
        }
        Claims::parse(&URL_SAFE_NO_PAD.decode(self.payload)?)
    }
}

/// Finds a supported algorithm by its name in a header or a key. `Ed25519` is its name since
/// RFC 9864; RFC 8037 calls it `EdDSA`.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::Algorithm;

    use super::Token;
    use crate::auth::key::VerificationKey;

    // RFC 8037, appendix A.4: the payload is a text, so the signature is all that can be checked.
    const ED25519: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    // RFC 7515, appendix A.1.
    const HS256: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const SECRET: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

    fn hs256() -> VerificationKey {
        VerificationKey::hs256(&URL_SAFE_NO_PAD.decode(SECRET).unwrap())
    }

    fn message(text: &str, key: &VerificationKey) -> String {
        let token = Token::parse(text).unwrap();
        token.verify(key).err().unwrap().to_string()
    }

    #[test]
    fn signatures_of_the_standards_are_right() {
        let claims = Token::parse(HS256).unwrap().verify(&hs256()).unwrap();
        assert_eq!(claims.find("iss").unwrap(), "joe");

        let key = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        let key = VerificationKey::from_jwk(&key).unwrap();
        assert_eq!(message(ED25519, &key), "the payload is no JSON object");
        let (signed, _) = ED25519.rsplit_once('.').unwrap();
        let another = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([1; 64]));
        assert_eq!(message(&another, &key), "the signature is wrong");
        assert_eq!(message(HS256, &key), "the algorithm is not accepted");
    }

    #[test]
    fn a_header_is_read_by_its_own_names() {
        let parse = |header: &str| {
            let text = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
            let parsed = Token::parse(&text);
            parsed.map(|token| (token.algorithm, token.kid.clone()))
        };
        let ed25519 = parse(r#"{"alg":"Ed25519","kid":"k","x5c":"a text","jwk":7}"#);
        assert_eq!(ed25519.unwrap(), (Algorithm::EdDSA, Some("k".to_owned())));
        for (header, message) in [
            (r#"{"alg":"none"}"#, "the algorithm is not accepted"),
            (r#"{"alg":"ed25519"}"#, "the algorithm is not accepted"),
            (r#"{"alg":"HS256","crit":["exp"]}"#, "critical extensions"),
            (r#"{"alg":"HS256","crit":7}"#, "critical extensions"),
            (r#"{"alg":"HS256","alg":"RS256"}"#, "the header is no JSON"),
            (r#"{"alg":7}"#, "the header is no JSON"),
            (r#"{"alg":"HS256","kid":7}"#, "the header is no JSON"),
            ("{}", "the header is no JSON"),
            ("[]", "the header is no JSON"),
            ("", "the header is no JSON"),
        ] {
            let error = parse(header).unwrap_err().to_string();
            assert!(error.contains(message), "{header}: {error}");
        }
    }

    #[test]
    fn only_three_parts_are_a_token() {
        let (signed, _) = HS256.rsplit_once('.').unwrap();
        for text in ["", ".", "..", "...", signed, "a.b.c"] {
            assert!(Token::parse(text).is_err(), "{text}");
        }
        for text in [
            format!("{HS256}."),
            format!("{HS256}.e30"),
            HS256.replacen('.', "..", 1),
            format!("{HS256}="),
        ] {
            let verified = Token::parse(&text).and_then(|token| token.verify(&hs256()));
            assert!(verified.is_err(), "{text}");
        }
    }
}

//! The keys of an issuer (RFC 7517, section 5): which can verify tokens, and which one a token is
//! signed with.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::auth::key::VerificationKey;
use crate::auth::token::Token;

/// The keys of an issuer that can verify tokens; at least one.
pub(super) struct KeySet(Vec<Arc<VerificationKey>>);

/// Why a set of keys is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeySetError {
    /// It is no JWK set.
    #[error("the answer is no JWK set")]
    Malformed(#[from] serde_json::Error),
    /// No key of it can verify tokens.
    #[error("none of the {0} keys can verify tokens")]
    NoUsableKey(usize),
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set key by key. Returns also how many keys are of no use here.
    ///
    /// # Errors
    ///
    /// When it is no set, or no key in it is of use.
    pub(super) fn parse(json: &[u8]) -> Result<(Self, usize), KeySetError> {
        let JwkSet { keys: all } = serde_json::from_slice(json)?;
        let usable = all.iter().filter_map(VerificationKey::from_jwk);
        let usable: Vec<_> = usable.map(Arc::new).collect();
        if usable.is_empty() {
            return Err(KeySetError::NoUsableKey(all.len()));
        }
        let unusable = all.len() - usable.len();
        Ok((Self(usable), unusable))
    }

    /// Finds the only key that has the algorithm that a token names, and its `kid` if it names one.
    pub(super) fn find(&self, token: &Token<'_>) -> Option<Arc<VerificationKey>> {
        let mut fitting = self.0.iter().filter(|key| {
            key.algorithm == token.algorithm && (token.kid.is_none() || key.kid == token.kid)
        });
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// Returns how many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::KeySet;
    use crate::auth::token::Token;

    /// RFC 8037, appendix A.2.
    fn ed(kid: &Value) -> Value {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
    }

    /// RFC 7515, appendix A.3.
    fn ec(kid: &Value) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": kid,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    /// RFC 7515, appendix A.2.
    fn rsa(kid: &Value) -> Value {
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0\
            Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5r\
            exMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXF\
            vUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        json!({ "kty": "RSA", "kid": kid, "n": n, "e": "AQAB" })
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn parse(keys: &[Value]) -> Result<(usize, usize), String> {
        let json = json!({ "keys": keys }).to_string();
        let parsed = KeySet::parse(json.as_bytes());
        let counted = parsed.map(|(set, unusable)| (set.len(), unusable));
        counted.map_err(|error| error.to_string())
    }

    #[test]
    fn what_keys_do_not_need_can_be_anything() {
        let k = &json!("k");
        for key in [
            with(rsa(k), "x5c", json!("a text")),
            with(rsa(k), "x5t", json!(["a list"])),
            with(rsa(k), "crv", json!("P-256")),
            with(ec(k), "x5u", json!(7)),
            with(ec(k), "use", json!("sig")),
            with(ec(k), "key_ops", json!(["verify", "sign"])),
            with(ed(k), "alg", json!("EdDSA")),
            with(ed(k), "alg", json!("Ed25519")),
            with(ed(k), "exp", json!({ "at": "noon" })),
            ed(&Value::Null),
        ] {
            assert_eq!(parse(std::slice::from_ref(&key)), Ok((1, 0)), "{key}");
        }
    }

    #[test]
    fn one_odd_key_spoils_nothing() {
        let k = &json!("k");
        let short = URL_SAFE_NO_PAD.encode([7; 31]);
        let odd = [
            json!(null),
            json!("a text"),
            json!([]),
            json!({}),
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "k", "pub": "AA" }),
            json!({ "kty": "oct", "kid": "k", "k": "c2VjcmV0" }),
            with(ed(k), "kty", json!(7)),
            ed(&json!(7)),
            with(ed(k), "alg", json!("ES256")),
            with(ed(k), "alg", json!(["EdDSA"])),
            with(ed(k), "crv", json!("X25519")),
            with(ed(k), "x", json!(short)),
            with(ed(k), "x", json!("")),
            with(ed(k), "x", json!("not in base64url!")),
            with(ed(k), "x", Value::Null),
            with(ec(k), "y", Value::Null),
            with(ec(k), "y", json!(short)),
            with(ec(k), "y", ec(k)["x"].clone()),
            with(ec(k), "crv", json!("P-384")),
            with(ec(k), "use", json!("enc")),
            with(ec(k), "key_ops", json!(["deriveKey"])),
            with(rsa(k), "alg", json!("RS512")),
            with(rsa(k), "n", json!(URL_SAFE_NO_PAD.encode([255; 128]))),
            with(rsa(k), "n", json!(URL_SAFE_NO_PAD.encode([255; 1024]))),
            with(rsa(k), "e", Value::Null),
        ];
        for key in &odd {
            let keys = [key.clone(), rsa(k)];
            assert_eq!(parse(&keys), Ok((1, 1)), "{key}");
        }
        let none = parse(&odd).unwrap_err();
        assert_eq!(
            none,
            format!("none of the {} keys can verify tokens", odd.len())
        );
        assert_eq!(
            parse(&[]).unwrap_err(),
            "none of the 0 keys can verify tokens"
        );
        for json in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
            let error = KeySet::parse(json.as_bytes()).err().unwrap();
            assert_eq!(error.to_string(), "the answer is no JWK set");
        }
    }

    #[test]
    fn a_token_fits_the_only_key_of_its_name_and_algorithm() {
        let (a, b) = (&json!("a"), &json!("b"));
        let find = |keys: &[Value], header: Value| {
            let json = json!({ "keys": keys }).to_string();
            let (set, _) = KeySet::parse(json.as_bytes()).unwrap();
            let text = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header.to_string()));
            let key = set.find(&Token::parse(&text).unwrap())?;
            Some((key.kid.clone(), format!("{:?}", key.algorithm)))
        };
        let named = |kid: &str, algorithm: &str| Some((Some(kid.to_owned()), algorithm.to_owned()));

        let shared = [ed(a), ec(a), rsa(a), rsa(b)];
        for (algorithm, own) in [("Ed25519", "EdDSA"), ("EdDSA", "EdDSA"), ("ES256", "ES256")] {
            let nameless = find(&shared, json!({ "alg": algorithm }));
            assert_eq!(nameless, named("a", own));
            let name = find(&shared, json!({ "alg": algorithm, "kid": "a" }));
            assert_eq!(name, named("a", own));
            assert_eq!(find(&shared, json!({ "alg": algorithm, "kid": "b" })), None);
        }
        assert_eq!(
            find(&shared, json!({ "alg": "RS256" })),
            None,
            "two of them"
        );
        assert_eq!(
            find(&shared, json!({ "alg": "RS256", "kid": "b" })),
            named("b", "RS256")
        );
        assert_eq!(find(&shared, json!({ "alg": "HS256", "kid": "a" })), None);
        let same = [ec(a), ec(a)];
        assert_eq!(find(&same, json!({ "alg": "ES256", "kid": "a" })), None);
        let nameless = [ec(&Value::Null)];
        assert_eq!(find(&nameless, json!({ "alg": "ES256", "kid": "a" })), None);
    }
}

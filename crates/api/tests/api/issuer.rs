//! An issuer of tokens: key pairs, and the URL that publishes the public ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

/// A key pair with an id.
pub(crate) struct SigningKey {
    pub(crate) kid: &'static str,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    /// What is published.
    pub(crate) public: Value,
}

impl SigningKey {
    /// The RSA key of the tests; the libraries at hand cannot make one.
    pub(crate) fn rsa(kid: &'static str) -> Self {
        let key = EncodingKey::from_rsa_pem(include_bytes!("rsa.pem")).unwrap();
        let public = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
        Self::new(
            kid,
            Algorithm::RS256,
            key,
            serde_json::to_value(public).unwrap(),
        )
    }

    /// A new key on the curve P-256.
    pub(crate) fn ec(kid: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let (x, y) = pair.der_bytes()[1..].split_at(32);
        let public = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self::new(kid, Algorithm::ES256, key, public)
    }

    /// A new Ed25519 key.
    pub(crate) fn ed(kid: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let public = json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(pair.der_bytes()),
        });
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self::new(kid, Algorithm::EdDSA, key, public)
    }

    fn new(kid: &'static str, algorithm: Algorithm, key: EncodingKey, mut public: Value) -> Self {
        public["kid"] = kid.into();
        Self {
            kid,
            algorithm,
            key,
            public,
        }
    }

    /// Signs a token that names this key.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.to_owned());
        self.sign_under(&header, claims)
    }

    /// Signs a token that names no key.
    pub(crate) fn sign_nameless(&self, claims: &Value) -> String {
        self.sign_under(&Header::new(self.algorithm), claims)
    }

    /// Signs a token with a header that the library does not know.
    pub(crate) fn sign_raw(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    /// Signs a token with a header of one's own.
    pub(crate) fn sign_under(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }
}

/// The URL that publishes the keys.
pub(crate) struct Issuer {
    pub(crate) url: Url,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<(StatusCode, Value)>,
    fetches: AtomicUsize,
}

impl Issuer {
    /// Starts to publish keys.
    pub(crate) async fn publishing(keys: &[&SigningKey]) -> Self {
        let shared = Arc::new(Shared {
            answer: Mutex::new((StatusCode::OK, Value::Null)),
            fetches: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/keys", get(answer))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let issuer = Self {
            url: url.parse().unwrap(),
            shared,
        };
        issuer.publish(keys);
        issuer
    }

    /// Publishes these keys from now on.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
        self.publish_set(json!({ "keys": keys }));
    }

    /// Publishes this set from now on.
    pub(crate) fn publish_set(&self, set: Value) {
        *self.shared.answer.lock().unwrap() = (StatusCode::OK, set);
    }

    /// Answers with an error from now on.
    pub(crate) fn break_down(&self) {
        *self.shared.answer.lock().unwrap() = (StatusCode::INTERNAL_SERVER_ERROR, Value::Null);
    }

    /// Returns how often the keys were fetched.
    pub(crate) fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    shared.fetches.fetch_add(1, Ordering::SeqCst);
    let (status, body) = shared.answer.lock().unwrap().clone();
    (status, Json(body))
}

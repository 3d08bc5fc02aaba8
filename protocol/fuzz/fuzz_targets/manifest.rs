//! Anything at all as a signed manifest, and as the text of one that is truly signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nearside_protocol::{
    key::SecretKey,
    release::{FORMAT, SignedManifest},
    trust::TrustedKey,
};

fuzz_target!(|data: &[u8]| {
    let key = SecretKey::from_seed([1; 32]);
    let trusted = [TrustedKey::with_both(key.public())];
    if let Ok(signed) = serde_json::from_slice::<SignedManifest>(data) {
        assert!(signed.verify(&trusted).is_err(), "nobody can sign without the key");
    }
    // What a trusted key signs is read by the same rules.
    let Ok(text) = std::str::from_utf8(data) else { return };
    let signed = SignedManifest::sign_text(text.to_owned(), &key);
    if let Ok(manifest) = signed.own(&key.public()) {
        assert!(manifest.format == FORMAT && manifest.page_count > 0);
        let again = SignedManifest::sign(&manifest, &key).own(&key.public());
        assert_eq!(again, Ok(manifest), "what is read can be written and read again");
    }
});

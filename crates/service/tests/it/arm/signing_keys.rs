//! Keys that sign tokens follow one another.

use super::fixture::World;
use crate::installation::MASTER_KEY;
use ferrohub_pki::seal::MasterKey;
use ferrohub_service::authn::Audience;
use serde_json::Value;
use std::time::Duration;

impl World {
    async fn rotate_signing_key(&self, revoke: bool) {
        let key = MasterKey::from_bytes(&MASTER_KEY).unwrap();
        ferrohub_service::rotate_signing_key(&self.engines(), key, revoke).await.unwrap();
    }
}

#[tokio::test]
async fn a_former_key_verifies_until_its_tokens_are_gone() {
    let world = World::new().await;
    let authn = &world.service().authn;
    let before = world.token("https://management.azure.com/.default").await;
    let first = authn.jwks().await.unwrap();
    assert_eq!(first["keys"].as_array().unwrap().len(), 1);
    world.clock.advance(Duration::from_secs(89 * 24 * 3600));
    let kept = world.token("https://management.azure.com/.default").await;
    world.rotate_signing_key(false).await;
    let keys = authn.jwks().await.unwrap();
    let kids: Vec<&Value> = keys["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!((kids.len(), kids[1]), (2, &first["keys"][0]["kid"]));
    let new = world.token("https://management.azure.com/.default").await;
    assert!(
        authn.bearer(Some(&kept), Audience::Arm).await.is_ok() && authn.bearer(Some(&new), Audience::Arm).await.is_ok()
    );
    assert_eq!(authn.bearer(Some(&before), Audience::Arm).await.unwrap_err().code, "ExpiredAuthenticationToken");
    world.clock.advance(Duration::from_secs(4000));
    assert_eq!(authn.jwks().await.unwrap()["keys"].as_array().unwrap().len(), 1);
    assert_eq!(authn.bearer(Some(&kept), Audience::Arm).await.unwrap_err().http_status(), 401);

    let token = world.token("https://management.azure.com/.default").await;
    assert!(authn.bearer(Some(&token), Audience::Arm).await.is_ok());
    world.rotate_signing_key(true).await;
    assert_eq!(authn.bearer(Some(&token), Audience::Arm).await.unwrap_err().code, "InvalidAuthenticationToken");
    assert_eq!(authn.jwks().await.unwrap()["keys"].as_array().unwrap().len(), 1);
}

//! What a certificate from DPS is worth at the hub, by which CA it is trusted through.

use super::world::{World, csr};
use crate::owner::{HUB_API, REGISTRY_API};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_service::certificate;
use ferrohub_service::hub::DeviceLogin;
use ferrohub_service::hub::identity;
use ferrohub_service::platform::Change;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_id_counts_only_under_the_authority_of_the_devices_policy() {
    let world = World::new().await;
    let hub_id = world.hub_id("hub1");
    let key = world.group("g1", json!({"credentialPolicyName": "default"})).await;
    let done = world.register(&key, "d1", Some(csr(world.folder.path(), "d1", &[]))).await;
    let texts = done["registrationState"]["issuedCertificateChain"].as_array().unwrap();
    let chain: Vec<Vec<u8>> = texts.iter().map(|text| STANDARD.decode(text.as_str().unwrap()).unwrap()).collect();
    let upload = async |name: &str, der: &[u8]| {
        let body = json!({"properties": {"certificate": STANDARD.encode(der), "isVerified": true}});
        world.owner.put(&hub_id.child("certificates", name), HUB_API, body).await;
    };
    let connect = async |length: usize| {
        let peer_chain = chain[..length].to_vec();
        let login = DeviceLogin {
            host: world.hub_host.clone(),
            device_id: "d1".into(),
            module_id: None,
            model_id: None,
            token: None,
            peer_chain,
            peer: Default::default(),
        };
        world.hubs().connect(login).await.map(drop).map_err(|error| error.message)
    };

    upload("root", &chain[2]).await;
    let refused = connect(3).await.unwrap_err();
    assert!(refused.contains("not the one of the device's credential policy"), "{refused}");
    upload("by-hand", &chain[1]).await;
    for length in 1..=3 {
        connect(length).await.unwrap();
    }

    world.write_policy("other", None).await.unwrap();
    let other = world.stored(&world.policy_id("other")).await;
    let leaf = certificate::policy_of(world.platform(), other.uid).await.unwrap().unwrap();
    let home = world.stored(&hub_id).await.uid;
    let was = identity::load(world.platform().store.as_ref(), home, "d1").await.unwrap().unwrap();
    let mut device = (*was.device).clone();
    device.policy = Some(leaf.uid);
    let mut change = Change::new();
    identity::add_update(world.platform(), &was, &mut device, &mut change).unwrap();
    world.platform().commit(change).await.unwrap();
    assert!(connect(3).await.is_err(), "the authority of another policy");
    world.owner.delete(&other.id, REGISTRY_API).await;
    connect(3).await.unwrap();
}

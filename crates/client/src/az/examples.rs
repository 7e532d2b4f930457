//! Examples in the help of commands.

/// Words of a command, and lines that show it at work. Every one parses (a test runs them through the parser).
pub(crate) const EXAMPLES: &[(&str, &[&str])] = &[
    ("login", &["az login", "az login --service-principal -u $APP_ID -p $SECRET --tenant $TENANT_ID"]),
    ("account set", &["az account set --subscription $SUBSCRIPTION_ID"]),
    ("account get-access-token", &["az account get-access-token --query accessToken -o tsv"]),
    (
        "ad sp create-for-rbac",
        &["az ad sp create-for-rbac --name operator --role Reader --scopes /subscriptions/$SUBSCRIPTION_ID"],
    ),
    ("ad app credential reset", &["az ad app credential reset --id $APP_ID --append"]),
    ("group create", &["az group create --name plant --location westeurope"]),
    ("group delete", &["az group delete --name plant --yes"]),
    ("identity create", &["az identity create --name plant-identity --resource-group plant"]),
    (
        "role assignment create",
        &["az role assignment create --assignee $PRINCIPAL_ID --role \"IoT Hub Registry Contributor\" --scope $HUB_ID"],
    ),
    ("role assignment list", &["az role assignment list --all -o table"]),
    ("role definition create", &["az role definition create --role-definition role.json"]),
    ("role definition list", &["az role definition list --name Reader"]),
    ("iot adr ns create", &["az iot adr ns create --name plant-ns --resource-group plant --location westeurope"]),
    (
        "iot adr ns policy create",
        &[
            "az iot adr ns policy create --namespace plant-ns --resource-group plant --name short --cert-validity-days 7",
        ],
    ),
    (
        "iot adr ns certificate list",
        &[
            "az iot adr ns certificate list --namespace plant-ns --resource-group plant --state Active --expires-before 2027-01-31T00:00:00Z",
        ],
    ),
    (
        "iot adr ns credential undo-sync",
        &["az iot adr ns credential undo-sync --namespace plant-ns --resource-group plant --policies short"],
    ),
    (
        "iot adr ns credential rotate",
        &["az iot adr ns credential rotate --namespace plant-ns --resource-group plant --query certificate -o tsv"],
    ),
    ("iot adr ns credential sync", &["az iot adr ns credential sync --namespace plant-ns --resource-group plant"]),
    (
        "iot adr ns device update",
        &["az iot adr ns device update --namespace plant-ns --resource-group plant --name pump --enabled false"],
    ),
    (
        "iot hub create",
        &[
            "az iot hub create --name plant-hub --resource-group plant",
            "az iot hub create --name plant-hub --resource-group plant --sku GEN2 --mi-user-assigned $IDENTITY_ID --ns-resource-id $NAMESPACE_ID --ns-identity-id $IDENTITY_ID",
        ],
    ),
    ("iot hub show", &["az iot hub show --name plant-hub --query properties.hostName -o tsv"]),
    (
        "iot hub update",
        &[
            "az iot hub update --name plant-hub --set tags.line=B",
            "az iot hub update --name plant-hub --retention-day 3",
        ],
    ),
    ("iot hub wait", &["az iot hub wait --name plant-hub --exists"]),
    ("iot hub identity assign", &["az iot hub identity assign --name plant-hub --system-assigned"]),
    (
        "iot hub certificate create",
        &["az iot hub certificate create --hub-name plant-hub --name plant-ca --path ca.pem --verified"],
    ),
    (
        "iot hub certificate delete",
        &["az iot hub certificate delete --hub-name plant-hub --name plant-ca --etag \"*\""],
    ),
    (
        "iot hub policy renew-key",
        &["az iot hub policy renew-key --hub-name plant-hub --name service --renew-key primary"],
    ),
    ("iot hub connection-string show", &["az iot hub connection-string show --hub-name plant-hub"]),
    ("iot hub generate-sas-token", &["az iot hub generate-sas-token --hub-name plant-hub --device-id pump"]),
    ("iot hub device-identity create", &["az iot hub device-identity create --hub-name plant-hub --device-id pump"]),
    ("iot hub device-identity delete", &["az iot hub device-identity delete --hub-name plant-hub --device-id pump"]),
    (
        "iot hub device-twin update",
        &["az iot hub device-twin update --hub-name plant-hub --device-id pump --desired '{\"speed\": 3}'"],
    ),
    (
        "iot dps create",
        &[
            "az iot dps create --name plant-dps --resource-group plant",
            "az iot dps create --name plant-dps --resource-group plant --mi-user-assigned $IDENTITY_ID --ns-resource-id $NAMESPACE_ID --ns-identity-id $IDENTITY_ID",
        ],
    ),
    ("iot dps show", &["az iot dps show --name plant-dps --query properties.idScope -o tsv"]),
    (
        "iot dps policy renew-key",
        &["az iot dps policy renew-key --dps-name plant-dps --policy-name provisioningserviceowner --renew-key swap"],
    ),
    ("iot dps linked-hub create", &["az iot dps linked-hub create --dps-name plant-dps --hub-name plant-hub"]),
    (
        "iot dps linked-hub update",
        &["az iot dps linked-hub update --dps-name plant-dps --linked-hub plant-hub --allocation-weight 3"],
    ),
    (
        "iot dps enrollment-group create",
        &[
            "az iot dps enrollment-group create --dps-name plant-dps --enrollment-id pumps --credential-policy-name default",
        ],
    ),
    (
        "iot device registration create",
        &[
            "az iot device registration create --dps-name plant-dps --registration-id pump --group-id pumps",
            "az iot device registration create --id-scope 0ne00000001 --registration-id pump --symmetric-key $KEY --csr pump.csr",
        ],
    ),
    (
        "iot dps enrollment create",
        &[
            "az iot dps enrollment create --dps-name plant-dps --enrollment-id pump --attestation-type symmetricKey --credential-policy-name default",
            "az iot dps enrollment create --dps-name plant-dps --enrollment-id pump --attestation-type x509 --certificate-path pump.pem",
            "az iot dps enrollment create --dps-name plant-dps --enrollment-id pump --attestation-type tpm --endorsement-key $EK",
        ],
    ),
    ("iot dps enrollment show", &["az iot dps enrollment show --dps-name plant-dps --enrollment-id pump --show-keys"]),
    (
        "iot dps enrollment update",
        &[
            "az iot dps enrollment update --dps-name plant-dps --enrollment-id pump --provisioning-status disabled",
            "az iot dps enrollment update --dps-name plant-dps --enrollment-id pump --allocation-policy static --iot-hubs plant-hub.azure-devices.localhost",
        ],
    ),
    (
        "iot dps certificate verify",
        &[
            "az iot dps certificate generate-verification-code --dps-name plant-dps --name plant-ca --etag $ETAG --query properties.verificationCode",
            "az iot dps certificate verify --dps-name plant-dps --name plant-ca --etag $ETAG --path proof.pem",
        ],
    ),
    (
        "iot dps policy create",
        &[
            "az iot dps policy create --dps-name plant-dps --policy-name reader --rights EnrollmentRead RegistrationStatusRead",
        ],
    ),
    (
        "iot adr ns policy activate-byor",
        &[
            "az iot adr ns policy activate-byor --namespace plant-ns --resource-group plant --name own --certificate-chain-file signed.pem",
        ],
    ),
    (
        "iot adr ns ca create",
        &[
            "az iot adr ns ca create --namespace plant-ns --resource-group plant --name root --type Root",
            "az iot adr ns ca create --namespace plant-ns --resource-group plant --name line1 --type ICA --issuer-type Microsoft --issuer-ca-name root",
        ],
    ),
    (
        "iot adr ns ca policy create",
        &[
            "az iot adr ns ca policy create --namespace plant-ns --resource-group plant --ca-name line1 --name short --validity-days 7",
        ],
    ),
    (
        "iot dps enrollment-group compute-device-key",
        &[
            "az iot dps enrollment-group compute-device-key --dps-name plant-dps --enrollment-id pumps --registration-id pump",
        ],
    ),
    ("lock create", &["az lock create --name keep --lock-type CanNotDelete --resource-group plant"]),
    ("tag update", &["az tag update --resource-id $HUB_ID --operation Merge --tags line=B"]),
    (
        "monitor activity-log list",
        &["az monitor activity-log list --resource-group plant --offset 1d --status Failed -o table"],
    ),
    (
        "graph query",
        &["az graph query -q \"resources | where type =~ 'microsoft.devices/iothubs' | project name, location\""],
    ),
    ("resource move", &["az resource move --destination-group other --ids $HUB_ID"]),
    (
        "ad user create",
        &["az ad user create --display-name Ann --password $PASSWORD --user-principal-name ann@plant.example"],
    ),
    ("iot hub query", &["az iot hub query --hub-name plant-hub -q \"select * from devices where tags.line = 'B'\""]),
    ("iot hub consumer-group create", &["az iot hub consumer-group create --hub-name plant-hub --name stream"]),
    (
        "iot adr ns link hub add",
        &[
            "az iot adr ns link hub add --namespace plant-ns --resource-group plant --endpoint-name plant-hub --hub-resource-id $HUB_ID --user-assigned-mi $IDENTITY_ID",
        ],
    ),
    (
        "iot adr ns group create",
        &["az iot adr ns group create --namespace plant-ns --resource-group plant --name all --query-string \"*\""],
    ),
    (
        "iot adr schema registry create",
        &[
            "az iot adr schema registry create --name plant-schemas --resource-group plant --registry-namespace plant --storage-account-container-url https://plant.blob.core.windows.net/schemas",
        ],
    ),
    (
        "iot adr schema registry update",
        &[
            "az iot adr schema registry update --name plant-schemas --resource-group plant --display-name \"Schemas of the plant\"",
        ],
    ),
    (
        "iot adr schema create",
        &[
            "az iot adr schema create --name pump --registry plant-schemas --resource-group plant --schema-type MessageSchema --format JsonSchema/draft-07",
        ],
    ),
    (
        "iot adr schema version create",
        &[
            "az iot adr schema version create --version 1 --schema pump --registry plant-schemas --resource-group plant --schema-content @pump.json",
        ],
    ),
    ("rest", &["az rest --method get --url /subscriptions?api-version=2022-12-01"]),
];

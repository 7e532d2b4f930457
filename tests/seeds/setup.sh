az account set --subscription "<your subscription name or id>"
SUBSCRIPTION_ID="your-subscription-id"
RESOURCE_GROUP="your-resource-group"
LOCATION="your-adr/dps-location"
HUB_LOCATION="your-hub-location"
NAMESPACE_NAME="your-adr-namespace-name"
HUB_NAME="your-hub-name"
DPS_NAME="your-dps-name"
USER_IDENTITY="your-user-identity-name"
CUSTOM_ROLE_NAME="your-custom-role-name"
ENROLLMENT_ID="your-enrollment-name"
echo $HUB_NAME
az group create --name "$RESOURCE_GROUP" --location "$LOCATION"
az role definition create --role-definition '{
  "Name": "'$CUSTOM_ROLE_NAME'",
  "Description": "Custom role for ADR namespace integration",
  "Actions": [
    "Microsoft.DeviceRegistry/namespaces/devices/read",
    "Microsoft.DeviceRegistry/namespaces/devices/write", 
    "Microsoft.DeviceRegistry/namespaces/read",
    "Microsoft.DeviceRegistry/namespaces/write",
    "Microsoft.DeviceRegistry/namespaces/credentials/read",
    "Microsoft.DeviceRegistry/namespaces/credentials/policies/read"
  ],
  "AssignableScopes": ["/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP"]
}'
az role assignment create --assignee "89d10474-74af-4874-99a7-c23c2f643083" --role "Contributor" --scope "/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP"
az identity create --name "$USER_IDENTITY" --resource-group "$RESOURCE_GROUP" --location "$LOCATION"
UAMI_RESOURCE_ID=$(az identity show --name "$USER_IDENTITY" --resource-group "$RESOURCE_GROUP" --query id -o tsv)
az iot adr ns create --name "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP" --location "$LOCATION"
az iot adr ns show --name "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns credential show --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns policy show --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP" --name "default"
UAMI_PRINCIPAL_ID=$(az identity show --name "$USER_IDENTITY" --resource-group "$RESOURCE_GROUP" --query principalId -o tsv)
NAMESPACE_RESOURCE_ID=$(az iot adr ns show --name "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP" --query id -o tsv)
az role assignment create --assignee "$UAMI_PRINCIPAL_ID" --role "$CUSTOM_ROLE_NAME" --scope "$NAMESPACE_RESOURCE_ID"
az iot hub create --name "$IOT_HUB_NAME" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" --sku S1 --enable-file-upload true --assign-identity "$UAMI_RESOURCE_ID"
az iot hub show --name "$HUB_NAME" --resource-group "$RESOURCE_GROUP" --query identity --output json
ADR_PRINCIPAL_ID=$(az iot adr ns show --name "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP" --query identity.principalId -o tsv)
HUB_RESOURCE_ID=$(az iot hub show --name "$HUB_NAME" --resource-group "$RESOURCE_GROUP" --query id -o tsv)
az role assignment create --assignee "$ADR_PRINCIPAL_ID" --role "Contributor" --scope "$HUB_RESOURCE_ID"
az role assignment create --assignee "$ADR_PRINCIPAL_ID" --role "IoT Hub Registry Contributor" --scope "$HUB_RESOURCE_ID"
az iot dps create --name "$DPS_NAME" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" --mi-user-assigned "$UAMI_RESOURCE_ID" --ns-resource-id "$NAMESPACE_RESOURCE_ID" --ns-identity-id "$UAMI_RESOURCE_ID"
az iot dps show --name "$DPS_NAME" --resource-group "$RESOURCE_GROUP" --query identity --output json
az iot dps linked-hub create --dps-name "$DPS_NAME" --resource-group "$RESOURCE_GROUP" --hub-name "$HUB_NAME"
az iot dps linked-hub list --dps-name "$DPS_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns credential sync --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot hub certificate list --hub-name "$HUB_NAME" --resource-group "$RESOURCE_GROUP"
az iot dps enrollment-group create --dps-name "$DPS_NAME" --resource-group "$RESOURCE_GROUP" --enrollment-id "$ENROLLMENT_ID" --credential-policy default
az iot adr ns list --resource-group "$RESOURCE_GROUP"
az iot adr ns show --name "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns credential show --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns policy list --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns policy show --name "policy-name" --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns policy create --name "custom-policy" --namespace "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP" --cert-subject "CN=TestDevice" --cert-validity-days "30"
az iot hub delete --name "$HUB_NAME" --resource-group "$RESOURCE_GROUP"
az iot adr ns delete --name "$NAMESPACE_NAME" --resource-group "$RESOURCE_GROUP"
az iot dps delete --name "$DPS_NAME" --resource-group "$RESOURCE_GROUP"
az identity delete --name "$USER_IDENTITY" --resource-group "$RESOURCE_GROUP"
